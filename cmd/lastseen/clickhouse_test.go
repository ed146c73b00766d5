package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startClickHouse runs lastseen clickhouse on a data directory and returns what it says and how to end it.
func startClickHouse(t *testing.T, dir, address string) (said string, stop func()) {
	t.Helper()
	command := exec.Command(binary, "clickhouse", "--data-dir", dir, "--http-addr", address)
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
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
			t.Errorf("after SIGTERM: %v", err)
		}
	}
	t.Cleanup(stop)
	return said, stop
}

// unusedAddress is one on which nobody listens, for now.
func unusedAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func TestADataDirectoryMovesToAServerAndBack(t *testing.T) {
	dir, address := t.TempDir(), unusedAddress(t)
	embedded, err := startService(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := embedded.terminate(); err != nil {
		t.Fatal(err)
	}
	said, stop := startClickHouse(t, dir, address)
	url := "http://" + address + "/lastseen"
	if want := "lastseen serve --data-dir " + dir + " --clickhouse " + url; !strings.Contains(said, want) {
		t.Errorf("lastseen clickhouse says %q, want it to name %q", said, want)
	}
	if got := askHTTP(t, "http://"+address, "SELECT count() > 0 FROM system.tables WHERE database = 'lastseen'"); got != "1" {
		t.Errorf("asked whether the tables are there the server says %q", got)
	}
	_, err = startService(dir)
	if err == nil || !strings.Contains(err.Error(), "stop it or choose another directory") {
		t.Errorf("serve on the directory that a server holds fails with %v", err)
	}
	stop()
	again, err := startService(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.terminate(); err != nil {
		t.Fatal(err)
	}
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
