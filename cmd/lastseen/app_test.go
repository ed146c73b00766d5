package main

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"lastseen/schema"
	"lastseen/server"
)

func testConfig(t *testing.T) appConfig {
	t.Helper()
	return appConfig{
		addr: "127.0.0.1:0", schema: schema.Options{ClickHouse: schema.Embedded, DataDir: t.TempDir()},
		server: server.Config{Histories: 2}, ingestBytes: 64 << 20, cachedKeys: 1000,
		drainTimeout: 10 * time.Second, log: slog.New(slog.DiscardHandler),
	}
}

func status(t *testing.T, url string) int {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode
}

// TestAnAppServesUntilItIsStopped runs the App itself; it is the only test in this process with an engine.
func TestAnAppServesUntilItIsStopped(t *testing.T) {
	config := testConfig(t)
	config.admin.addr = "127.0.0.1:0"
	traces := startCollector(t)
	config.tracing = tracingConfig{endpoint: traces.URL + "/v1/traces", sample: 1}
	for range 2 { // the second time on what the first one left
		app, err := StartApp(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		base := "http://" + app.Addr()
		for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/tracking/sessions/list/v1": 401} {
			if got := status(t, base+path); got != want {
				t.Errorf("%s: %d, want %d", path, got, want)
			}
		}
		checkMetrics(t, app)
		traces.visit(t, app, config.schema.DataDir)
		taken := config
		taken.addr = app.Addr()
		if _, err := StartApp(t.Context(), taken); err == nil || !strings.Contains(err.Error(), "is taken: stop what listens on it, or choose another one with --addr") {
			t.Errorf("a second App on the address: %v", err)
		}
		if err := app.Stop(t.Context()); err != nil {
			t.Errorf("Stop: %v", err)
		}
		traces.check(t)
		if err := <-app.Served(); err != nil {
			t.Errorf("serving ended with %v", err)
		}
		if connection, err := net.Dial("tcp", app.Addr()); err == nil {
			connection.Close()
			t.Error("the address still accepts connections")
		}
		if err := app.Stop(t.Context()); err != nil {
			t.Errorf("Stop again: %v", err)
		}
	}
}

func TestAStartThatFailsLeavesNothingRunning(t *testing.T) {
	config := testConfig(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config.addr = listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	config.schema.ClickHouse = "ftp://nowhere"
	if _, err := StartApp(t.Context(), config); err == nil || !strings.Contains(err.Error(), "http://") {
		t.Errorf("StartApp = %v", err)
	}
	again, err := net.Listen("tcp", config.addr)
	if err != nil {
		t.Fatalf("the address is still taken: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestProbesAreAnsweredWhileLoading(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	base := "http://" + listener.Addr().String()
	answering := answerWhileLoading(listener.(*net.TCPListener), nil, new(loading).answer)
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 503, "/tracking/sessions/list/v1": 503} {
		if got := status(t, base+path); got != want {
			t.Errorf("%s while loading: %d, want %d", path, got, want)
		}
	}
	// Whatever exists is not loaded yet, so nothing may be said not to exist.
	response, err := http.Get(base + "/tracking/timeseries/session_by_device/last_seen/v1?session_id=0123456789abcdef01234567")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 503 || response.Header.Get("Retry-After") != "1" {
		t.Errorf("last_seen while loading: %d with Retry-After %q, want 503 with 1", response.StatusCode, response.Header.Get("Retry-After"))
	}
	if err := answering.stop(); err != nil {
		t.Fatal(err)
	}
	go http.Serve(listener, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	if got := status(t, base+"/readyz"); got != 200 {
		t.Errorf("after loading: %d, want what the next server says", got)
	}
}
