package embedded_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"lastseen/schema/embedded"
)

// fetcher runs engine/fetch.sh where npm is a script of the test's: what is
// tested is what fetch.sh makes of it.
type fetcher struct {
	t    *testing.T
	bin  string // the only directory on the PATH
	home string
}

// newFetcher has all the commands that fetch.sh needs but npm.
func newFetcher(t *testing.T) *fetcher {
	t.Helper()
	f := &fetcher{t: t, bin: t.TempDir(), home: t.TempDir()}
	for _, name := range []string{"awk", "cat", "cp", "cut", "df", "dirname", "du", "grep", "mkdir", "mktemp", "mv", "rm", "sed", "sh", "sleep", "uname"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Skipf("this machine has no %s", name)
		}
		if err := os.Symlink(path, filepath.Join(f.bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// command puts a shell script on the PATH.
func (f *fetcher) command(name, script string) {
	f.t.Helper()
	path := filepath.Join(f.bin, name)
	_ = os.Remove(path)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fetcher) run(env ...string) (string, error) {
	f.t.Helper()
	cmd := exec.CommandContext(withTimeout(f.t), "engine/fetch.sh")
	cmd.Env = append([]string{"PATH=" + f.bin, "HOME=" + f.home}, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (f *fetcher) library() string {
	return filepath.Join(f.home, ".cache/lastseen/engine", embedded.EngineVersion, "node_modules/@chdb/lib-linux-x64-gnu/libchdb.so")
}

// leftovers are what is in the cache besides the engine itself.
func (f *fetcher) leftovers() (names []string) {
	entries, _ := os.ReadDir(filepath.Join(f.home, ".cache/lastseen/engine"))
	for _, e := range entries {
		if e.Name() != embedded.EngineVersion {
			names = append(names, e.Name())
		}
	}
	return names
}

// goodNPM writes the engine as npm does, in two steps, and counts its runs.
const goodNPM = `echo run >> "$HOME/runs"
[ "$1" = ci ] && [ -f package-lock.json ] || exit 9
mkdir -p node_modules/@chdb/lib-linux-x64-gnu
printf half > node_modules/@chdb/lib-linux-x64-gnu/libchdb.so
printf ' and half' >> node_modules/@chdb/lib-linux-x64-gnu/libchdb.so
`

func TestFetchPutsTheEngineWhereTheProgramLooks(t *testing.T) {
	t.Parallel()
	f := newFetcher(t)
	f.command("npm", goodNPM)
	for range 2 {
		if out, err := f.run(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if text, err := os.ReadFile(f.library()); err != nil || string(text) != "half and half" {
			t.Errorf("the library is %q (%v)", text, err)
		}
	}
	if runs, _ := os.ReadFile(filepath.Join(f.home, "runs")); string(runs) != "run\n" {
		t.Errorf("npm ran %d times, want once", strings.Count(string(runs), "run"))
	}
	if left := f.leftovers(); left != nil {
		t.Errorf("it left %v behind", left)
	}
}

func TestFetchingTwiceAtOnceLeavesOneEngine(t *testing.T) {
	t.Parallel()
	f := newFetcher(t)
	// Each npm waits for the other, so both fetch at the same time.
	f.command("npm", goodNPM+`while [ "$(grep -c run "$HOME/runs")" -lt 4 ]; do sleep 0.01; done`)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if out, err := f.run(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	wg.Wait()
	if text, err := os.ReadFile(f.library()); err != nil || string(text) != "half and half" {
		t.Errorf("the library is %q (%v)", text, err)
	}
	if left := f.leftovers(); left != nil {
		t.Errorf("they left %v behind", left)
	}
}

func TestFetchReportsProgress(t *testing.T) {
	t.Parallel()
	f := newFetcher(t)
	// Without waiting: a second passes each time that fetch.sh sleeps.
	f.command("sleep", `echo s >> "$HOME/slept"`)
	f.command("npm", goodNPM+`while [ ! -f "$HOME/slept" ] || [ "$(grep -c s "$HOME/slept")" -lt 12 ]; do :; done`)
	out, err := f.run()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"engine: fetching", "engine: 5 s, ", "engine: 10 s, ", " of 543 MB", "engine: ready"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
}

func TestFetchExplainsWhatIsWrong(t *testing.T) {
	t.Parallel()
	npmError := func(code string) string { return fmt.Sprintf("echo 'npm error code %s' >&2; exit 1", code) }
	for _, c := range []struct {
		name     string
		commands map[string]string
		env      []string
		want     string
	}{
		{"no npm", nil, nil, "npm is missing: install it"},
		{"another machine", map[string]string{"uname": `[ "$1" = -s ] && echo Darwin || echo arm64`}, nil, "no ready-made engine for Darwin/arm64"},
		{"no home", nil, []string{"HOME="}, "neither HOME nor XDG_CACHE_HOME is set"},
		{"cache that cannot be written", map[string]string{"npm": goodNPM}, []string{"HOME=/dev/null"}, "cannot write to /dev/null/.cache"},
		{"little room", map[string]string{"npm": goodNPM, "df": "echo x; echo disk 100 50 50 50% /"}, nil, "needs 1000 MB while it is fetched"},
		{"disk that fills up", map[string]string{"npm": npmError("ENOSPC")}, nil, "is full: free 1000 MB"},
		{"no network", map[string]string{"npm": npmError("ENOTFOUND")}, nil, "could not reach its registry"},
		{"registry that is down", map[string]string{"npm": npmError("E503")}, nil, "could not reach its registry"},
		{"wrong contents", map[string]string{"npm": npmError("EINTEGRITY")}, nil, "not what package-lock.json pins"},
		{"anything else", map[string]string{"npm": "exit 7"}, nil, "failed with status 7"},
		{"npm without the package", map[string]string{"npm": "exit 0"}, nil, "npm ci has brought no"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFetcher(t)
			for name, script := range c.commands {
				f.command(name, script)
			}
			out, err := f.run(c.env...)
			if err == nil {
				t.Errorf("it succeeded:\n%s", out)
			}
			lines := strings.Split(strings.TrimSpace(out), "\n")
			if last := lines[len(lines)-1]; !strings.HasPrefix(last, "engine: ") || !strings.Contains(last, c.want) {
				t.Errorf("the last line does not say %q:\n%s", c.want, out)
			}
			if left := f.leftovers(); left != nil {
				t.Errorf("it left %v behind", left)
			}
		})
	}
}

func TestFetchLeavesAnEngineOfYourOwnAlone(t *testing.T) {
	t.Parallel()
	f := newFetcher(t)
	if out, err := f.run("CHDB_LIB_PATH=/opt/libchdb.so"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
