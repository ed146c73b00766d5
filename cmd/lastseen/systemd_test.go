package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// systemd is what the service sees of the service manager: sockets that are handed over, and one to be told things on.
type systemd struct {
	sockets []*os.File
	notify  *net.UnixConn
}

// newSystemd listens on a port of the loopback and, as the service manager, for what the service says.
func newSystemd(t *testing.T) (manager *systemd, address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	socket, err := listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { notify.Close() })
	return &systemd{sockets: []*os.File{socket}, notify: notify}, listener.Addr().String()
}

// starts has a process started as systemd does: the variables name the process itself, which only a shell in its place can know.
func (m *systemd) starts(process *exec.Cmd) {
	process.Path = "/bin/sh"
	process.Args = append([]string{"sh", "-c", `export LISTEN_PID=$$; exec "$@"`, "sh"}, process.Args...)
	process.ExtraFiles = m.sockets
	process.Env = append(os.Environ(), fmt.Sprintf("LISTEN_FDS=%d", len(m.sockets)), "NOTIFY_SOCKET="+m.notify.LocalAddr().String())
}

// said returns the next thing that the service has told the manager.
func (m *systemd) said(t *testing.T) string {
	t.Helper()
	if err := m.notify.SetReadDeadline(time.Now().Add(startTimeout)); err != nil {
		t.Fatal(err)
	}
	text := make([]byte, 1000)
	n, err := m.notify.Read(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(text[:n])
}

func TestWhoConnectsDuringARestartWaitsForIt(t *testing.T) {
	t.Parallel()
	manager, address := newSystemd(t)
	dir := t.TempDir()
	start := func() *service {
		s, lines, err := launchServiceAs(manager.starts, dir)
		if err == nil {
			s, err = s.listening(lines)
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimPrefix(s.base, "http://"); got != address {
			t.Errorf("the service listens on %s and not on the socket that it was handed, %s", got, address)
		}
		if said := manager.said(t); said != "READY=1" {
			t.Errorf("when the service listens it says %q", said)
		}
		return s
	}
	stop := func(s *service) {
		if err := s.terminate(); err != nil {
			t.Fatal(err)
		}
		if said := manager.said(t); said != "STOPPING=1" {
			t.Errorf("when the service stops it says %q", said)
		}
	}
	stop(start())
	waiting, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatalf("between two services: %v", err)
	}
	defer waiting.Close()
	if _, err := io.WriteString(waiting, "GET /readyz HTTP/1.1\r\nHost: lastseen\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	s := start()
	if err := waiting.SetReadDeadline(time.Now().Add(startTimeout)); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(waiting), nil)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("who connected between two services got %v, %v", response, err)
	}
	stop(s)
}

func TestSocketsThatTheServiceCannotTakeGetASentence(t *testing.T) {
	t.Parallel()
	manager, _ := newSystemd(t)
	datagrams, err := manager.notify.File()
	if err != nil {
		t.Fatal(err)
	}
	defer datagrams.Close()
	for name, sockets := range map[string][]*os.File{
		"two of TCP":       {manager.sockets[0], manager.sockets[0]},
		"one of datagrams": {datagrams},
	} {
		process := exec.Command(binary, "serve", "--data-dir", t.TempDir())
		(&systemd{sockets: sockets, notify: manager.notify}).starts(process)
		output, err := process.CombinedOutput()
		const want = "where the service takes one of TCP: leave one ListenStream=HOST:PORT in lastseen.socket"
		if lines := strings.Split(strings.TrimSpace(string(output)), "\n"); err == nil || !strings.Contains(lines[len(lines)-1], want) {
			t.Errorf("%s: %v, %s", name, err, output)
		}
	}
}
