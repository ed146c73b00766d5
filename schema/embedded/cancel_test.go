package embedded_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"
)

const (
	// endless is a statement that has no result for hours; endlessRows has one
	// at once, and goes on for hours.
	endless     = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1"
	endlessRows = "SELECT number FROM numbers(1000000000000)"
	// someRows has results at once, and then none for hours.
	someRows = "SELECT number FROM numbers(1000000000000) WHERE number < 1000000 OR sipHash64(number) = 1 SETTINGS max_threads = 1"
	// promptly is the longest that ending a statement may take here, where
	// other tests use the machine too.
	promptly = 10 * time.Second
)

// These tests use up the engine's connections, and so do not run in parallel.

func TestAStatementEndsWithItsContext(t *testing.T) {
	database := newDatabase(t)
	conn := open(t, database)
	mustExec(t, conn, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
	for name, sql := range map[string]string{
		"before a result":    endless,
		"within a result":    endlessRows,
		"in a sort":          "SELECT number FROM numbers(1000000000000) ORDER BY sipHash64(number) LIMIT 1 OFFSET 1000000",
		"INSERT SELECT":      "INSERT INTO " + database + ".t " + endless,
		"INSERT SELECT rows": "INSERT INTO " + database + ".t " + endlessRows,
		"sleeping":           "SELECT sum(sleepEachRow(0.1)) FROM numbers(10000) SETTINGS function_sleep_max_microseconds_per_block = 0, max_block_size = 1",
		"a document":         endless + " FORMAT JSON",
		"a document of rows": endlessRows + " FORMAT JSON",
	} {
		everyConnection(t, func() {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			begin := time.Now()
			if err := rawRun(ctx, sql); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: got %v, want the context's error", name, err)
			}
			if took := time.Since(begin); took > promptly {
				t.Errorf("%s: it took %v", name, took)
			}
		})
		everyConnection(t, func() {
			if n := scalar[uint64](t, conn, "SELECT sum(number) FROM numbers(10)"); n != 45 {
				t.Errorf("%s: afterwards a sum is %d", name, n)
			}
		})
	}
	if n := scalar[uint64](t, conn, "SELECT count() FROM system.processes"); n != 1 {
		t.Errorf("%d statements are left running", n-1)
	}
}

// rawRun runs a statement without clickhouse-go and reads its result.
func rawRun(ctx context.Context, sql string) error {
	resp, err := engine.RoundTrip(newRequest(ctx, url.Values{"default_format": {"Native"}}, sql))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		return errors.New(string(text))
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// useUp opens n results that nobody reads.
func useUp(t *testing.T, ctx context.Context, n int) (close func()) {
	t.Helper()
	var bodies []io.Closer
	for range n {
		resp := roundTrip(t, ctx, url.Values{"default_format": {"Native"}}, endlessRows)
		bodies = append(bodies, resp.Body)
	}
	return func() {
		for _, body := range bodies {
			if err := body.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestWaitingForAConnectionEndsWithTheContext(t *testing.T) {
	closeAll := useUp(t, t.Context(), engineConnections)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- rawRun(ctx, "SELECT 1") }()
	select {
	case err := <-done:
		t.Errorf("a statement did not wait for a connection: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	closeAll()
	everyConnection(t, func() {
		if err := rawRun(withTimeout(t), "SELECT 1"); err != nil {
			t.Error(err)
		}
	})
}

func TestClosingABodyFreesItsConnectionAtOnce(t *testing.T) {
	for _, format := range []string{"Native", "CSV"} {
		for _, sql := range []string{endlessRows, someRows} {
			everyConnection(t, func() { closeEarly(t, format, sql) })
		}
	}
	if err := rawRun(withTimeout(t), "SELECT 1"); err != nil {
		t.Error(err)
	}
}

// closeEarly closes a result of which it has read a part.
func closeEarly(t *testing.T, format, sql string) {
	t.Helper()
	resp := roundTrip(t, t.Context(), url.Values{"default_format": {format}}, sql)
	if _, err := io.CopyN(io.Discard, resp.Body, 1<<20); err != nil {
		t.Error(err)
	}
	begin := time.Now()
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > promptly {
		t.Errorf("%s: closing took %v", format, took)
	}
	if _, err := resp.Body.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("%s: reading a closed body returned %v", format, err)
	}
}

func TestABodyThatNobodyReadsEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	useUp(t, ctx, engineConnections)
	cancel()
	everyConnection(t, func() {
		if err := rawRun(withTimeout(t), "SELECT 1"); err != nil {
			t.Error(err)
		}
	})
}

func TestABodyCanBeClosedWhileItIsRead(t *testing.T) {
	for _, format := range []string{"Native", "CSV"} {
		resp := roundTrip(t, t.Context(), url.Values{"default_format": {format}}, someRows)
		reading, done := make(chan struct{}), make(chan error)
		go func() {
			close(reading)
			_, err := io.Copy(io.Discard, resp.Body)
			done <- err
		}()
		<-reading
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err == nil {
			t.Errorf("%s: reading ended as if the result were complete", format)
		}
	}
}

func TestARequestThatIsLateIsNotRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := rawRun(ctx, "SELECT 1"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}
