package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lastseen/keys"
	"lastseen/schema/schematest"
)

// followTrial is a service behind an address that stays when the service is started again, with some sessions whose points
// a follower gets, and one of another organisation's.
type followTrial struct {
	*service
	dir, address string
	sessions     []string
	token, other string
	current      atomic.Pointer[url.URL] // nil while the service is away
	sent         int
}

func newFollowTrial(t *testing.T) *followTrial {
	t.Helper()
	schematest.OnlyOn(t, schematest.Embedded, "on a server the feed shows what is new a minute after a start")
	f := &followTrial{dir: t.TempDir()}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to := f.current.Load()
		if to == nil {
			http.Error(w, "away", http.StatusBadGateway)
			return
		}
		(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0)}).ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	f.address = proxy.URL
	f.start(t)
	f.token, f.other = f.service.token(t, "org_follow", keys.RoleOwner), f.service.token(t, "org_else", keys.RoleOwner)
	for i := range 3 {
		f.sessions = append(f.sessions, f.newSession(t, f.token, fmt.Sprintf("follow-%d", i)))
	}
	f.newSession(t, f.other, "else")
	return f
}

func (f *followTrial) start(t *testing.T) {
	t.Helper()
	s, err := startService(f.dir, "--ingest-interval", "5ms", "--outliers=off")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.process.ProcessState == nil {
			s.kill()
		}
	})
	f.service = s
	address, err := url.Parse(s.base)
	if err != nil {
		t.Fatal(err)
	}
	f.current.Store(address)
}

// send sends points of which one in three replaces another one.
func (f *followTrial) send(t *testing.T, points int) {
	t.Helper()
	var lines []string
	for range points {
		f.sent++
		n := f.sent
		if n%3 == 0 && n > 7 {
			n -= 7 // which was sent before
		}
		at := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Second).Format(time.RFC3339)
		lines = append(lines, fmt.Sprintf(`{"session_id":%q,"timestamp":%q,"latitude":%v,"longitude":1}`, f.sessions[n%2], at, float64(f.sent%900)/10))
	}
	f.post(t, "/tracking/timeseries/session_by_device/ingest/v1", nil, f.token, "["+strings.Join(lines, ",")+"]", new(any))
}

// follower is a process that follows.
type follower struct {
	process *exec.Cmd
	stderr  *strings.Builder
}

func (f *followTrial) follow(t *testing.T, dir string, more ...string) *follower {
	t.Helper()
	p := exec.Command(binary, append([]string{"export", "--follow", dir, "--interval", "1s", "--file-points", "40"}, more...)...)
	p.Env = append(os.Environ(), "LASTSEEN_SERVER="+f.address, "LASTSEEN_TOKEN="+f.token)
	started := &follower{process: p, stderr: new(strings.Builder)}
	p.Stderr = started.stderr
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.ProcessState == nil {
			p.Process.Kill()
			p.Wait()
		}
	})
	return started
}

// end sends a signal and returns the exit code.
func (f *follower) end(t *testing.T, signal os.Signal) int {
	t.Helper()
	if err := f.process.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	f.process.Wait()
	return f.process.ProcessState.ExitCode()
}

// followed reads the files of a directory, in order.
func followed(t *testing.T, dir, format string) (files []string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "points-*."+format))
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range names { // sorted
		if want := fmt.Sprintf("points-%09d.%s", i+1, format); filepath.Base(name) != want {
			t.Fatalf("%s is there and not %s", name, want)
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, string(text))
	}
	return files
}

// await polls until something holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(startTimeout); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("in vain awaited: %s", what)
		}
	}
}

// TestAFollowerThatIsKilledEndsWithEachArrivalOnce kills the follower and the service at random moments while points arrive
// and are replaced. In the end each arrival is in one file, and the last of each point is what is stored.
func TestAFollowerThatIsKilledEndsWithEachArrivalOnce(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	f := newFollowTrial(t)
	dir := t.TempDir()
	for life := range 8 {
		f.send(t, 90)
		running := f.follow(t, dir)
		if life == 5 {
			f.current.Store(nil)
			if err := f.kill(); err != nil {
				t.Error(err)
			}
			f.start(t)
		}
		before := len(followed(t, dir, "ndjson"))
		if n := rng.IntN(3); n > 0 { // or else as soon as can be
			await(t, "another file", func() bool { return len(followed(t, dir, "ndjson")) >= before+n || life == 0 })
		}
		if code := running.end(t, os.Kill); code != -1 {
			t.Errorf("it ended by itself with %d: %s", code, running.stderr)
		}
	}
	last := f.follow(t, dir, "--once")
	if err := last.process.Wait(); err != nil {
		t.Fatalf("%v: %s", err, last.stderr)
	}
	f.check(t, followed(t, dir, "ndjson"))
	if left, _ := filepath.Glob(filepath.Join(dir, ".*.part")); len(left) > 0 {
		t.Errorf("these are left: %q", left)
	}
}

// check compares files with what is stored.
func (f *followTrial) check(t *testing.T, files []string) {
	t.Helper()
	newest, places := map[string]string{}, map[string]bool{}
	for _, file := range files {
		if n := strings.Count(file, "\n"); n < 1 || n > 40 {
			t.Errorf("a file has %d points", n)
		}
		for line := range strings.Lines(file) {
			var p dataPoint
			if err := json.Unmarshal([]byte(line), &p); err != nil {
				t.Fatal(err)
			}
			place := p.ID + " " + p.ReceivedAt.String()
			if places[place] {
				t.Errorf("%s is there twice", place)
			}
			places[place] = true
			newest[p.ID] = line
		}
	}
	stored := map[string]string{}
	for _, session := range f.sessions {
		status, body, err := f.do(t.Context(), http.MethodGet, historyPath, url.Values{"session_id": {session}, "format": {"ndjson"},
			"start_timestamp": {"2026-01-01T00:00:00Z"}, "end_timestamp": {"2026-03-01T00:00:00Z"}}, f.token, "")
		if err != nil || status != http.StatusOK {
			t.Fatalf("%d %s %v", status, body, err)
		}
		for line := range strings.Lines(string(body)) {
			var p dataPoint
			if err := json.Unmarshal([]byte(line), &p); err != nil {
				t.Fatal(err)
			}
			stored[p.ID] = line
		}
	}
	if diff := cmp.Diff(stored, newest); diff != "" || len(places) <= len(newest) {
		t.Errorf("of %d arrivals the last ones are not what is stored (- stored, + files):\n%.3000s", len(places), diff)
	}
}

// TestAFollowerStopsCleanlyAndGoesOn when it is told to stop, waits for what arrives, and puts up with a server that is away.
func TestAFollowerStopsCleanlyAndGoesOn(t *testing.T) {
	t.Parallel()
	f := newFollowTrial(t)
	dir := t.TempDir()
	running := f.follow(t, dir)
	f.current.Store(nil)
	f.send(t, 30)
	address, err := url.Parse(f.base)
	if err != nil {
		t.Fatal(err)
	}
	f.current.Store(address)
	await(t, "the first file", func() bool { return len(followed(t, dir, "ndjson")) == 1 })
	f.send(t, 30)
	await(t, "what arrived meanwhile", func() bool { return len(followed(t, dir, "ndjson")) == 2 })
	if code := running.end(t, os.Interrupt); code != 0 || !strings.Contains(running.stderr.String(), "2 files") {
		t.Errorf("exit code %d: %s", code, running.stderr)
	}
	f.send(t, 30)
	if err := os.Remove(filepath.Join(dir, "points-000000001.ndjson")); err != nil { // who reads may take files away
		t.Fatal(err)
	}
	again := f.follow(t, dir, "--once")
	if err := again.process.Wait(); err != nil {
		t.Fatalf("%v: %s", err, again.stderr)
	}
	if _, err := os.Stat(filepath.Join(dir, "points-000000003.ndjson")); err != nil {
		t.Error(err)
	}
	env := []string{"LASTSEEN_SERVER=" + f.address, "LASTSEEN_TOKEN=" + f.token}
	for why, flags := range map[string][]string{
		"choose another directory, or the same": {"--format", "csv"}, "the same --format": {"--org-scope", "owned_and_shared"},
		"--received-after": {"--received-after", "2026-01-01"},
	} {
		if _, stderr, code := command(t, env, append([]string{"export", "--once", "--follow", dir}, flags...)...); code != 1 || !strings.Contains(stderr, why) {
			t.Errorf("%v: exit code %d, %s", flags, code, stderr)
		}
	}
	refused := []string{"LASTSEEN_SERVER=" + f.address, "LASTSEEN_TOKEN=" + f.other}
	if _, stderr, code := command(t, refused, "export", "--once", "--follow", dir); code != 1 || !strings.Contains(stderr, "cursor") {
		t.Errorf("another organisation goes on: exit code %d, %s", code, stderr)
	}
}

// TestAFolderOfEveryFormatHasTheSamePoints also when the follower before was killed between the state and the file's name.
func TestAFolderOfEveryFormatHasTheSamePoints(t *testing.T) {
	t.Parallel()
	f := newFollowTrial(t)
	f.send(t, 100)
	env := []string{"LASTSEEN_SERVER=" + f.address, "LASTSEEN_TOKEN=" + f.token}
	counts := map[string]int{}
	for _, format := range []string{"ndjson", "csv", "parquet", "arrow"} {
		dir := t.TempDir()
		args := []string{"export", "--follow", dir, "--once", "--file-points", "40", "--format", format}
		mustRun(t, env, args...)
		files := followed(t, dir, format)
		last := fmt.Sprintf("points-%09d.%s", len(files), format)
		if err := os.Rename(filepath.Join(dir, last), filepath.Join(dir, "."+last+".part")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, ".points-000000099."+format+".part"), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		mustRun(t, env, args...)
		if again := followed(t, dir, format); !slices.Equal(again, files) {
			t.Errorf("%s: %d files after a kill, and %d before", format, len(again), len(files))
		}
		for _, file := range files {
			switch format {
			case "parquet":
				for reader := schematest.ReadParquet(t, []byte(file)); reader.Next(); {
					counts[format] += int(reader.RecordBatch().NumRows())
				}
			case "csv":
				counts[format] += strings.Count(file, "\n") - 1
			case "ndjson":
				counts[format] += strings.Count(file, "\n")
			default:
				counts[format] = counts["ndjson"]
			}
		}
	}
	if want := map[string]int{"ndjson": counts["ndjson"], "csv": counts["ndjson"], "parquet": counts["ndjson"], "arrow": counts["ndjson"]}; !maps.Equal(counts, want) || counts["csv"] < 60 {
		t.Errorf("the files have %v points", counts)
	}
}

func TestFlagsThatDoNotGoWithFollowing(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"--out y":              "leave out --start, --end, --out",
		"--session x":          "what chooses sessions",
		"--format gpx":         "ndjson, csv, parquet, arrow",
		"--interval 10ms":      "--interval must be",
		"--file-points 0":      "--file-points must be",
		"--start 2026-01-01":   "leave out --start",
		"--received-after now": "is no time",
	} {
		if _, stderr, code := command(t, nil, append([]string{"export", "--follow", "x"}, strings.Fields(line)...)...); code != 2 || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d, %s", line, code, stderr)
		}
	}
}
