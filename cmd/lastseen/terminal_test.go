package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/hinshun/vt10x"

	"lastseen/keys"
)

// window is a terminal window with a shell in it, and what somebody sees there.
type window struct {
	t       *testing.T
	shell   *exec.Cmd
	screen  *os.File
	changed chan struct{} // gets a value when something was written
	closed  chan struct{}

	mu       sync.Mutex
	emulator vt10x.Terminal
}

const windowColumns, windowRows = 300, 200

// openWindow starts a shell in a folder of its own, which finds the tests' lastseen, and waits for its prompt.
func openWindow(t *testing.T, env ...string) *window {
	t.Helper()
	w := &window{t: t, changed: make(chan struct{}, 1), closed: make(chan struct{}), emulator: vt10x.New(vt10x.WithSize(windowColumns, windowRows))}
	w.shell = exec.Command("sh")
	w.shell.Dir = t.TempDir()
	w.shell.Env = append(os.Environ(), append([]string{"TERM=xterm", "PS1=% ", "ENV=", "PATH=" + filepath.Dir(binary) + ":" + os.Getenv("PATH")}, env...)...)
	var err error
	if w.screen, err = pty.StartWithSize(w.shell, &pty.Winsize{Rows: windowRows, Cols: windowColumns}); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(w.closed)
		part := make([]byte, 64<<10)
		for {
			n, err := w.screen.Read(part)
			if err != nil {
				return
			}
			w.mu.Lock()
			w.emulator.Write(part[:n])
			w.mu.Unlock()
			select {
			case w.changed <- struct{}{}:
			default:
			}
		}
	}()
	t.Cleanup(func() { // closing the window hangs up on everything in it
		w.screen.Close()
		w.shell.Process.Kill()
		w.shell.Wait()
		<-w.closed
	})
	if !slices.Contains(env, "PS1=") {
		w.await("^%$") // what is typed before the prompt appears twice
	}
	return w
}

// seen is what stands in the window, without empty lines.
func (w *window) seen() (lines []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for line := range strings.Lines(w.emulator.String()) {
		if line = strings.TrimRight(line, " \n"); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

func (w *window) typed(text string) {
	w.t.Helper()
	if _, err := io.WriteString(w.screen, text); err != nil {
		w.t.Fatal(err)
	}
}

// await waits until a line matches a pattern, and returns its parts.
func (w *window) await(pattern string) []string {
	w.t.Helper()
	line := regexp.MustCompile(pattern)
	timeout := time.After(startTimeout)
	for {
		seen := w.seen()
		for _, text := range seen {
			if match := line.FindStringSubmatch(text); match != nil {
				return match
			}
		}
		select {
		case <-w.changed:
		case <-timeout:
			w.t.Fatalf("no line matches %s:\n%s", pattern, strings.Join(seen, "\n"))
		}
	}
}

// want checks that the window shows lines of these patterns, one after the other, and nothing else.
func (w *window) want(patterns ...string) {
	w.t.Helper()
	seen := w.seen()
	for i, text := range seen {
		if i >= len(patterns) || !regexp.MustCompile("^"+patterns[i]+"$").MatchString(text) {
			w.t.Fatalf("line %d is not as it should be: %q in\n%s", i+1, text, strings.Join(seen, "\n"))
		}
	}
	if len(seen) < len(patterns) {
		w.t.Fatalf("no line %s in\n%s", patterns[len(seen)], strings.Join(seen, "\n"))
	}
}

const clock = `\d\d:\d\d:\d\d `

func TestTheDemoInATerminal(t *testing.T) {
	t.Parallel()
	w := openWindow(t)
	w.typed("lastseen demo --addr 127.0.0.1:0 --vehicles 3 --past 1h\n")
	w.await("^Press Ctrl-C to stop.$")
	w.typed("\x03")
	w.await("^lastseen demo: stopped")
	w.await("^%$")
	curl := func(what, path string) []string {
		return []string{"# " + what, `curl -s -H 'Authorization: Bearer ak_\w+' 'http://127\.0\.0\.1:\d+/tracking/` + path + `.*'`}
	}
	meant := []string{
		`% lastseen demo .*`,
		"lastseen demo: starting the service",
		`lastseen demo: sent \d+ points of the past in \S+s`,
		`3 vehicles are driving through Midtown Manhattan and report to http://127\.0\.0\.1:\d+\.`,
		`  API key  ak_\w+`,
		`           \(for reading, organisation org_demo, good for 7 days\)`,
		`  console  http://127\.0\.0\.1:\d+/auth/link#.*`,
		`.*`, // the rest of the link, which is longer than a line
		`           \(opens on the map; signs you in once, .*\)`,
		`  data     /.*/lastseen-demo-data`,
		`           \(the next run goes on with it; delete it to begin anew\)`,
		`Try these in another terminal:`,
	}
	meant = append(meant, curl(`where van-\d+ was last seen; again in a few seconds it has moved on`, "timeseries/session_by_device/last_seen")...)
	meant = append(meant, curl(`its way, .*`, "timeseries/session_by_device/data_points")...)
	meant = append(meant, curl(`the three sessions .*`, "sessions/list")...)
	meant = append(meant, curl(`one session`, "sessions/get")...)
	meant = append(meant, curl(`what begins with van-0, .*`, "sessions/typeahead")...)
	w.want(append(meant,
		`Next: your own data, with a token of your own:`,
		`  export LASTSEEN_SERVER=http://127\.0\.0\.1:\d+`,
		`  export LASTSEEN_TOKEN=\$\(lastseen token --data-dir '/.*/lastseen-demo-data' --org org_yours --user user_you --role owner\)`,
		`  lastseen import your-tracks.csv .*`,
		`  lastseen keys create --name "my first key"`,
		`Press Ctrl-C to stop\.`,
		`\^C`,
		"lastseen demo: stopping",
		"lastseen demo: stopped; the next run goes on with what it has",
		"%",
	)...)
}

// The README's flow: the service in the background of the same terminal, and an answer that does not end
// with a line break before each line of the log.
func TestTheServiceInTheBackgroundOfATerminal(t *testing.T) {
	t.Parallel()
	w := openWindow(t, "PS1=")
	w.typed("stty -echo; lastseen serve --addr 127.0.0.1:0 --admin-addr '' &\n")
	address := w.await(clock + `listening address=(\S+) console=http://(\S+)/console/`)
	if address[1] != address[2] {
		t.Errorf("it listens on %s and the console is on %s", address[1], address[2])
	}
	w.typed("export LASTSEEN_SERVER=http://" + address[1] + "\nexport LASTSEEN_TOKEN=$(lastseen token --org org_term --user u --role owner)\n")
	w.typed("printf 'an answer without an end'; lastseen keys list\n")
	w.await("LAST USED")
	w.await(clock + `200 GET /orgs/api_keys/list/v1`)
	w.typed("printf '{}'; lastseen keys revoke --id 0123456789abcdef01234567\n")
	w.await("^lastseen: revoke")
	w.typed("kill %1\n")
	w.await(clock + "stopped")
	seen := strings.Join(w.seen(), "\n")
	for _, pattern := range []string{
		`^` + clock + `starting version=("[^"]+"|\S+) data_dir=lastseen-data$`,
		`^` + clock + `200 GET /orgs/api_keys/list/v1 \S+s 2 B org=org_term caller=user user=u$`,
		`^` + clock + `404 POST /orgs/api_keys/revoke/v1 \S+s \d+ B request_id=\w+ org=org_term caller=user user=u$`,
		`^` + clock + `stopping$`,
	} {
		if !regexp.MustCompile("(?m)" + pattern).MatchString(seen) {
			t.Errorf("no line %s in\n%s", pattern, seen)
		}
	}
	for _, odd := range []string{"Fatal", "ThreadStatus", "Logging", `{"time"`} {
		if strings.Contains(seen, odd) {
			t.Errorf("%s in\n%s", odd, seen)
		}
	}
}

func TestWithoutAServerTheReasonIsThereAtOnce(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	w := openWindow(t, "LASTSEEN_TOKEN=x", "LASTSEEN_SERVER=http://"+address)
	began := time.Now()
	w.typed("lastseen keys list\n")
	w.await(`^lastseen: reach the server at http://` + address + ` .*connection refused; trying again for some seconds \(Ctrl-C stops\)$`)
	if after := time.Since(began); after > 5*time.Second {
		t.Errorf("it took %v", after)
	}
	w.typed("\x03")
	w.await("^lastseen: list the API keys: interrupted")
}

// hostile commands a terminal: it clears the screen, sets the title and writes over what stands there.
const hostile = "\x1b[2J\x1b]0;owned\a\rforged\n\u009b31m\u202e"

const hostileShown = `\x1b[2J\x1b]0;owned\a\rforged\n\u009b31m\u202e`

func TestWhatAServerSaysCommandsNoTerminal(t *testing.T) {
	t.Parallel()
	name, err := json.Marshal("key " + hostile)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/list/v1"):
			fmt.Fprintf(w, `[{"_id":"1","name":%s,"status":"active"}]`, name)
		case strings.HasSuffix(r.URL.Path, "/data_points/v1"):
			fmt.Fprintf(w, "point %s\n", hostile)
		default:
			w.WriteHeader(http.StatusConflict)
			fmt.Fprintf(w, `{"detail":%s}`, name)
		}
	}))
	t.Cleanup(server.Close)
	w := openWindow(t, "LASTSEEN_TOKEN=x", "LASTSEEN_SERVER="+server.URL)
	shown := regexp.QuoteMeta(hostileShown)
	w.typed("lastseen keys list\n")
	w.await("^1 .* key " + shown + " +active")
	w.typed("lastseen keys list --json\n")
	w.await(`"name": "key .*forged\\n\\u009b31m\\u202e"`)
	w.typed("lastseen keys revoke --id 1\n")
	w.await("^lastseen: revoke the API key 1: the server answered 409: key " + shown)
	w.typed("lastseen export --session 1 --start 2026-01-01 --end 2026-01-02 --out -\n")
	w.await(`point \\x1b\[2J\\x1b\]0;owned\\a\\rforged$`)
	if title := w.emulator.Title(); title != "" {
		t.Errorf("the window's title is %q", title)
	}
}

func TestWhatAFileSaysCommandsNoTerminal(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	w := openWindow(t, "LASTSEEN_TOKEN="+s.token(t, "org_hostile", keys.RoleOwner), "LASTSEEN_SERVER="+s.base)
	file := filepath.Join(t.TempDir(), "odd\x1b[2J.csv")
	if err := os.WriteFile(file, []byte("device,timestamp,lat,lon\nvan \x1b]0;owned\a,soon\x1b[2J,1,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.typed("lastseen import " + filepath.Dir(file) + "/*\n")
	w.await(`odd\\x1b\[2J\.csv:2: .*soon\\x1b\[2J`)
	w.await("^lastseen: 1 rows or points were rejected")
	if title := w.emulator.Title(); title != "" {
		t.Errorf("the window's title is %q", title)
	}
}
