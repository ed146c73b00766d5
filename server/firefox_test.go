package server

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

// firefox is a headless Firefox of the test's own, which is spoken to by WebDriver BiDi: it needs no driver beside it.
type firefox struct {
	*testing.T
	base    string // of the service
	socket  *websocket.Conn
	context string // the tab
	last    int    // number of the last command
}

// newFirefox starts one. The tests in it run only where LASTSEEN_REQUIRE_FIREFOX asks for them (make test-firefox).
func newFirefox(t *testing.T) *firefox {
	t.Helper()
	if os.Getenv("LASTSEEN_REQUIRE_FIREFOX") == "" {
		t.Skip("LASTSEEN_REQUIRE_FIREFOX does not ask for Firefox (make test-firefox does)")
	}
	path := ""
	for _, name := range []string{os.Getenv("LASTSEEN_FIREFOX"), "firefox-esr", "firefox"} {
		if found, err := exec.LookPath(name); err == nil && path == "" {
			path = found
		}
	}
	if path == "" {
		t.Fatal("there is no Firefox on this machine: install it (on Debian: firefox-esr), or set LASTSEEN_FIREFOX to its path")
	}
	const origin = "http://test.invalid"
	process := exec.Command(path, "--headless", "--no-remote", "--profile", t.TempDir(), "--remote-debugging-port", "0", "--remote-allow-origins", origin, "about:blank")
	process.Env = append(os.Environ(), "HOME="+t.TempDir(), "MOZ_CRASHREPORTER_DISABLE=1")
	said, err := process.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(said); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	t.Cleanup(func() {
		process.Process.Kill()
		for range lines { // until it has ended
		}
		process.Wait()
	})
	f := &firefox{T: t}
	for line := range lines {
		if _, address, found := strings.Cut(line, "WebDriver BiDi listening on "); found {
			go func() {
				for range lines { // it goes on to say things
				}
			}()
			f.attach(address, origin)
			return f
		}
	}
	t.Fatal("Firefox ended before it could be spoken to")
	return nil
}

// attach begins to speak to a browser that listens on an address.
func (f *firefox) attach(address, origin string) {
	f.Helper()
	socket, err := websocket.Dial(address+"/session", "", origin)
	if err != nil {
		f.Fatalf("speak to Firefox at %s: %v", address, err)
	}
	f.socket = socket
	f.Cleanup(func() { socket.Close() })
	f.command("session.new", map[string]any{"capabilities": map[string]any{}}, nil)
	var tree struct {
		Contexts []struct{ Context string }
	}
	f.command("browsingContext.getTree", map[string]any{}, &tree)
	if len(tree.Contexts) == 0 {
		f.Fatal("Firefox has no tab")
	}
	f.context = tree.Contexts[0].Context
}

// command sends a command and reads its result.
func (f *firefox) command(method string, parameters any, result any) {
	f.Helper()
	f.last++
	if err := f.socket.SetDeadline(time.Now().Add(2 * patience)); err != nil {
		f.Fatal(err)
	}
	if err := websocket.JSON.Send(f.socket, map[string]any{"id": f.last, "method": method, "params": parameters}); err != nil {
		f.Fatalf("%s: %v", method, err)
	}
	for {
		var answer struct {
			ID             int
			Error, Message string
			Result         json.RawMessage
		}
		if err := websocket.JSON.Receive(f.socket, &answer); err != nil {
			f.Fatalf("%s: %v", method, err)
		}
		switch {
		case answer.ID != f.last: // an event
		case answer.Error != "":
			f.Fatalf("%s: %s: %s", method, answer.Error, answer.Message)
		case result == nil:
			return
		default:
			if err := json.Unmarshal(answer.Result, result); err != nil {
				f.Fatalf("%s: %v in %s", method, err, answer.Result)
			}
			return
		}
	}
}

// open goes to a page of the service.
func (f *firefox) open(path string) {
	f.Helper()
	f.command("browsingContext.navigate", map[string]any{"context": f.context, "url": f.base + path, "wait": "complete"}, nil)
}

// eval evaluates JavaScript, which may return a promise, to a text.
func (f *firefox) eval(expression string) string {
	f.Helper()
	var got struct {
		Type   string
		Result struct{ Value any }
		Exc    struct{ Text string } `json:"exceptionDetails"`
	}
	f.command("script.evaluate", map[string]any{
		"expression": expression, "target": map[string]any{"context": f.context}, "awaitPromise": true, "userActivation": true,
	}, &got)
	if got.Type != "success" {
		f.Fatalf("evaluate %s: %s", expression, got.Exc.Text)
	}
	return fmt.Sprint(got.Result.Value)
}

// until waits until an expression is true.
func (f *firefox) until(expression string) {
	f.Helper()
	if f.eval(fmt.Sprintf(`new Promise((done) => { const end = Date.now() + %d; const look = () => (%s) ? done(true) : Date.now() > end ? done(false) : setTimeout(look, 20); look() })`,
		patience.Milliseconds(), expression)) != "true" {
		f.Fatalf("%s does not become true; the page says: %s", expression, f.eval(`document.body.innerText`))
	}
}

// says waits until a text stands in what matches a selector.
func (f *firefox) says(selector, text string) {
	f.Helper()
	f.until(fmt.Sprintf(`[...document.querySelectorAll(%q)].some((e) => e.innerText.includes(%q))`, selector, text))
}

// press clicks, with the pointer, the button or link with a text.
func (f *firefox) press(text string) {
	f.Helper()
	f.clickOn(fmt.Sprintf(`[...document.querySelectorAll("button, a, summary")].find((e) => e.checkVisibility() && (e.getAttribute("aria-label") ?? e.innerText.trim()) === %q)`, text))
}

// clickOn clicks, with the pointer, the middle of the element that an expression gives.
func (f *firefox) clickOn(element string) {
	f.Helper()
	f.until(element)
	var at struct{ X, Y float64 }
	place := f.eval(fmt.Sprintf(`((e) => { e.scrollIntoView({block: "center"}); const r = e.getBoundingClientRect(); return JSON.stringify({x: Math.round(r.x + r.width / 2), y: Math.round(r.y + r.height / 2)}) })(%s)`, element))
	if err := json.Unmarshal([]byte(place), &at); err != nil {
		f.Fatal(err)
	}
	f.command("input.performActions", map[string]any{"context": f.context, "actions": []any{map[string]any{
		"type": "pointer", "id": "mouse", "actions": []any{
			map[string]any{"type": "pointerMove", "x": int(at.X), "y": int(at.Y)}, map[string]any{"type": "pointerDown", "button": 0}, map[string]any{"type": "pointerUp", "button": 0},
		},
	}}}, nil)
}

// typed types at whatever has the focus.
func (f *firefox) typed(text string) {
	f.Helper()
	var strokes []any
	for _, r := range text {
		strokes = append(strokes, map[string]any{"type": "keyDown", "value": string(r)}, map[string]any{"type": "keyUp", "value": string(r)})
	}
	f.command("input.performActions", map[string]any{"context": f.context, "actions": []any{map[string]any{"type": "key", "id": "keys", "actions": strokes}}}, nil)
}
