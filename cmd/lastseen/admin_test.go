package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestTheMetricsAddressThatIsTaken(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, test := range []struct {
		name   string
		config adminConfig
		fails  bool
	}{
		{"is an error when it was asked for", adminConfig{addr: taken.Addr().String()}, true},
		{"is done without when it is the default", adminConfig{addr: taken.Addr().String(), optional: true}, false},
		{"does not matter when there are to be none", adminConfig{}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := testConfig(t)
			config.admin = test.config
			app := &App{config: config}
			listener, err := app.listenAdmin(t.Context())
			if (err != nil) != test.fails || listener != nil || app.AdminAddr() != "" {
				t.Errorf("got %v, %v", listener, err)
			}
			if test.fails && !strings.Contains(err.Error(), "--admin-addr") {
				t.Errorf("the error does not say what to do: %v", err)
			}
		})
	}
}

// checkMetrics asks a running App for its metrics, those of the dashboard among them, and profiles.
func checkMetrics(t *testing.T, app *App) {
	t.Helper()
	base := "http://" + app.AdminAddr()
	response, err := http.Get(base + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`lastseen_http_request_duration_seconds_count{method="GET",route="/healthz",status="2xx"} 1`,
		`lastseen_http_requests_refused_total{reason="no_credential"} 1`,
		// An alert looks at it before anything was sent.
		`lastseen_http_request_duration_seconds_count{method="POST",route="/tracking/timeseries/session_by_device/ingest/v1",status="2xx"} 0`,
		`lastseen_last_seen_sessions 0`, `lastseen_build_info{`, `go_goroutines`, `process_resident_memory_bytes`,
	} {
		if !strings.Contains(string(text), line) {
			t.Errorf("the metrics have no %s", line)
		}
	}
	for file, least := range map[string]int{"grafana-dashboard.json": 30, "alerts.yml": 12} {
		page, err := os.ReadFile(filepath.Join("../../docs", file))
		if err != nil {
			t.Fatal(err)
		}
		names := regexp.MustCompile(`\b(?:lastseen|go|process)_[a-z0-9_]+`).FindAllString(string(page), -1)
		if len(names) < least {
			t.Errorf("%s names only %d metrics", file, len(names))
		}
		for _, name := range names {
			if strings.HasPrefix(name, "lastseen_node_") {
				continue // of several nodes: package metrics looks at these
			}
			if !regexp.MustCompile(`(?m)^` + name + `(_count)?[{ ]`).Match(text) {
				t.Errorf("%s names %s, which the running service does not show", file, name)
			}
		}
	}
	if got := status(t, base+"/debug/pprof/goroutine?debug=1"); got != 200 {
		t.Errorf("the profiles answer %d", got)
	}
}
