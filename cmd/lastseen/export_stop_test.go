package main

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"lastseen/keys"
)

// holdingProxy passes requests on to a service and holds the answer of one of them in its middle.
type holdingProxy struct {
	*httptest.Server
	pulls atomic.Int64  // requests for points
	asked atomic.Int64  // requests for what is held
	held  chan struct{} // closed in the middle of the answer
}

// newHoldingProxy holds the answer of the nth request for a path until its client has gone.
func newHoldingProxy(t *testing.T, s *service, path string, nth int64) *holdingProxy {
	t.Helper()
	p := &holdingProxy{held: make(chan struct{})}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request := r.Clone(r.Context())
		request.RequestURI, request.URL.Scheme, request.URL.Host, request.Host = "", "http", strings.TrimPrefix(s.base, "http://"), ""
		response, err := requests.Do(request)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer response.Body.Close()
		maps.Copy(w.Header(), response.Header)
		w.WriteHeader(response.StatusCode)
		body, err := io.ReadAll(response.Body)
		if err != nil {
			panic(http.ErrAbortHandler) // cuts the connection
		}
		if r.URL.Path == historyPath {
			p.pulls.Add(1)
		}
		if r.URL.Path != path || p.asked.Add(1) != nth {
			w.Write(body)
			return
		}
		w.Write(body[:len(body)/2])
		w.(http.Flusher).Flush()
		close(p.held)
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(p.Close)
	return p
}

// interrupt runs a command through a proxy and sends it SIGINT in the middle of the answer that the
// proxy holds.
func interrupt(t *testing.T, p *holdingProxy, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, messages bytes.Buffer
	process := exec.CommandContext(t.Context(), binary, args...)
	process.Stdout, process.Stderr, process.Env = &out, &messages, append(append(os.Environ(), env...), "LASTSEEN_SERVER="+p.URL)
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		process.Wait()
		close(ended)
	}()
	select {
	case <-p.held:
	case <-ended:
		t.Fatalf("the command ended before it was interrupted: %s", messages.String())
	}
	if err := process.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-ended
	return out.String(), messages.String(), process.ProcessState.ExitCode()
}

// TestACommandThatIsInterruptedInARequestSaysSo rather than ask whether the server runs.
func TestACommandThatIsInterruptedInARequestSaysSo(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	env := []string{"LASTSEEN_TOKEN=" + s.token(t, "org_impatient", keys.RoleOwner)}
	for path, args := range map[string][]string{
		"/orgs/api_keys/list/v1":   {"keys", "list"},
		"/orgs/api_keys/create/v1": {"keys", "create", "--name", "n"},
	} {
		stdout, stderr, code := interrupt(t, newHoldingProxy(t, s, path, 1), env, args...)
		if code != 1 || stdout != "" || !strings.Contains(stderr, ": interrupted before the server had answered") || strings.Contains(stderr, "running") {
			t.Errorf("%v: exit code %d, stdout %q, stderr %q", args, code, stdout, stderr)
		}
	}
}

func TestAnExportThatIsInterruptedPullsOnlyWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	env := exporting(t, s, "org_interrupted")
	for _, test := range []struct {
		format                string
		held, complete, pulls int64 // the request that is held, the files then, all requests of one export
	}{
		{"ndjson", 14, 1, 30}, {"csv", 25, 2, 30}, {"gpx", 2, 1, 3}, {"parquet", 1, 0, 3},
	} {
		t.Run(test.format, func(t *testing.T) {
			t.Parallel()
			whole, dir := t.TempDir(), t.TempDir()
			args := append(slices.Clone(exportRange), "--format", test.format, "--parallel", "1", "--page-points", "100", "--out")
			mustRun(t, env, append(slices.Clone(args), whole)...)
			want := contents(t, whole)
			p := newHoldingProxy(t, s, historyPath, test.held)
			stdout, stderr, code := interrupt(t, p, env, append(args, dir)...)
			if code != 1 || stdout != "" || !strings.HasSuffix(stderr, "interrupted: run the same command again to go on\n") {
				t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
			}
			got := contents(t, dir)
			for name, text := range got {
				if text != want[name] {
					t.Errorf("%s has its name and is not complete", name)
				}
			}
			if len(want) != 3 || int64(len(got)) != test.complete || p.pulls.Load() != test.held {
				t.Errorf("%d of %d files are complete after %d requests, want %d after %d", len(got), len(want), p.pulls.Load(), test.complete, test.held)
			}
			mustRun(t, append(slices.Clone(env), "LASTSEEN_SERVER="+p.URL), append(args, dir)...)
			if got := contents(t, dir); !maps.Equal(got, want) {
				t.Errorf("the resumed export has %d files, or other ones, than the %d of one that was not interrupted", len(got), len(want))
			}
			if n := p.pulls.Load(); n != test.pulls+1 { // the one that was held is made twice
				t.Errorf("both runs made %d requests for points, want %d", n, test.pulls+1)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, ".*.[ps]*")); len(left) > 0 {
				t.Errorf("these are left: %q", left)
			}
		})
	}
}

// TestAnExportThatIsInterruptedAmongTheSessionsHasBegunNothing: neither before the first export into
// a directory, which is not even made, nor before one that goes on with what is there.
func TestAnExportThatIsInterruptedAmongTheSessionsHasBegunNothing(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	env := exporting(t, s, "org_listing")
	const listPath = "/tracking/sessions/list/v1"
	for _, format := range []string{"ndjson", "csv", "parquet"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			whole, dir := t.TempDir(), filepath.Join(t.TempDir(), "files")
			args := append(slices.Clone(exportRange), "--format", format, "--parallel", "1", "--page-points", "100", "--out")
			mustRun(t, env, append(slices.Clone(args), whole)...)
			want := contents(t, whole)
			listing := func(out string) {
				t.Helper()
				p := newHoldingProxy(t, s, listPath, 1)
				stdout, stderr, code := interrupt(t, p, env, append(slices.Clone(args), out)...)
				if code != 1 || stdout != "" || stderr != "lastseen: the export was interrupted before the first session: run the same command again\n" {
					t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
				}
				if n := p.pulls.Load(); n > 0 {
					t.Errorf("%d requests for points", n)
				}
			}
			listing(dir)
			if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the directory is there: %v", err)
			}
			interrupt(t, newHoldingProxy(t, s, historyPath, 2), env, append(slices.Clone(args), dir)...)
			before := everything(t, dir)
			listing(dir)
			if got := everything(t, dir); !maps.Equal(got, before) || len(before) == 0 {
				t.Errorf("%d files are there and not the %d of before", len(got), len(before))
			}
			mustRun(t, env, append(slices.Clone(args), dir)...)
			if got := contents(t, dir); !maps.Equal(got, want) || len(want) != 3 {
				t.Errorf("the resumed export has %d files, or other ones, than the %d of one that was not interrupted", len(got), len(want))
			}
			if format != "parquet" {
				listing("-")
			}
		})
	}
}

// everything is all that is in a directory, hidden or not, by name.
func everything(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[entry.Name()] = string(text)
	}
	return all
}

// TestAnExportToStandardOutputIsItsFilesOneAfterTheOther, a table with one header.
func TestAnExportToStandardOutputIsItsFilesOneAfterTheOther(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	env := exporting(t, s, "org_piped")
	for _, format := range []string{"ndjson", "csv"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			args := append(slices.Clone(exportRange), "--format", format, "--page-points", "300", "--out")
			mustRun(t, env, append(slices.Clone(args), dir)...)
			files := contents(t, dir)
			var want strings.Builder
			var ids []string
			names := slices.Sorted(maps.Keys(files))
			slices.Reverse(names) // the order is the command line's
			for i, name := range names {
				ids = append(ids, strings.TrimSuffix(name, "."+format))
				text := files[name]
				if header, rows, _ := strings.Cut(text, "\n"); format == "csv" && i > 0 {
					if !strings.HasPrefix(header, "_id,") {
						t.Fatalf("%s begins with %s", name, header)
					}
					text = rows
				}
				want.WriteString(text)
			}
			piped := append(args, "-", "--session")
			if got := mustRun(t, env, append(slices.Clone(piped), strings.Join(ids, ","))...); got != want.String() || len(ids) != 3 {
				t.Errorf("%d bytes of %d sessions, want the %d of the files", len(got), len(ids), want.Len())
			}
			missing := slices.Insert(slices.Clone(ids), 1, "0123456789abcdef01234567")
			stdout, stderr, code := command(t, env, append(slices.Clone(piped), strings.Join(missing, ","))...)
			if code != 1 || stdout != want.String() || !strings.Contains(stderr, "0123456789abcdef01234567: ") || !strings.Contains(stderr, "3 of 4 sessions exported") {
				t.Errorf("with a session that is not there: exit code %d, %d bytes, stderr %q", code, len(stdout), stderr)
			}
			stdout, stderr, code = interrupt(t, newHoldingProxy(t, s, historyPath, 6), env, append(slices.Clone(piped), strings.Join(ids, ","))...)
			lines := slices.Collect(strings.Lines(want.String()))
			before := 1300 // points of five pages, the fourth of 100
			if format == "csv" {
				before++
			}
			if stdout != strings.Join(lines[:before], "") {
				t.Errorf("interrupted in the sixth page: %d lines, want the %d of the pages before", strings.Count(stdout, "\n"), before)
			}
			if code != 1 || !strings.Contains(stderr, "what went to standard output is not whole") {
				t.Errorf("interrupted: exit code %d, stderr %q", code, stderr)
			}
		})
	}
}

// TestAnExportThatNobodyReadsLeavesNoPointsBehind: not in its temporary file either.
func TestAnExportThatNobodyReadsLeavesNoPointsBehind(t *testing.T) {
	t.Parallel()
	env, dir := exporting(t, sharedServer(t), "org_unread"), t.TempDir()
	process := exec.CommandContext(t.Context(), binary, append(slices.Clone(exportRange), "--out", "-")...)
	process.Env = append(append(os.Environ(), env...), "TMPDIR="+dir)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	process.Stdout = w
	if err := process.Run(); process.ProcessState == nil || process.ProcessState.Success() {
		t.Errorf("the export ended with %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%d files are left, %v", len(left), err)
	}
}
