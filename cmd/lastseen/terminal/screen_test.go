package terminal_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/hinshun/vt10x"

	"lastseen/cmd/lastseen/terminal"
)

const columns = 60

// show has f write to a terminal and returns what stands on its screen, and the bytes that it got.
func show(t *testing.T, f func(w io.Writer)) (screen, sent string) {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	if err := pty.Setsize(slave, &pty.Winsize{Rows: 24, Cols: columns}); err != nil {
		t.Fatal(err)
	}
	got := make(chan string)
	go func() {
		text, _ := io.ReadAll(master) // ends with an error when the other side is closed
		got <- string(text)
	}()
	f(terminal.On(slave))
	slave.Close()
	sent = <-got
	emulator := vt10x.New(vt10x.WithSize(columns, 24))
	if _, err := io.WriteString(emulator, sent); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(emulator.String()) {
		lines = append(lines, strings.TrimRight(line, " \n"))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n"), sent
}

func TestALineBeginsAtTheLeftEdgeWhereverTheCursorIs(t *testing.T) {
	t.Setenv("TERM", "xterm-256color")
	for _, before := range []int{0, 1, 2, columns - 1, columns, columns + 1} {
		screen, _ := show(t, func(w io.Writer) {
			io.WriteString(w, "first\n"+strings.Repeat("x", before))
			terminal.Say(w, "ours")
			terminal.Say(w, "ours again")
		})
		want := "first\n"
		for rest := before; rest > 0; rest -= columns {
			want += strings.Repeat("x", min(rest, columns)) + "\n"
		}
		if want += "ours\nours again"; screen != want {
			t.Errorf("after %d characters the screen shows\n%s\nwant\n%s", before, screen, want)
		}
	}
}

func TestWhatIsWrittenToATerminalIsEscaped(t *testing.T) {
	t.Setenv("TERM", "xterm")
	screen, sent := show(t, func(w io.Writer) {
		for _, part := range []string{"a\x1b", "[31mb ", "\xc3", "\xa9 \xe6\x9d", "\xb1\tc\n", "\xc2\x9bd\xff"} {
			if n, err := io.WriteString(w, part); err != nil || n != len(part) {
				t.Errorf("wrote %d of %q: %v", n, part, err)
			}
		}
		terminal.Say(w, "%s", "\x1b[2Jgone?")
	})
	if want := "a\\x1b[31mb é 東  c\n\\u009bd\\xff\n\\x1b[2Jgone?"; screen != want {
		t.Errorf("the screen shows\n%s\nwant\n%s\n(%q)", screen, want, sent)
	}
}

func TestLogLinesAreReadable(t *testing.T) {
	request := func(status int, more ...any) []any {
		return append([]any{"method", "GET", "path", "/tracking/sessions/get/v1", "status", status, "bytes", int64(1234),
			"duration", 1234567 * time.Nanosecond, "request_id", "r1", "org", "org_acme"}, more...)
	}
	write := func(w io.Writer) {
		log := terminal.NewLogger(w, slog.LevelInfo)
		log.Debug("not shown")
		log.Info("listening", "address", "127.0.0.1:8080")
		log.Warn("odd\x1b[31m", "error", errors.New("two\nlines"), "empty", "", "after", 3*time.Second)
		log.Info("request", request(200)...)
		log.Error("request", request(503, "cause", "no store")...)
		log.With("a", 1).WithGroup("g").Info("nested", slog.Group("h", "b", 2), "c", true)
		log.Info("request", "status", "odd")
	}
	want := []string{
		"listening address=127.0.0.1:8080",
		`WARN odd\x1b[31m error="two\nlines" empty="" after=3s`,
		"200 GET /tracking/sessions/get/v1 1.2ms 1.2 kB org=org_acme",
		`503 GET /tracking/sessions/get/v1 1.2ms 1.2 kB request_id=r1 org=org_acme cause="no store"`,
		"nested a=1 g.h.b=2 g.c=true",
		"request status=odd",
	}
	for name, test := range map[string]struct {
		env     []string
		colours bool
	}{
		"colours":   {[]string{"TERM", "xterm"}, true},
		"NO_COLOR":  {[]string{"TERM", "xterm", "NO_COLOR", "1"}, false},
		"dumb":      {[]string{"TERM", "dumb"}, false},
		"no TERM":   {[]string{"TERM", ""}, false},
		"not empty": {[]string{"TERM", "xterm", "NO_COLOR", ""}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("NO_COLOR", "")
			for i := 0; i < len(test.env); i += 2 {
				t.Setenv(test.env[i], test.env[i+1])
			}
			screen, sent := show(t, write)
			joined := strings.ReplaceAll(screen, "\n", "") // long lines are wrapped
			for _, line := range want {
				if !strings.Contains(joined, line) {
					t.Errorf("the screen shows\n%s\nwant in it %q", screen, line)
				}
			}
			if strings.Contains(joined, "not shown") || strings.Contains(sent, "\x1b[3") != test.colours {
				t.Errorf("sent %q", sent)
			}
			if test.env[1] != "xterm" && strings.ContainsRune(sent, 0x1b) {
				t.Errorf("a terminal that understands no commands was sent %q", sent)
			}
		})
	}
}

func TestAFileIsWrittenToAsItIs(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	w := terminal.On(file)
	fmt.Fprint(w, "raw \x1b\n")
	terminal.Say(w, "said")
	terminal.NewLogger(w, slog.LevelInfo).Info("logged")
	text, err := os.ReadFile(file.Name())
	if err != nil || !strings.HasPrefix(string(text), "raw \x1b\nsaid\n{\"time\":") || terminal.Is(w) {
		t.Errorf("%v, the file holds %q", err, text)
	}
}
