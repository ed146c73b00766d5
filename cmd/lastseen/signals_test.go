package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"lastseen/keys"
)

// waitFor reads log lines until one with a message.
func waitFor(t *testing.T, lines <-chan string, message string) (address string) {
	t.Helper()
	for line := range lines {
		var entry struct{ Msg, Address string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == message {
			return entry.Address
		}
	}
	t.Fatalf("the process ended without logging %q", message)
	return ""
}

// end waits for a process that has been told to stop and returns its exit code.
func (s *service) end(lines <-chan string) int {
	for range lines {
	}
	<-s.logged
	if s.process.Wait() != nil {
		return s.process.ProcessState.ExitCode()
	}
	return 0
}

func signalTo(t *testing.T, s *service, signal os.Signal) {
	t.Helper()
	if err := s.process.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

func TestASignalDuringTheStartStopsWith0(t *testing.T) {
	t.Parallel()
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		s, lines, err := launchService(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		waitFor(t, lines, "starting")
		signalTo(t, s, signal)
		if code := s.end(lines); code != 0 {
			t.Errorf("%v: exit code %d\n%s", signal, code, s.log.String())
		}
	}
}

func TestASecondSignalStopsAtOnce(t *testing.T) {
	t.Parallel()
	s, lines, err := launchService(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	connection := slowIngest(t, s, waitFor(t, lines, "listening"))
	defer connection.Close()
	signalTo(t, s, syscall.SIGTERM)
	waitFor(t, lines, "stopping")
	signalTo(t, s, syscall.SIGTERM)
	if code := s.end(lines); code != 1 || !strings.Contains(s.log.String(), "a second signal") {
		t.Errorf("exit code %d\n%s", code, s.log.String())
	}
}

// TestSIGTERMLetsARequestFinish stops the service while a request's body is half sent.
func TestSIGTERMLetsARequestFinish(t *testing.T) {
	t.Parallel()
	s, lines, err := launchService(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	connection := slowIngest(t, s, waitFor(t, lines, "listening"))
	defer connection.Close()
	signalTo(t, s, syscall.SIGTERM)
	waitFor(t, lines, "stopping")
	if _, err := fmt.Fprint(connection, `]}`); err != nil {
		t.Fatal(err)
	}
	answer, err := bufio.NewReader(connection).ReadString('\n')
	if err != nil || !strings.Contains(answer, " 200 ") {
		t.Errorf("the request in flight got %q, %v", answer, err)
	}
	if code := s.end(lines); code != 0 {
		t.Errorf("exit code %d\n%s", code, s.log.String())
	}
}

// slowIngest sends an ingest request up to the last two bytes of its body, and returns when the server
// has begun to read that.
func slowIngest(t *testing.T, s *service, address string) net.Conn {
	t.Helper()
	connection, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	token := s.token(t, "org_slow", keys.RoleOwner)
	_, err = fmt.Fprintf(connection, "POST /tracking/timeseries/session_by_device/ingest/v1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: 13\r\nExpect: 100-continue\r\n\r\n", token)
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(connection).ReadString('\n'); err != nil || !strings.Contains(line, " 100 ") {
		t.Fatalf("asked to go on with the body, got %q, %v", line, err)
	}
	if _, err := fmt.Fprint(connection, `{"points":[`); err != nil {
		t.Fatal(err)
	}
	return connection
}
