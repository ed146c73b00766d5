package server

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	permission "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// chromium returns the browser that the browser tests run. Without one they are skipped, unless
// LASTSEEN_REQUIRE_CHROMIUM says that they must run.
func chromium(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("browser tests take their time")
	}
	names := []string{"chromium", "chromium-browser", "google-chrome"}
	if path := os.Getenv("LASTSEEN_CHROMIUM"); path != "" {
		names = []string{path}
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("LASTSEEN_REQUIRE_CHROMIUM") != "" {
		t.Fatal("there is no Chromium on this machine, and LASTSEEN_REQUIRE_CHROMIUM says that browser tests must run: install it")
	}
	t.Skip("there is no Chromium on this machine: install it, or set LASTSEEN_CHROMIUM to its path, to run the browser tests")
	return ""
}

// tab is a tab of a headless Chromium, in a profile of its own that ends with the test. What its console says is
// collected; anything but refused requests fails the test.
type tab struct {
	*testing.T
	ctx  context.Context
	base string // of the service, as the browser sees it
	// refusalsExpected says that requests may fail to reach the service.
	refusalsExpected bool
}

// step is what a tab can be told to do.
type step = chromedp.Action[chromedp.Void]

// browserOption changes how a browser is started.
type browserOption = chromedp.ExecAllocatorOption

// withClipboard is for tests that use the clipboard, which all profiles of a browser share.
func withClipboard(*chromedp.ExecAllocator) {}

// newTab opens a tab for a service: in the browser that tests share, or in one of its own when that is to be started
// with options.
func newTab(t *testing.T, base string, options ...browserOption) *tab {
	t.Helper()
	var ctx context.Context
	var end func()
	if len(options) > 0 {
		var err error
		if ctx, end, err = startBrowser(chromium(t), options...); err != nil {
			t.Fatal(err)
		}
	} else {
		parent, err := sharedBrowser(chromium(t))
		if err != nil {
			t.Fatal(err)
		}
		ctx, end = chromedp.NewContext(parent, chromedp.WithNewBrowserContext())
		if err := chromedp.Do(ctx); err != nil {
			end()
			t.Fatalf("open a tab: %v", err)
		}
	}
	p := &tab{T: t, ctx: ctx, base: base}
	finish := p.watchConsole()
	t.Cleanup(func() {
		end()
		finish()
	})
	// Every tab works as the one that somebody looks at, though others are open.
	if _, err := chromedp.Call(ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}); err != nil {
		t.Fatal(err)
	}
	return p
}

// shared is the browser of all tests that need none of their own. TestMain ends it.
var shared struct {
	once sync.Once
	ctx  context.Context
	end  func()
	err  error
}

func sharedBrowser(path string) (context.Context, error) {
	shared.once.Do(func() { shared.ctx, shared.end, shared.err = startBrowser(path) })
	return shared.ctx, shared.err
}

func endSharedBrowser() {
	if shared.end != nil {
		shared.end()
	}
}

// startBrowser starts a browser, which end ends.
func startBrowser(path string, more ...browserOption) (_ context.Context, end func(), _ error) {
	profile, err := os.MkdirTemp("", "lastseen-chromium-")
	if err != nil {
		return nil, nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(profile), chromedp.DisableGPU, chromedp.WindowSize(1280, 800),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		// Chromium switches the back/forward cache off under automation; the tests want it as people have it.
		chromedp.Flag("enable-features", "NetworkService,NetworkServiceInProcess,BackForwardCache"),
	)
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // which refuses to run as root
	}
	allocator, endAllocator := chromedp.NewExecAllocator(context.Background(), append(options, more...)...)
	ctx, endContext := chromedp.NewContext(allocator)
	end = func() {
		chromedp.Cancel(ctx)
		endContext()
		endAllocator()
		os.RemoveAll(profile)
	}
	if err := chromedp.Do(ctx); err != nil {
		end()
		return nil, nil, fmt.Errorf("start Chromium: %w", err)
	}
	return ctx, end, nil
}

// watchConsole collects what the page says on its console until the tab ends.
func (p *tab) watchConsole() (finish func()) {
	messages := chromedp.Console(p.ctx)
	var said []string
	var reading sync.WaitGroup
	reading.Go(func() {
		for message, err := range messages {
			if err != nil {
				return
			}
			if message.Type == "error" && strings.HasPrefix(message.Text, "Failed to load resource: the server responded with a status of 4") {
				continue
			}
			if p.refusalsExpected && strings.HasPrefix(message.Text, "Failed to load resource: net::ERR_") {
				continue
			}
			if message.IsException() || message.Type == "error" || message.Type == "warning" {
				said = append(said, message.String())
			}
		}
	})
	return func() {
		reading.Wait()
		for _, message := range said {
			p.Errorf("the page's console says: %s", message)
		}
	}
}

// patience is how long a step may take before the test fails.
const patience = 20 * time.Second

// do runs steps.
func (p *tab) do(steps ...step) {
	p.Helper()
	for i, s := range steps {
		ctx, cancel := context.WithTimeout(p.ctx, patience)
		err := chromedp.Do(ctx, s)
		cancel()
		if err != nil {
			p.Fatalf("step %d of %d: %v; the page says: %s", i+1, len(steps), err, p.text("body"))
		}
	}
}

// eval evaluates JavaScript, which may return a promise.
func eval[T any](p *tab, expression string) T {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.Fatalf("evaluate %s: %v", expression, err)
	}
	return value
}

// text is what a person reads in the first element that a selector matches, and empty for none.
func (p *tab) text(selector string) string {
	p.Helper()
	return eval[string](p, fmt.Sprintf(`document.querySelector(%q)?.innerText ?? ""`, selector))
}

// open goes to a page of the service.
func (p *tab) open(path string) step { return chromedp.Navigate(p.base + path) }

// click clicks what matches a CSS selector.
func click(selector string) step { return chromedp.Click(chromedp.CSS(selector)) }

// press clicks the button or link with a text, as a person looks for it.
func press(text string) step {
	encoded, err := json.Marshal(text)
	if err != nil {
		panic(err) // a text always becomes JSON
	}
	return chromedp.Click(chromedp.JSPath(fmt.Sprintf(
		`[...document.querySelectorAll("button, a")].filter((e) => e.checkVisibility() && (e.getAttribute("aria-label") ?? e.innerText.trim()) === %s)`, encoded)))
}

// see waits until what matches a selector is there to be seen.
func see(selector string) step { return chromedp.WaitVisible(chromedp.CSS(selector)) }

// gone waits until nothing matches a selector.
func gone(selector string) step { return chromedp.WaitNotPresent(chromedp.CSS(selector)) }

// says waits until a text stands in what matches a selector.
func says(selector, text string) step {
	expression := fmt.Sprintf(`[...document.querySelectorAll(%q)].some((e) => e.innerText.includes(%q))`, selector, text)
	return func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		for {
			_, err := chromedp.Poll[bool](expression)(ctx, target)
			switch {
			case err == nil:
				return chromedp.Void{}, nil
			case ctx.Err() != nil: // otherwise the page has gone to another while we waited
				return chromedp.Void{}, fmt.Errorf("wait for %q in %s: %w", text, selector, err)
			}
		}
	}
}

// typed types at whatever has the focus.
func typed(text string) step { return chromedp.KeyEvent(text) }

// fill types into a field.
func fill(selector, text string) step { return chromedp.SendKeys(chromedp.CSS(selector), text) }

// allowClipboard lets the page's scripts read and write the clipboard without asking.
func (p *tab) allowClipboard() {
	p.Helper()
	for _, name := range []string{"clipboard-read", "clipboard-write"} {
		_, err := chromedp.CallBrowser(p.ctx, permission.SetPermission, permission.SetPermissionParams{
			Permission: &permission.PermissionDescriptor{Name: name}, Setting: permission.PermissionSettingGranted, Origin: p.base,
			BrowserContextID: cdp.BrowserContextID(chromedp.FromContext(p.ctx).BrowserContextID),
		})
		if err != nil {
			p.Fatalf("allow the clipboard: %v", err)
		}
	}
}

// signIn signs the tab in by a link and waits for the console.
func (p *tab) signIn(link string) {
	p.Helper()
	p.do(p.open("/auth/link#"+link), see("#link-button"), click("#link-button"), see(".menu-organisation"))
}
