package server

import (
	_ "embed"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"lastseen/keys"
	"lastseen/keys/people"
)

// axe is the accessibility checker axe-core; server/console/vendor/build.sh brings it.
//
//go:embed testdata/axe.min.js
var axe string

// accessible runs the checker on what the tab shows, in light and dark, wide and on a small phone.
func (p *tab) accessible(name string) {
	p.Helper()
	eval[bool](p, axe+"; true")
	for _, look := range allLooks {
		p.accessibleIn(name, look)
	}
	p.do(looks("light", 1280, 800))
}

// appearance is a colour scheme and a width, and which of the checker's rules to try, all when empty.
type appearance struct {
	scheme, rules string
	width         int64
}

var allLooks = []appearance{{"light", "", 1280}, {"light", "", 320}, {"dark", `, runOnly: ["color-contrast"]`, 768}}

// accessibleIn runs the checker, which is on the page, in one look.
func (p *tab) accessibleIn(name string, look appearance) {
	p.Helper()
	p.do(looks(look.scheme, look.width, 800))
	found := eval[[]string](p, `new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next)))
		.then(() => Promise.allSettled(document.getAnimations().filter((a) => a.effect.getComputedTiming().iterations !== Infinity).map((a) => a.finished)))
		.then(() => axe.run(document, {resultTypes: ["violations"]`+look.rules+`}))
		.then(({violations}) => violations.flatMap((v) => v.nodes.map((n) => v.id + ": " + n.target.join(" ") + " " + n.html.slice(0, 200) + " " + (n.any[0]?.message ?? ""))))`)
	if len(found) > 0 {
		p.Errorf("%s, %s, %d pixels wide:\n%s", name, look.scheme, look.width, strings.Join(found, "\n"))
	}
	if wide := eval[int64](p, `document.documentElement.scrollWidth`); wide > look.width {
		p.Errorf("%s at %d pixels is %d wide", name, look.width, wide)
	}
}

// TestThePagesAreAccessible: no rule of axe-core is broken, whatever the page, its state and the role.
func TestThePagesAreAccessible(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := start(t)
	session := s.session("org_a", "van-1")
	s.session("org_a", "van-2")
	s.drive(session, 60, 10)
	s.post(pathUpdateSession+"?session_id="+session, s.token("org_a", keys.RoleOwner), `{"public":true,"comments":"on the road"}`, 200)
	p := newTab(t, base(s))
	p.do(p.open("/console/"), see(".gate"))
	p.accessible("the way in")
	p.do(p.open("/auth/link#"+s.link(owner)), see("#link-button"))
	p.accessible("the link's page")
	p.do(press("Sign in"), says(".session-list", "van-1"), untilTrue(`document.querySelector(".sessions").markers?.drawn === 1`))
	p.accessible("the sessions")
	p.do(p.open(sessionsPath+"/"+session), says(".figures", "60 points"), see(".u-over"))
	p.do(chromedp.Focus(chromedp.CSS(".slider")), typed(kb.Home), press("Mark as outlier"), says(".stays summary", "1 outlier"), click(".stays:last-child summary"), says(".stays", "marked by a person"))
	p.accessible("a session with an outlier")
	p.do(press("Shared"), see("dialog"))
	p.accessible("the share dialog")
	p.do(press("Done"), p.open(sessionsPath+"/"+strings.Repeat("f", 24)), see(".detail-missing"))
	p.accessible("a session that is not there")
	p.do(p.open("/console/#/org_b"), says("main", "No sessions yet"))
	p.accessible("no sessions")
	p.do(p.open("/track/#"+session), says(".figures", "60 points"), see(".u-over"))
	p.accessible("a public track")
	p.do(p.open("/track/#"), says("h1", "not shared"))
	p.accessible("a link to nothing")
	p.staysHome()
}

// TestTheOtherPagesAreAccessible likewise: the keys, the API, and what a Driver sees.
func TestTheOtherPagesAreAccessible(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := start(t)
	p := newTab(t, base(s))
	p.signIn(s.link(owner))
	p.do(p.open(keysPath), press("Add new key"), see("dialog"), click(".limits summary"), see("dialog textarea"))
	p.accessible("the dialog for a key")
	p.do(fill("dialog input[name=name]", "Accessible"), press("Add key"), see(".secret-text"))
	p.accessible("a new key")
	p.do(closeUncopied, see("tbody tr"), see(".event"))
	p.accessible("the keys")
	p.do(press("Edit Accessible"), see("dialog"), click(".limits summary"), see("dialog textarea"))
	p.accessible("the dialog that changes a key")
	p.do(press("Cancel"), gone("dialog"), press("Revoke Accessible"), see("dialog .usage-bars"))
	p.accessible("the revocation")
	p.do(typed(kb.Escape), gone("dialog"), p.open("/console/#/org_a/settings/device-credentials"), press("Add the first credential"),
		fill("dialog input[name=name]", "Accessible"), press("Add credential"), see("svg.qr"))
	p.accessible("an app that is set up")
	p.do(closeUncopied, p.open("/docs"), see("#find"))
	eval[bool](p, axe+"; true")
	p.accessibleIn("the whole API", allLooks[0]) // once: it is long
	p.do(fill("#find", "last_seen"), says("#found", "routes found"))
	p.accessible("the API")
	p.signIn(s.link(people.Person{UserID: "user_dan", Memberships: []people.Membership{{OrgID: "org_a", Role: keys.RoleDriver}}}))
	p.do(says("main", "As a Driver"))
	p.accessible("a Driver's page")
	p.do(click(".menu-organisation .menu-button"), press("Manage"), see(".facts"))
	p.accessible("the settings")
	p.staysHome()
}

// TestTheAPIIsFoundAndTriedInABrowser: the page of the API searches, and sends what reads.
func TestTheAPIIsFoundAndTriedInABrowser(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := start(t)
	session := s.session("org_a", "van-1")
	s.drive(session, 3, 10)
	p := newTab(t, base(s), withClipboard)
	p.allowClipboard()
	p.signIn(s.link(owner))
	p.do(press("API"), see("#find"), fill("#find", "typeahead"), says("#found", "1 route found."))
	const one = "section.operation:not([hidden]) "
	if curl := p.text(one + ".copy-line code"); curl != "" { // it is folded
		t.Errorf("the example is unfolded: %s", curl)
	}
	p.do(click(one+".more summary"), says(one+".more", `"$LASTSEEN/tracking/sessions/typeahead/v1?query=load"`), says(one+".more", `"values"`))
	p.do(click(one+".try summary"), fill(one+"input[name=query]", "VAN"), press("Send"), says(one+".answer", "200 OK in "), says(one+".answer", `"van-1"`))
	p.do(chromedp.SetValue(chromedp.CSS("#key"), unknownKey()), press("Send"), says(one+".answer", "401"), says(one+".answer", "invalid"))
	if kept := eval[string](p, `JSON.stringify([{...localStorage}, {...sessionStorage}, location.href, history.state, document.cookie])`); strings.Contains(kept, "ak_") {
		t.Errorf("the key is kept: %s", kept)
	}
	p.do(press("Console"), see(".sessions"))
	p.do(looks("light", 390, 800), p.open("/docs/"), see("#find"))
	if eval[bool](p, `document.getElementById("contents").open`) {
		t.Error("on a phone the contents are unfolded")
	}
	p.do(click("#contents summary"), see(".nav-group"))
	if address := eval[string](p, "location.pathname"); address != "/docs" {
		t.Errorf("/docs/ leads to %s", address)
	}
	p.staysHome()
}
