package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/schema/clickhousetest"
	"lastseen/schema/schematest"
)

// startClickHouse runs lastseen clickhouse on a data directory and returns what it says and how to end it.
func startClickHouse(t *testing.T, dir, address string) (said string, stop func()) {
	t.Helper()
	command := exec.Command(binary, "clickhouse", "--data-dir", dir, "--http-addr", address)
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer // read after the process has ended
	command.Stderr = &stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	said, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Errorf("lastseen clickhouse says nothing: %v", err)
	}
	ended := false
	stop = func() {
		if ended {
			return
		}
		ended = true
		if err := command.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := command.Wait(); err != nil {
			t.Errorf("after SIGTERM: %v, %q", err, stderr.String())
		}
		if !strings.Contains(stderr.String(), "stops, since a signal asked for it") {
			// Once in some hundred times the process had ended with code 0 before; what exit ends is told since then (embedded.exitWatch).
			t.Logf("it was gone before the signal: %q", stderr.String())
		}
	}
	t.Cleanup(stop)
	return said, stop
}

func TestADataDirectoryMovesToAServerAndBack(t *testing.T) {
	t.Parallel()
	schematest.OnlyOn(t, schematest.Embedded, "the test starts its own server")
	dir, address := t.TempDir(), clickhousetest.FreeAddress(t)
	var session string
	visit := func(points int, flags ...string) {
		t.Helper()
		s, err := startService(dir, flags...)
		if err != nil {
			t.Fatal(err)
		}
		token := s.token(t, "org_moves", keys.RoleOwner)
		if session == "" {
			session = s.newSession(t, token, "AA:BB:CC:00:00:01")
		}
		var answer json.RawMessage
		at := fmt.Sprintf("2026-01-15T00:00:%02dZ", points)
		s.post(t, "/tracking/timeseries/session_by_device/ingest/v1", nil, token,
			fmt.Sprintf(`{"points":[{"session_id":%q,"timestamp":%q,"latitude":1,"longitude":2}]}`, session, at), &answer)
		key, _ := s.newKey(t, token, at)
		var got struct {
			DataPoints []json.RawMessage `json:"data_points"`
		}
		s.get(t, "/tracking/timeseries/session_by_device/data_points/v1", url.Values{
			"session_id": {session}, "start_timestamp": {"2026-01-15T00:00:00Z"}, "end_timestamp": {"2026-01-16T00:00:00Z"},
		}, key, &got)
		if len(got.DataPoints) != points {
			t.Errorf("with %v there are %d points, want %d", flags, len(got.DataPoints), points)
		}
		if err := s.terminate(); err != nil {
			t.Fatal(err)
		}
	}
	visit(1)
	said, stop := startClickHouse(t, dir, address)
	server := "http://" + address + "/lastseen"
	if want := "lastseen serve --data-dir " + dir + " --clickhouse " + server; !strings.Contains(said, want) {
		t.Errorf("lastseen clickhouse says %q, want it to name %q", said, want)
	}
	visit(2, "--clickhouse", server)
	if got := askHTTP(t, "http://"+address, "SELECT count() FROM lastseen.session_by_device_data_points"); got != "2" {
		t.Errorf("any client is told of %q points, want 2", got)
	}
	if _, err := startService(dir); err == nil || !strings.Contains(err.Error(), "stop it or choose another directory") {
		t.Errorf("serve on the directory that a server holds fails with %v", err)
	}
	stop()
	visit(3)
}

func askHTTP(t *testing.T, url, sql string) string {
	t.Helper()
	client := http.Client{Timeout: time.Minute}
	response, err := client.Post(url, "text/plain", strings.NewReader(sql))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(body))
}

func TestClickHouseSaysWhyItDoesNotStart(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	inUse := listener.Addr().String()
	for want, args := range map[string][]string{
		"give another --http-addr":   {"--http-addr", inUse},
		"must be a loopback address": {"--http-addr", "0.0.0.0:8123"},
		"must have the IP address":   {"--http-addr", "127.0.0.1:8123", "--tcp-addr", "127.0.0.2:9000"},
	} {
		args = append([]string{"clickhouse", "--data-dir", filepath.Join(t.TempDir(), "data")}, args...)
		output, err := exec.Command(binary, args...).CombinedOutput()
		if err == nil || !strings.Contains(string(output), want) || strings.Count(string(output), "\n") != 1 {
			t.Errorf("%v: %v, %q, want one line with %q", args, err, output, want)
		}
	}
}
