package server

import (
	"encoding/csv"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	devtools "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"lastseen/keys"
	"lastseen/keys/people"
	"lastseen/schema"
)

// drive gives a session a point every 10 seconds up to now, along a street at a speed in m/s.
func (s *service) drive(session string, points int, speed float64) {
	s.Helper()
	var lines strings.Builder
	now := time.Now().UTC()
	for i := range points {
		at := now.Add(-10 * time.Second * time.Duration(points-1-i))
		fmt.Fprintf(&lines, `{"session_id":%q,"timestamp":%q,"latitude":%.6f,"longitude":-73.98,"speed":%.1f,"battery":0.5}`+"\n",
			session, at.Format("2006-01-02T15:04:05.000Z"), 40.7+float64(i)*speed*10/111195, speed)
	}
	s.ingest("org_a", lines.String())
}

// staysHome fails the test when the page has loaded anything from elsewhere.
func (p *tab) staysHome() {
	p.Helper()
	elsewhere := eval[[]string](p, `performance.getEntriesByType("resource").map((e) => e.name).filter((name) => !name.startsWith(location.origin + "/") && !name.startsWith("blob:" + location.origin))`)
	if len(elsewhere) > 0 {
		p.Errorf("the page has asked for %v", elsewhere)
	}
}

const sessionsPath = "/console/#/org_a/sessions"

// TestSessionsAreSeenOnTheMap is the sessions page's main story.
func TestSessionsAreSeenOnTheMap(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := start(t)
	moving, standing, ended := s.session("org_a", "van-1"), s.session("org_a", "van-2"), s.session("org_a", "van-3")
	s.session("org_a", "van-4") // was never seen
	s.drive(moving, 40, 10)
	s.drive(standing, 40, 0)
	s.drive(ended, 2, 10)
	operator := s.token("org_a", keys.RoleOperator)
	s.post(pathTerminate+"?session_id="+ended, operator, "", 200)
	p := newTab(t, base(s), withClipboard)
	p.allowClipboard()
	p.signIn(s.link(owner))
	p.do(says("#session-count", "3 sessions, 1 moving, 1 standing, 1 without a position"), says(".session-list", "36 km/h · 50 %"), says(".chips", "Ended"))
	if hash := eval[string](p, "location.hash"); hash != "#/org_a/sessions" {
		t.Errorf("the first page is %s", hash)
	}
	p.do(untilTrue(`document.querySelector(".sessions").markers?.drawn === 2`))

	// The keyboard alone finds a session and chooses it.
	p.do(chromedp.Focus(chromedp.CSS(".search input")), typed("VAN"), says(".sessions-head [role=status]", "4 sessions found"), typed("-1"),
		says(".sessions-head [role=status]", "1 session found"), untilTrue(`document.querySelectorAll(".search option").length === 1`))
	p.do(chromedp.Focus(chromedp.CSS(".session-row")), typed(kb.Enter), says(".detail h2", "van-1"), says(".figures", "40 points"), says(".figures", "3.9 km"), says(".figures", "36 km/h"))
	if hash := eval[string](p, "location.hash"); hash != "#/org_a/sessions/"+moving {
		t.Errorf("the address is %s", hash)
	}

	// A point is marked as an outlier, and the mark is taken away.
	p.do(see(".u-over"), chromedp.Focus(chromedp.CSS(".slider")), typed(kb.Home), press("Mark as outlier"), says(".figures", "40 points, 1 outlier"))
	p.do(press("It is no outlier"), untilTrue(`!document.querySelector(".figures").innerText.includes("outlier")`))

	// What it asked, as a line for a shell, with somebody else's key.
	p.do(press("Copy as curl"), says("#announcer", "on your clipboard"))
	line := eval[string](p, "navigator.clipboard.readText()")
	key, _ := s.key("org_a", schema.KindAPIKey)
	_, asked, _ := strings.Cut(strings.TrimSuffix(line, "'"), base(s))
	if !strings.HasPrefix(line, `curl -s -H "Authorization: Bearer $KEY" '`) || strings.Count(string(s.get(asked, key, 200).body), `"_id"`) != 40 {
		t.Errorf("the line is %s", line)
	}

	// A file of every point.
	eval[bool](p, `(() => { URL.createObjectURL = (blob) => { blob.text().then((text) => { window.taken = text }); return "blob:" }; return true })()`)
	eval[bool](p, `(() => { HTMLAnchorElement.prototype.click = function () { window.takenAs = this.download }; return true })()`)
	p.do(press("Download"), press("CSV"), untilTrue(`window.taken !== undefined`))
	rows, err := csv.NewReader(strings.NewReader(eval[string](p, "window.taken"))).ReadAll()
	if name := eval[string](p, "window.takenAs"); err != nil || len(rows) != 41 || name != "van-1.csv" {
		t.Errorf("%v: %s has %d rows", err, name, len(rows))
	}

	// It moves on, and the page with it.
	s.drive(moving, 1, 20)
	p.do(says(".session-list", "72 km/h"), says(".figures", "41 points"))
	p.do(chromedp.Reload(), says(".detail h2", "van-1"), says(".figures", "41 points"))
	p.do(press("Close"), gone(".detail"), press("Ended"), says(".session-list", "van-3"))
	p.staysHome()
}

// TestTheMapFollowsWhatChangesByEvents: what moves is told and not asked for, and what is new or has ended is asked for when
// that is told.
func TestTheMapFollowsWhatChangesByEvents(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := start(t)
	session, ends := s.session("org_a", "van-1"), s.session("org_a", "van-2")
	s.drive(session, 5, 10)
	s.drive(ends, 5, 10)
	p := newTab(t, base(s))
	p.signIn(s.link(owner))
	lists := `performance.getEntriesByType("resource").filter(({ name }) => name.includes("/sessions/list/v1")).length`
	p.do(says(".session-list", "36 km/h"), untilTrue(lists+" >= 5")) // the first looks, with those at what has ended
	if n := s.longPolls(); n != 1 {
		t.Errorf("%d streams are open, want one", n)
	}
	asked := eval[int](p, lists)
	for _, speed := range []float64{20, 15, 25} {
		s.drive(session, 1, speed)
		p.do(says(".session-list", fmt.Sprintf("%.0f km/h", speed*3.6)))
	}
	if again := eval[int](p, lists); again > asked+1 {
		t.Errorf("the list was asked %d times while three points came", again-asked)
	}
	fresh := s.session("org_a", "van-3")
	s.drive(fresh, 1, 10)
	p.do(says(".session-list", "van-3"))
	s.post(pathTerminate+"?session_id="+ends, s.token("org_a", keys.RoleOperator), "", 200)
	p.do(untilTrue(`!document.querySelector(".session-list").innerText.includes("van-2")`), says(".chips", "Ended"))
}

// TestAPublicLinkShowsOneSession: whoever has the link sees it without an account, and no longer than it is public.
func TestAPublicLinkShowsOneSession(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := start(t)
	session := s.session("org_a", "secret-name")
	s.session("org_a", "other")
	s.drive(session, 30, 10)
	p := newTab(t, base(s))
	p.do(p.open("/track/#"+session), says("h1", "not shared"))
	p.signIn(s.link(owner))
	p.do(p.open(sessionsPath+"/"+session), press("Share"), press("Make a public link"), says("dialog", "/track/#"+session), press("Done"), gone("dialog"))
	p.do(click(".menu-person .menu-button"), press("Sign out"), see(".gate"), p.open("/track/#"+session), says("h1", "Shared track"), says(".figures", "30 points"), see(".u-over"))
	if page := eval[string](p, "document.documentElement.outerHTML"); strings.Contains(page, "secret-name") || strings.Contains(page, "org_a") || strings.Contains(page, "other") {
		t.Error("the page shows more of the organisation than the session")
	}
	s.drive(session, 1, 20)
	p.do(says(".figures", "31 points"))
	s.post(pathUpdateSession+"?session_id="+session, s.token("org_a", keys.RoleOperator), `{"public":false}`, 200)
	p.do(says("h1", "not shared"), gone(".figures"), gone(".map"))
	p.staysHome()
}

// TestTheSessionsPageSaysHowThingsAre: without sessions, for a Driver, with a link to nothing.
func TestTheSessionsPageSaysHowThingsAre(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := start(t)
	p := newTab(t, base(s))
	p.signIn(s.link(people.Person{UserID: "user_olga", Memberships: []people.Membership{{OrgID: "org_a", Role: keys.RoleOperator}, {OrgID: "org_b", Role: keys.RoleDriver}}}))
	p.do(says(".none-yet", "No sessions yet"), says(".none-yet", "lastseen import tracks.csv"), says(".none-yet", "lastseen demo"))
	p.do(p.open(sessionsPath+"/"+strings.Repeat("f", 24)), says(".detail", "This session is not there"), see(".detail"), press("To all sessions"), gone(".detail"), see(".none-yet"))
	session := s.session("org_a", "first")
	p.do(says(".session-list", "first"), says(".session-list", "No position"))
	p.do(p.open(sessionsPath+"/"+strings.Repeat("f", 24)), says(".detail", "This session is not there"), press("To all sessions"), gone(".detail"))
	p.do(p.open(sessionsPath+"/"+session), says(".detail", "No points in this range"))
	p.do(p.open("/console/#/org_b"), says("main", "As a Driver of org_b you send positions"))
	p.do(p.open("/console/#nonsense"), see(".sessions"), p.open("/console/#/org_a/elsewhere"), see(".sessions"))
	p.do(p.open("/console"), see(".sessions"))
}

// TestALostConnectionIsSaidAndMended: over a slow line the page shows what it can, and over a cut one since when.
func TestALostConnectionIsSaidAndMended(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := start(t)
	session := s.session("org_a", "van-1")
	s.drive(session, 5, 10)
	l := newLine(t, s.address)
	p := newTab(t, l.base)
	p.refusalsExpected = true
	p.signIn(s.link(owner))
	p.do(p.open(sessionsPath+"/"+session), says(".figures", "5 points"))
	l.cut(true)
	p.do(says(".banner", "What is shown is as of "), says(".session-list", "van-1"))
	s.drive(session, 1, 20)
	l.cut(false)
	p.do(untilTrue(`document.querySelector(".banner").innerText === ""`), says(".session-list", "72 km/h"), says(".figures", "6 points"))

	l.slow(150 * time.Millisecond)
	p.do(chromedp.Navigate("about:blank"), chromedp.Navigate(p.base+"/console/"))
	p.do(see(".opening, .rows-loading, .session-list"), says(".session-list", "van-1"))
	l.cut(true)
	p.do(chromedp.Navigate("about:blank"))
}

// manySessions makes the page's list of sessions one of ten thousand that all move at every look.
const manySessions = `(() => {
  const asItWas = window.fetch;
  const began = Date.now() - 60000;
  let looks = 0;
  const session = (i, look) => {
    const along = look * 0.0004 * (1 + (i % 7));
    return {_id: i.toString(16).padStart(24, "0"), schema_version: 1, org_id: "org_a", device_id: "0".repeat(24), device_mac_address: "m" + i, off_chrt_reference_id: "van-" + i,
      created_at_timestamp: "2026-01-01T00:00:00Z", last_seen_at_timestamp: new Date(began + look * 5000).toISOString(),
      last_seen_at_location: {type: "Feature", geometry: {type: "Point", coordinates: [-74 + (i % 100) * 0.01 + along, 40 + Math.floor(i / 100) * 0.01]}, properties: {speed: 10, heading: (i * 37) % 360, battery: 0.5}}};
  };
  window.fetch = (address, options) => {
    const url = new URL(address, location.href);
    if (url.pathname !== "/tracking/sessions/list/v1") return asItWas(address, options);
    const page = Number(url.searchParams.get("page") ?? 1);
    const ended = url.searchParams.get("filter_terminated") === "true";
    if (page === 1 && !ended) looks += 1;
    const items = ended ? [] : Array.from({length: 1000}, (_, i) => session((page - 1) * 1000 + i, looks));
    return Promise.resolve(new Response(JSON.stringify({items, total_count: ended ? 0 : 12000}), {headers: {"Content-Type": "application/json"}}));
  };
})()`

// processorTime is how long the page's main thread has run, waiting not counted.
func (p *tab) processorTime() time.Duration {
	p.Helper()
	got, err := chromedp.Call(p.ctx, performance.GetMetrics, cdp.Empty{})
	if err != nil {
		p.Fatalf("ask for the page's processor time: %v", err)
	}
	for _, metric := range got.Metrics {
		if metric.Name == "TaskDuration" {
			return time.Duration(metric.Value * float64(time.Second))
		}
	}
	p.Fatal("the browser does not tell the page's processor time")
	return 0
}

// TestTenThousandSessionsStayUsable: all of them move, and the page with them.
func TestTenThousandSessionsStayUsable(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := start(t)
	p := newTab(t, base(s))
	if _, err := chromedp.Call(p.ctx, devtools.AddScriptToEvaluateOnNewDocument, devtools.AddScriptToEvaluateOnNewDocumentParams{Source: manySessions}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(p.ctx, performance.Enable, performance.EnableParams{TimeDomain: performance.EnableTimeDomainThreadTicks}); err != nil {
		t.Fatal(err)
	}
	p.signIn(s.link(owner))
	p.do(says("#session-count", "12,000 sessions"), says(".list-note", "10,000 of 12,000"), untilTrue(`document.querySelector(".sessions").markers?.drawn === 10000`))
	if rows := eval[int](p, `document.querySelectorAll(".session-row").length`); rows != 100 {
		t.Errorf("the list has %d rows", rows)
	}
	eval[bool](p, `(dispatchEvent(new Event("online")), new Promise((done) => setTimeout(() => done(true), 1000)))`) // all set off
	before := p.processorTime()
	frames := eval[float64](p, `new Promise((done) => {
	  let frames = 0;
	  const end = performance.now() + 2000;
	  const step = (now) => { if (now < end) { frames += 1; requestAnimationFrame(step) } else done(frames) };
	  requestAnimationFrame(step);
	})`)
	each := (p.processorTime() - before).Seconds() * 1000 / max(frames, 1)
	t.Logf("10,000 moving sessions: a frame takes the page %.1f ms of processor time; there were %v frames in two seconds", each, frames)
	if frames < 2 { // how many more depends on the machine
		t.Error("the map stands still")
	}
	p.do(chromedp.Focus(chromedp.CSS(".search input")), typed("van-9999"), says(".sessions-head [role=status]", "1 session found"))
}

// untilTrue waits until an expression is true.
func untilTrue(expression string) step {
	return step(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(
		`new Promise((done) => { const look = () => (%s) ? done() : setTimeout(look, 20); look() })`, expression), chromedp.EvalAwaitPromise))
}
