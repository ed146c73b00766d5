package embedded_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"

	"lastseen/schema/embedded"
)

// helpLog makes the engine say what it can say: inserts, which make it complain, and an error.
func helpLog(dir string) error {
	return use(dir, func(e *embedded.Engine) error {
		fmt.Fprintln(os.Stderr, "ours, while it runs")
		ctx := context.Background()
		if _, err := query(ctx, e, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a"); err != nil {
			return err
		}
		for range 3 {
			req := newRequest(ctx, url.Values{"query": {"INSERT INTO t FORMAT CSV"}}, "1\n")
			resp, err := e.RoundTrip(req)
			if err != nil {
				return err
			}
			resp.Body.Close()
		}
		if _, err := query(ctx, e, "SELECT throwIf(1, 'thrown on purpose')"); err == nil {
			return fmt.Errorf("the statement that fails succeeded")
		}
		return nil
	})
}

func TestTheEngineLogsToItsFileAndNeverToTheTerminal(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*exec.Cmd) (io.Reader, error){
		"terminal": func(cmd *exec.Cmd) (io.Reader, error) {
			screen, err := pty.Start(cmd)
			if err != nil {
				return nil, err
			}
			t.Cleanup(func() {
				screen.Close()
				cmd.Wait()
			})
			return screen, nil
		},
		"pipe": func(cmd *exec.Cmd) (io.Reader, error) {
			var out bytes.Buffer
			cmd.Stderr = &out
			return &out, cmd.Run()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			shown, err := start(helper(t, "log", dir))
			if err != nil {
				t.Fatal(err)
			}
			text, _ := io.ReadAll(shown) // a terminal that was hung up ends with an error
			if got := strings.ReplaceAll(string(text), "\r\n", "\n"); got != "ours, while it runs\n" {
				t.Errorf("shown is %q", got)
			}
			log, err := os.ReadFile(filepath.Join(dir, embedded.LogName))
			if err != nil || !strings.Contains(string(log), "thrown on purpose") {
				t.Errorf("%v, the log is\n%.2000s", err, log)
			}
			for _, noise := range []string{"ThreadStatus", "Temporarily pause"} {
				if strings.Contains(string(log), noise) {
					t.Errorf("%q is in the log:\n%.2000s", noise, log)
				}
			}
		})
	}
}
