package server

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"lastseen/keys"
	"lastseen/keys/people"
)

// TestManyKeysCanBeFound: a list of many keys is searched, filtered, sorted and turned, and those that
// are over are folded away.
func TestManyKeysCanBeFound(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := start(t)
	admin := s.token("org_a", keys.RoleOwner)
	for i := range 61 {
		for _, path := range []string{pathAPIKeys, pathDeviceCredentials}[:1+i%61/60] {
			expires := time.Now().Add(time.Duration(i+1) * 24 * time.Hour).UTC().Format(time.RFC3339)
			made := object(t, s.post(path+"/create/v1", admin, fmt.Sprintf(`{"name":"Key number %d","expires_at_timestamp":%q}`, i, expires), 201))
			if i < 5 {
				s.post(fmt.Sprintf("%s/revoke/v1?api_key_id=%v", path, made["_id"]), admin, "", 200)
			}
		}
	}
	p := newTab(t, base(s))
	p.signIn(s.link(owner))
	p.do(p.open(keysPath), says("tbody", "Key number 60"), says(".pager", "1 to 50 of 56"), says(".fold", "Revoked and expired (5)"))
	if tall := eval[int](p, `document.documentElement.scrollHeight`); tall > 6000 {
		t.Errorf("the page is %d pixels tall", tall)
	}
	p.do(press("Next"), says("tbody", "Key number 5"), says(".pager", "51 to 56 of 56"))
	p.do(choose(".choice select:nth-of-type(2)", "expires_at_timestamp"), says(".pager", "1 to 50 of 56"), says("tbody tr:first-child", "Key number 5"))
	p.do(fill(".choice input", "NUMBER 3"), says(".choice [role=status]", "11 found."), says(".fold", "(1)"), gone(".pager"))
	p.do(choose(".choice select:nth-of-type(1)", "revoked"), says(".choice [role=status]", "1 found."), says("tbody", "Key number 3"))
	for _, path := range []string{keysPath, "/console/#/org_a/settings/device-credentials"} {
		p.do(p.open(path), see("tbody tr"))
		for _, width := range []int64{320, 600, 861, 960, 1079, 1101, 1280} {
			p.do(chromedp.EmulateViewport(width, 800))
			if wide := eval[int64](p, `Math.max(document.documentElement.scrollWidth, ...[...document.querySelectorAll(".panel")].map((e) => e.scrollWidth))`); wide > width {
				t.Errorf("%s at %d pixels is %d wide", path, width, wide)
			}
		}
	}
}

// choose chooses an option as a person does.
func choose(selector, value string) step {
	return step(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`((e) => { e.value = %q; e.dispatchEvent(new Event("change")) })(document.querySelector(%q))`, value, selector)))
}

// TestAKeyIsLimitedNarrowedAndSeenInUse: what a key may do is chosen when it is made, narrowed later, and told; what it is
// used for is shown in the list and before it is revoked.
func TestAKeyIsLimitedNarrowedAndSeenInUse(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := start(t)
	p := newTab(t, base(s))
	p.signIn(s.link(owner))
	p.do(p.open(keysPath), press("Add the first key"), fill("dialog input[name=name]", "Portal"), click(".limits summary"),
		click("dialog input[value=history]"), fill("dialog textarea", "10.0.0.1/8"), fill("dialog input[name=requests_per_second]", "100"), press("Add key"),
		says("dialog .field-error", "write 10.0.0.0/8"))
	p.do(chromedp.SetValue(chromedp.CSS("dialog textarea"), "127.0.0.0/8 10.0.0.0/8"), press("Add key"), see(".secret-text"))
	key := p.text(".secret-text")
	p.do(closeUncopied, says("tbody .cell-name", "Newest points, Sessions · from 2 ranges · 100 a second"), says(".usage", "None"))
	if got := s.works(key); got != 200 {
		t.Errorf("the key answers %d", got)
	}
	s.get(pathDataPoints+"?session_id=0123456789abcdef01234567&start_timestamp=2026-01-01T00:00:00Z&end_timestamp=2026-01-02T00:00:00Z", key, 403)

	p.do(press("Edit Portal"), chromedp.SetValue(chromedp.CSS("dialog input[name=requests_per_second]"), "101"), press("Save"), says("dialog .field-error", "at most 100"))
	if open := eval[bool](p, `document.querySelector("dialog input[value=history]").disabled`); !open {
		t.Error("a scope that the key has not can be chosen")
	}
	p.do(chromedp.SetValue(chromedp.CSS("dialog input[name=requests_per_second]"), "50"), chromedp.SetValue(chromedp.CSS("dialog input[name=name]"), "Portal of customers"),
		click("dialog input[value=last_seen]"), press("Save"), gone("dialog"), says("tbody .name", "Portal of customers"), says("tbody .cell-name", "Sessions · from 2 ranges · 50 a second"),
		says(".events", "user_olga changed Portal of customers"), says(".events", "(name, scopes, rate)"))
	s.get(pathLastSeen+"?session_id=0123456789abcdef01234567", key, 403)

	if err := s.Server.services.Authenticator.FlushUses(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.do(press("General"), see(".facts"), press("API keys"), says(".usage", "3 in 30 days"), press("Revoke Portal of customers"),
		says("dialog .usage-wide", "3 requests in the last 30 days, of which 2 were refused or failed."), see("dialog .usage-bars"))
	p.do(press("Revoke key"), gone("dialog"), says(".list", "No key is active"), click(".fold summary"), says("tbody .badge-revoked", "Revoked"))
}

// TestNoKeyIsLostOnTheWay: an answer that does not come, keys pressed too often, a list that is old.
func TestNoKeyIsLostOnTheWay(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := start(t)
	p := newTab(t, base(s))
	p.signIn(s.link(owner))
	p.do(p.open(keysPath), see(".placeholder"))

	// The key is made, but its answer does not arrive in time.
	eval[bool](p, `(() => { window.asItWas = window.fetch; window.fetch = async (...sent) => { const answer = await asItWas(...sent); if (sent[0].includes("/create/")) throw new DOMException("", "TimeoutError"); return answer }; return true })()`)
	p.do(press("Add new key"), fill("dialog input[name=name]", "Unanswered"), press("Add key"), says("dialog .notice-danger", "may have been made all the same"), says("tbody", "Unanswered"))

	// Sent again, it makes no second one that is good: the first is revoked, and the text of another shown.
	eval[bool](p, `(window.fetch = window.asItWas, true)`)
	p.do(press("Add key"), see(".secret-text"))
	if text := p.text(".secret-text"); s.works(text) != 200 {
		t.Error("the key that is shown does not work")
	}
	p.do(closeUncopied, says(".fold", "Revoked and expired (1)"))
	if n := eval[int](p, `document.querySelectorAll("tbody .badge-active").length`); n != 1 {
		t.Errorf("%d keys are active", n)
	}

	// Escape, twice, while it is being made closes nothing.
	p.do(press("Add new key"), fill("dialog input[name=name]", "Escaped"))
	eval[bool](p, `(() => { window.fetch = async (...sent) => { if (sent[0].includes("/create/")) await new Promise((go) => { window.goOn = go }); return asItWas(...sent) }; return true })()`)
	p.do(press("Add key"), untilTrue(`window.goOn !== undefined`), typed(kb.Escape), typed(kb.Escape), see("dialog form"))
	eval[bool](p, `(window.fetch = window.asItWas, window.goOn(), true)`)
	p.do(see(".secret-text"), typed(kb.Escape), says("dialog", "You have not copied it yet"), typed(kb.Escape), gone("dialog"))

	// Somebody else revokes a key that is still shown as active.
	admin := s.token("org_a", keys.RoleOwner)
	list := string(s.get(pathAPIKeys+"/list/v1", admin, 200).body)
	_, rest, _ := strings.Cut(list, `"_id":"`)
	s.post(pathAPIKeys+"/revoke/v1?api_key_id="+rest[:24], admin, "", 200)
	p.do(press("Rotate Escaped"), press("Rotate key"), says("dialog .notice-danger", "revoked"), press("Cancel"), says(".fold", "Revoked and expired (2)"))

	// Somebody else signs in in another tab of the same browser.
	link := s.link(people.Person{UserID: "user_pia", Memberships: []people.Membership{{OrgID: "org_a", Role: keys.RoleOwner}}})
	eval[bool](p, fmt.Sprintf(`fetch("/auth/link/v1", {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify({token: %q})}).then((r) => r.ok)`, link))
	p.do(press("Add new key"), fill("dialog input[name=name]", "Whose"), press("Add key"), says("#announcer", "user_pia has signed in in another tab"), gone("dialog"))
	p.do(untilTrue(`document.querySelector(".menu-person .menu-button").title.includes("user_pia")`))
}

// TestASessionWarnsBeforeItEnds: some minutes before, in words.
func TestASessionWarnsBeforeItEnds(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := start(t)
	p := newTab(t, base(s))
	p.signIn(s.link(owner))
	eval[bool](p, `(() => { const asItWas = window.fetch; window.fetch = async (...sent) => { const answer = await asItWas(...sent); if (sent[0] !== "/auth/session/v1") return answer;
		return new Response(JSON.stringify({...await answer.json(), expires_at_timestamp: new Date(Date.now() + 120000).toISOString()})) }; return true })()`)
	eval[bool](p, `dispatchEvent(new PageTransitionEvent("pageshow", {persisted: true}))`)
	p.do(says("#session-ends", "Your session ends at "), press("Close"), gone("#session-ends"))
	if names := eval[[]string](p, `[...document.querySelectorAll(".bar-link")].map((e) => e.innerText)`); !slices.Equal(names, []string{"Sessions", "Keys", "API"}) {
		t.Errorf("the bar leads to %v", names)
	}
}
