package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lastseen/schema/embedded"
)

// helperVariable names what this test binary does instead of testing: a
// process can have only one engine at a time, and the tests' own is open.
const helperVariable = "LASTSEEN_EMBEDDED_HELPER"

// helpers run in a process of their own. The argument is a directory.
var helpers = map[string]func(dir string) error{
	"open":   helpOpen,
	"hold":   helpHold,
	"reopen": helpReopen,
	"second": helpSecond,
	"close":  helpClose,
	"small":  helpSmall,
	"log":    helpLog,
}

func runHelper() int {
	name, dir, _ := strings.Cut(os.Getenv(helperVariable), ":")
	if err := helpers[name](dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// helper is the command that runs a helper.
func helper(t *testing.T, name, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(withTimeout(t), os.Args[0])
	cmd.Env = append(os.Environ(), helperVariable+"="+name+":"+dir)
	cmd.Dir = t.TempDir()
	return cmd
}

func wantHelper(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// wantHelperError runs a helper that must fail with texts in its message.
func wantHelperError(t *testing.T, cmd *exec.Cmd, texts ...string) {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Errorf("it succeeded, want an error with %q", texts)
	}
	for _, text := range texts {
		if !strings.Contains(string(out), text) {
			t.Errorf("the error does not say %q:\n%s", text, out)
		}
	}
}

// use opens an engine, gives it to f and closes it.
func use(dir string, f func(e *embedded.Engine) error) error {
	e, err := embedded.Open(dir, embedded.Options{Connections: 2})
	if err != nil {
		return err
	}
	return errors.Join(f(e), e.Close())
}

// query runs a statement and returns its result as TSV.
func query(ctx context.Context, e *embedded.Engine, sql string) (string, error) {
	req := newRequest(ctx, url.Values{"default_format": {"TSV"}}, sql)
	resp, err := e.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != 200 {
		err = errors.New(string(text))
	}
	return string(text), err
}

func helpOpen(dir string) error {
	return use(dir, func(e *embedded.Engine) error {
		text, err := query(context.Background(), e, "SELECT value FROM system.server_settings WHERE name = 'mark_cache_size'")
		fmt.Print(text)
		return err
	})
}

func TestASecondProcessIsToldWhoHoldsTheDirectory(t *testing.T) {
	t.Parallel()
	wantHelperError(t, helper(t, "open", engineDir), embedded.ErrLocked.Error(), fmt.Sprintf("process %d", os.Getpid()), engineDir)
}

func helpHold(dir string) error {
	return use(dir, func(e *embedded.Engine) error {
		fmt.Println("held")
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	})
}

func TestTheDirectoryIsFreeAfterItsHolderWasKilled(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "made", "on", "the way")
	cmd := helper(t, "hold", dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stdout, make([]byte, len("held"))); err != nil {
		t.Fatalf("the holder did not start: %v", err)
	}
	wantHelperError(t, helper(t, "open", dir), fmt.Sprintf("process %d", cmd.Process.Pid))
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	wantHelper(t, helper(t, "open", dir))
}

func helpReopen(dir string) error {
	ctx := context.Background()
	for i := range 5 {
		for _, name := range []string{"a", "b"} {
			err := use(filepath.Join(dir, name), func(e *embedded.Engine) error {
				_, err := query(ctx, e, "CREATE TABLE IF NOT EXISTS t (a UInt64) ENGINE = MergeTree ORDER BY a")
				if err == nil {
					_, err = query(ctx, e, "INSERT INTO t SELECT number FROM numbers(1000)")
				}
				if err != nil {
					return err
				}
				text, err := query(ctx, e, "SELECT count() FROM t")
				if want := fmt.Sprintf("%d\n", (i+1)*1000); err == nil && text != want {
					err = fmt.Errorf("round %d: %s has %q rows, want %q", i, name, text, want)
				}
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func TestAnEngineCanBeOpenedAgain(t *testing.T) {
	t.Parallel()
	wantHelper(t, helper(t, "reopen", t.TempDir()))
}

func helpSecond(dir string) error {
	return use(filepath.Join(dir, "a"), func(*embedded.Engine) error {
		return use(filepath.Join(dir, "b"), func(*embedded.Engine) error { return nil })
	})
}

func TestASecondEngineInAProcessIsRefused(t *testing.T) {
	t.Parallel()
	wantHelperError(t, helper(t, "second", t.TempDir()), "one is open in this process already")
}

// helpClose closes an engine on which statements run, wait and are not read.
func helpClose(dir string) error {
	e, err := embedded.Open(dir, embedded.Options{Connections: 4})
	if err != nil {
		return err
	}
	ctx := context.Background()
	var wg sync.WaitGroup
	results := make(chan error, 6)
	start := func(n int) {
		for range n {
			wg.Go(func() {
				_, err := query(ctx, e, endless)
				results <- err
			})
		}
	}
	start(2)
	for running := ""; running != "2\n"; {
		if running, err = query(ctx, e, "SELECT count() FROM system.processes WHERE query LIKE '%sipHash64(number)%' AND query NOT LIKE '%LIKE%'"); err != nil {
			return err
		}
	}
	var unread []io.Reader
	for range 2 {
		resp, err := e.RoundTrip(newRequest(ctx, url.Values{"default_format": {"Native"}}, endlessRows))
		if err != nil {
			return err
		}
		unread = append(unread, resp.Body)
	}
	start(4)
	if err := e.Close(); err != nil {
		return err
	}
	wg.Wait()
	close(results)
	for err := range results {
		if !errors.Is(err, embedded.ErrClosed) {
			return fmt.Errorf("a statement ended with %w", err)
		}
	}
	for _, body := range unread {
		if _, err := io.ReadAll(body); !errors.Is(err, embedded.ErrClosed) {
			return fmt.Errorf("a result ended with %w", err)
		}
	}
	if _, err := query(ctx, e, "SELECT 1"); !errors.Is(err, embedded.ErrClosed) {
		return fmt.Errorf("a statement after Close returned %w", err)
	}
	return errors.Join(e.Close(), use(dir, func(*embedded.Engine) error { return nil }))
}

func TestCloseEndsWhatRunsAndWhatWaits(t *testing.T) {
	t.Parallel()
	wantHelper(t, helper(t, "close", t.TempDir()))
}

func helpSmall(dir string) error {
	e, err := embedded.Open(dir, embedded.Options{Connections: 1, MaxMemory: 300 << 20})
	if err != nil {
		return err
	}
	_, err = query(context.Background(), e, "SELECT length(groupArray(number)) FROM numbers(200000000)")
	if err == nil || !strings.HasPrefix(err.Error(), "Code: 241.") {
		return fmt.Errorf("a statement that needs 1.6 GB returned %w", err)
	}
	_, err = query(context.Background(), e, "SELECT 1")
	return errors.Join(err, e.Close())
}

func TestTheEnginesMemoryIsBounded(t *testing.T) {
	t.Parallel()
	wantHelper(t, helper(t, "small", t.TempDir()))
}

func TestOptionsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	for _, options := range []embedded.Options{{Connections: -1}, {MaxMemory: -1}} {
		if _, err := embedded.Open(t.TempDir(), options); err == nil || !strings.Contains(err.Error(), "negative") {
			t.Errorf("%+v: %v", options, err)
		}
	}
}

func TestAMissingEngineIsExplained(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	elsewhere := helper(t, "open", dir)
	elsewhere.Env = append(elsewhere.Env, "CHDB_LIB_PATH="+dir+"/libchdb.so")
	wantHelperError(t, elsewhere, embedded.ErrNoEngine.Error(), "CHDB_LIB_PATH")

	notFetched := helper(t, "open", dir)
	notFetched.Env = append(notFetched.Env, "CHDB_LIB_PATH=", "XDG_CACHE_HOME="+dir)
	wantHelperError(t, notFetched, embedded.ErrNoEngine.Error(), "make engine", "CHDB_LIB_PATH")

	notALibrary := filepath.Join(dir, "libchdb.so")
	if err := os.WriteFile(notALibrary, []byte("not a library"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := helper(t, "open", dir)
	broken.Env = append(broken.Env, "CHDB_LIB_PATH="+dir)
	wantHelperError(t, broken, embedded.ErrNoEngine.Error(), notALibrary)
}

func TestADirectoryThatCannotBeOneIsRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantHelperError(t, helper(t, "open", file), "making the data directory")
}

func TestConfigurationThatLiesAboutIsNotRead(t *testing.T) {
	t.Parallel()
	cmd := helper(t, "open", t.TempDir())
	const config = "<clickhouse><mark_cache_size>12345</mark_cache_size></clickhouse>"
	for _, path := range []string{"config.xml", ".clickhouse-local/config.xml"} {
		path = filepath.Join(cmd.Dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if os.Getenv("CHDB_LIB_PATH") == "" && os.Getenv("XDG_CACHE_HOME") == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Env = append(cmd.Env, "XDG_CACHE_HOME="+cache)
	}
	cmd.Env = append(cmd.Env, "HOME="+cmd.Dir)
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Contains(string(out), "12345") || strings.TrimSpace(string(out)) == "" {
		t.Errorf("the engine's mark cache is %s (%v)", out, err)
	}
}

func TestTheEnginesOwnSignalsDoNoHarm(t *testing.T) {
	t.Parallel()
	conn := open(t, "")
	if err := run(withTimeout(t), conn, "SELECT * FROM system.stack_trace SETTINGS storage_system_stack_trace_pipe_read_timeout_ms = 1"); err != nil {
		t.Error(err)
	}
}

func TestTheGoRuntimeKeepsItsSignals(t *testing.T) {
	received := make(chan os.Signal, 1)
	signal.Notify(received, syscall.SIGHUP)
	defer signal.Stop(received)
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	select {
	case <-received:
	case <-time.After(promptly):
		t.Error("a signal did not arrive")
	}
	defer func() {
		if recover() == nil {
			t.Error("a nil pointer did not panic")
		}
	}()
	var nothing *int
	*nothing = 1
}
