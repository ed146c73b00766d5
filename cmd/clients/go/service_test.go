package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// service is a running lastseen with two sessions, of which the first has points.
type service struct {
	binary, data, base string
	owner, key         *Client
	keyText            string
	sessions           [2]string
}

// midnight is the time of the first point; they are a second apart.
var midnight = time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC)

const points = 500

// startService starts the program that LASTSEEN_BINARY names.
func startService(t *testing.T) *service {
	t.Helper()
	s := &service{binary: os.Getenv("LASTSEEN_BINARY"), data: filepath.Join(t.TempDir(), "data")}
	if s.binary == "" {
		t.Skip("LASTSEEN_BINARY names no program; make test-clients does")
	}
	process := exec.Command(s.binary, "serve", "--addr", "127.0.0.1:0", "--data-dir", s.data, "--admin-addr", "")
	log, err := process.StderrPipe()
	if err == nil {
		err = process.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(process.Process.Signal(syscall.SIGTERM), process.Wait()); err != nil {
			t.Errorf("lastseen serve: %v", err)
		}
	})
	lines := bufio.NewScanner(log)
	for s.base == "" && lines.Scan() {
		var entry struct{ Msg, Address string }
		if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Msg == "listening" {
			s.base = "http://" + entry.Address
		}
	}
	go func() {
		for lines.Scan() { // ends with the process
		}
	}()
	token := s.run(t, "token", "--data-dir", s.data, "--org", "org_go", "--user", "u", "--role", "owner")
	s.owner = s.client(t, token)
	s.fill(t)
	return s
}

func (s *service) run(t *testing.T, args ...string) string {
	t.Helper()
	output, err := exec.Command(s.binary, args...).Output()
	if err != nil {
		t.Fatalf("lastseen %q: %v", args, err)
	}
	return strings.TrimSpace(string(output))
}

func (s *service) client(t *testing.T, credential string) *Client {
	t.Helper()
	c, err := New(s.base, credential)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// fill makes the sessions, their points and a key.
func (s *service) fill(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	for i := range s.sessions {
		device, err := s.owner.RegisterDevice(ctx, Device{MACAddress: fmt.Sprintf("AA:BB:CC:00:00:%02d", i)})
		if err == nil {
			s.sessions[i], _, err = s.owner.EnsureSession(ctx, device, NewSession{})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var body []byte
	for i := range points {
		body = AppendPoint(body, pointAt(s.sessions[0], i))
	}
	if result, err := s.owner.Ingest(ctx, body); err != nil || result.Accepted != points {
		t.Fatalf("Ingest = %+v, %v", result, err)
	}
	record, err := s.owner.CreateKey(ctx, NewKey{Name: "go", ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	s.keyText = record.Key
	s.key = s.client(t, record.Key)
}

func pointAt(session string, second int) Point {
	nothing := math.NaN()
	return Point{
		SessionID: session, Timestamp: midnight.Add(time.Duration(second) * time.Second), Latitude: 40 + float64(second)/1e4, Longitude: -73,
		Altitude: nothing, Accuracy: nothing, Speed: 3, Heading: nothing, Temperature: nothing, Battery: nothing,
	}
}

func TestAgainstAService(t *testing.T) {
	s := startService(t)
	t.Run("polls and batches", s.pollsAndBatches)
	t.Run("histories and feeds", s.historiesAndFeeds)
	t.Run("changes", s.changes)
	t.Run("sessions and keys", s.sessionsAndKeys)
	t.Run("the examples", s.examples)
}

func (s *service) pollsAndBatches(t *testing.T) {
	ctx, newest := t.Context(), midnight.Add((points-1)*time.Second)
	poll := s.key.Poll(s.sessions[0])
	for i, wait := range []time.Duration{0, 0, time.Second} {
		point, changed, err := poll.Next(ctx, wait)
		if err != nil || changed != (i == 0) || !point.Timestamp.Equal(newest) || point.Location.Longitude() != -73 || *point.Location.Properties.Speed != 3 {
			t.Errorf("poll %d: %+v, %t, %v", i, point, changed, err)
		}
	}
	if point, err := s.key.LastSeen(ctx, s.sessions[1]); point != nil || err != nil {
		t.Errorf("a session without a point: %+v, %v", point, err)
	}
	batch := s.key.Batch(s.sessions[0], s.sessions[1], strings.Repeat("0", 24))
	for i := range 2 {
		got, changed, err := batch.Next(ctx)
		if err != nil || changed != (i == 0) || len(got.Points) != 3 || got.Points[1] != nil || len(got.NotFound) != 1 || !got.Points[0].Timestamp.Equal(newest) {
			t.Errorf("batch %d: %+v, %t, %v", i, got, changed, err)
		}
	}
}

func (s *service) historiesAndFeeds(t *testing.T) {
	next := midnight
	for point, err := range s.key.DataPoints(t.Context(), s.sessions[0], midnight, midnight.Add(24*time.Hour)) {
		if err != nil || !point.Timestamp.Equal(next) {
			t.Fatalf("at %s: %+v, %v", next, point, err)
		}
		next = next.Add(time.Second)
	}
	if got := next.Sub(midnight) / time.Second; got != points {
		t.Errorf("the history has %d points", got)
	}
	ctx, stop := context.WithCancel(t.Context())
	var ids []string
	for page, err := range s.key.Feed(ctx, "", time.Hour) {
		if err != nil {
			t.Fatal(err)
		}
		for _, point := range page.Points {
			ids = append(ids, point.ID)
		}
		if len(ids) == points {
			break
		}
	}
	stop()
	slices.Sort(ids)
	if len(slices.Compact(ids)) != points {
		t.Errorf("the feed has %d points", len(ids))
	}
}

func (s *service) changes(t *testing.T) {
	var seen []string
	for changes, err := range s.key.Changes(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		for _, point := range changes.Points {
			seen = append(seen, point.Metadata.SessionID)
		}
		if len(seen) > 1 {
			break
		}
		if _, err := s.owner.Ingest(t.Context(), AppendPoint(nil, pointAt(s.sessions[1], 0))); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(seen, s.sessions[:]) {
		t.Errorf("changed are %q, want %q", seen, s.sessions)
	}
}

func (s *service) sessionsAndKeys(t *testing.T) {
	var ids []string
	for session, err := range s.key.Sessions(t.Context(), map[string][]string{"page_size": {"1"}}) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, session.ID)
	}
	if !slices.Equal(ids, s.sessions[:]) {
		t.Errorf("the sessions are %q, want %q", ids, s.sessions)
	}
	records, err := s.owner.ListKeys(t.Context(), nil)
	if err != nil || len(records) != 1 || records[0].Name != "go" {
		t.Errorf("ListKeys = %+v, %v", records, err)
	}
	if _, err := s.key.ListKeys(t.Context(), nil); !HasStatus(err, 403) {
		t.Errorf("a key that lists keys: %v", err)
	}
	if _, err := s.key.LastSeen(t.Context(), strings.Repeat("0", 24)); !HasStatus(err, 404) {
		t.Errorf("an absent session: %v", err)
	}
}

// examples builds and runs each of them.
func (s *service) examples(t *testing.T) {
	folder := t.TempDir()
	if output, err := exec.Command("go", "build", "-o", folder+"/", "./examples/...").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	environment := append(os.Environ(), "LASTSEEN_SERVER="+s.base, "LASTSEEN_KEY="+s.keyText)
	example := func(name string, args ...string) *exec.Cmd {
		process := exec.CommandContext(t.Context(), filepath.Join(folder, name), args...)
		process.Env, process.Stderr = environment, os.Stderr
		return process
	}
	output, err := example("batch", s.sessions[0], strings.Repeat("0", 24)).Output()
	if want := s.sessions[0] + " 2026-01-15T00:08:19Z 40.0499 -73\n" + strings.Repeat("0", 24) + " nowhere\n"; err != nil || string(output) != want {
		t.Errorf("batch says %q, %v", output, err)
	}
	points := filepath.Join(folder, "points")
	for i := range 2 { // the second time nothing is new
		output, err := example("feed", points).Output()
		files, _ := filepath.Glob(filepath.Join(points, "*.parquet"))
		if err != nil || (len(output) > 0) != (i == 0) || len(files) != 1 {
			t.Fatalf("feed says %q, %v, and has the files %q", output, err, files)
		}
		if content, err := os.ReadFile(files[0]); err != nil || !bytes.HasPrefix(content, []byte("PAR1")) || !bytes.HasSuffix(content, []byte("PAR1")) {
			t.Errorf("%s is no Parquet file: %v", files[0], err)
		}
	}
	for name, want := range map[string]string{"poll": "2026-01-15T00:08:19Z 40.0499 -73", "changes": " 2026-01-15T00:0"} {
		process := example(name, s.sessions[0])
		out, err := process.StdoutPipe()
		if err == nil {
			err = process.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil || !strings.Contains(line, want) {
			t.Errorf("%s says %q, %v", name, line, err)
		}
		if err := errors.Join(process.Process.Signal(os.Interrupt), process.Wait()); err != nil {
			t.Errorf("%s after an interrupt: %v", name, err)
		}
	}
}

// TestTheModuleCanBeFetched gets it as any other module is got, from a folder with the layout of a proxy.
func TestTheModuleCanBeFetched(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds a program")
	}
	proxy, program := t.TempDir(), t.TempDir()
	if output, err := exec.Command("./module.sh", "v0.1.0", proxy).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	main := "package main\n\nimport \"lastseen.example/client\"\n\nfunc main() { _, _ = client.New(\"http://127.0.0.1\", \"\") }\n"
	if err := os.WriteFile(filepath.Join(program, "main.go"), []byte(main), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"mod init program", "get lastseen.example/client@v0.1.0", "vet ."} {
		process := exec.Command("go", strings.Fields(line)...)
		process.Dir = program
		process.Env = append(os.Environ(), "GOPROXY=file://"+proxy, "GONOSUMDB=lastseen.example/*", "GOFLAGS=-modcacherw", "GOMODCACHE="+filepath.Join(proxy, "cache"), "GOWORK=off")
		if output, err := process.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", line, err, output)
		}
	}
}
