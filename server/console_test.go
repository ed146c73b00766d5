package server

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"lastseen/keys"
	"lastseen/keys/apikey"
	"lastseen/keys/people"
	"lastseen/keys/people/oidc/oidctest"
)

const keysPath = "/console/#/org_a/settings/api-keys"

func base(s *service) string { return "http://" + s.address }

// works is the status of what an API key is for.
func (s *service) works(key string) int {
	s.Helper()
	return s.do("GET", pathSessionsList, key, nil).StatusCode
}

// addKey goes through the dialog and returns the key that is shown.
func (p *tab) addKey(name string) string {
	p.Helper()
	p.do(press("Add new key"), fill("dialog input[name=name]", name), press("Add key"), see(".secret-text"))
	return p.text(".secret-text")
}

// closeUncopied closes the dialog with a key that was not copied, which takes two presses.
var closeUncopied = chromedp.Steps(press("Done"), says("dialog", "You have not copied it yet"), press("Done"), gone("dialog"))

// TestAnOwnerManagesKeysInABrowser is the page's main story, from the sign-in link to the revocation.
func TestAnOwnerManagesKeysInABrowser(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := start(t)
	p := newTab(t, base(s), withClipboard)
	p.allowClipboard()
	p.do(
		p.open("/auth/link#"+s.link(owner)), says("#link-text", "user_olga, an Owner of org_a"), press("Sign in"),
		see(".menu-organisation"), click(".menu-organisation .menu-button"), press("Manage"),
		see(".tabs"), press("API keys"), says(".placeholder", "No API keys yet"), says(".events-note", "Nothing has happened yet."),
	)

	const name = `Dispatch <b onmouseover="alert(1)">board</b> & "Größe" 車`
	p.do(press("Add new key"), press("Add key"), says(".field-error", "Give it a name."))
	p.do(
		fill("dialog input[name=name]", name), chromedp.SetValue(chromedp.CSS("dialog select"), "30"),
		press("Add key"), see(".secret-text"), says("dialog", "It cannot be seen again"),
	)
	key := p.text(".secret-text")
	if !strings.HasPrefix(key, "ak_") || s.works(key) != 200 {
		t.Fatalf("the page shows %q, which answers %d", key, s.works(key))
	}
	p.do(press("Copy"), says("dialog", "It is on your clipboard."))
	if copied := eval[string](p, "navigator.clipboard.readText()"); copied != key {
		t.Errorf("the clipboard holds %q", copied)
	}
	p.do(press("Done"), gone("dialog"), says("tbody .name", name), says("tbody .badge-active", "Active"))
	if eval[bool](p, `document.querySelector("tbody b") !== null`) {
		t.Error("the name's markup has become markup")
	}
	row := p.text("tbody tr")
	for _, part := range []string{key[:8] + "…", "user_olga", "in 30 days", "Never"} {
		if !strings.Contains(row, part) {
			t.Errorf("the row lacks %q: %s", part, row)
		}
	}

	p.do(press("Revoke "+name), says("dialog .dialog-title", "Revoke “"+name+"”?"), says("dialog", key[:8]+"…"))
	if s.works(key) != 200 {
		t.Error("the key is revoked before that was confirmed")
	}
	p.do(press("Cancel"), gone("dialog"), press("Revoke "+name), press("Revoke key"), gone("dialog"))
	if got := s.works(key); got != 401 {
		t.Errorf("once the dialog has closed the key answers %d", got)
	}
	p.do(
		click(".fold summary"), says("tbody .badge-revoked", "Revoked"), says("#announcer", "has been revoked"),
		says(".events", "user_olga revoked "+name), says(".events", "user_olga created "+name),
	)
	if eval[int](p, `document.querySelectorAll(".cell-actions button").length`) != 0 {
		t.Error("a revoked key can still be rotated or revoked")
	}
	if strings.Contains(s.log.String(), key) {
		t.Error("the log holds the key")
	}
}

// TestAKeyIsShownThisOnce: nothing that a browser can do brings a key back.
func TestAKeyIsShownThisOnce(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := start(t)
	p := newTab(t, base(s))
	p.signIn(s.link(owner))
	p.do(p.open(keysPath), see(".placeholder"))
	for name, leave := range map[string][]step{
		"done, twice":      {closeUncopied},
		"Escape, twice":    {typed(kb.Escape), says("dialog", "You have not copied it yet"), typed(kb.Escape)},
		"reload":           {chromedp.Reload()},
		"away and back":    {chromedp.Navigate("about:blank"), chromedp.NavigateBack()},
		"back and forward": {chromedp.NavigateBack(), see("main h1"), chromedp.NavigateForward()},
		"another tab of the page and back": {
			step(chromedp.Evaluate[chromedp.Void](`location.hash = "#/org_a/settings/device-credentials"`)), gone("dialog"), chromedp.NavigateBack(),
		},
	} {
		key := p.addKey("shown once: " + name)
		p.do(leave...)
		p.do(see("tbody tr"), gone("dialog"))
		p.do(press("Add new key"), see("dialog"), press("Cancel"), gone("dialog"))
		if page := eval[string](p, `document.documentElement.outerHTML + JSON.stringify([{...localStorage}, {...sessionStorage}, history.state, document.cookie, location.href])`); strings.Contains(page, key[8:]) {
			t.Errorf("%s: the page still holds the key", name)
		}
		if s.works(key) != 200 {
			t.Errorf("%s: the key does not work", name)
		}
	}
	p.addKey("an address")
	entries, err := chromedp.Run(p.ctx, chromedp.NavigationEntries())
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries.Entries {
		if strings.Contains(entry.URL+entry.Title, "ak_") || strings.Contains(entry.URL, "eyJ") {
			t.Errorf("the history holds %s", entry.URL)
		}
	}
}

func TestAnOperatorSeesNoKeysInABrowser(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := start(t)
	s.key("org_b", "api_key")
	p := newTab(t, base(s))
	p.signIn(s.link(owner)) // an operator in org_b
	p.do(click(".menu-organisation .menu-button"), chromedp.Click(chromedp.Search(`//a[contains(., "org_b")]`)), says(".menu-organisation", "org_b"))
	p.do(says("main", "No sessions yet"), click(".menu-organisation .menu-button"), press("Manage"), see(".tabs"))
	p.do(says(".notice", "API keys and device credentials are managed by the Owner and the Administrators"))
	if tabs := p.text(".tabs"); strings.TrimSpace(tabs) != "General" {
		t.Errorf("the tabs are %q", tabs)
	}
	for _, slug := range []string{"api-keys", "device-credentials"} {
		p.do(p.open("/console/#/org_b/settings/"+slug), see(".notice"))
		if hash := eval[string](p, "location.hash"); hash != "#/org_b/settings" || eval[bool](p, `document.querySelector(".table, .section-head") !== null`) {
			t.Errorf("%s leads to %s", slug, hash)
		}
	}
	status := eval[int](p, `fetch("/orgs/api_keys/list/v1", {headers: {"Lastseen-Organisation": "org_b"}}).then((r) => r.status)`)
	if status != 403 {
		t.Errorf("the route answers an operator %d", status)
	}
	// An organisation that is not the person's looks like one that does not exist.
	p.do(p.open("/console/#/org_elsewhere/settings/api-keys"), says(".menu-organisation", "org_a"))
}

func TestKeysAreRotatedInABrowser(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := start(t)
	p := newTab(t, base(s))
	p.signIn(s.link(owner))
	p.do(p.open(keysPath), see(".placeholder"))
	old := p.addKey("Night shift")
	p.do(closeUncopied, press("Rotate Night shift"), says("dialog", old[:8]+"…"),
		chromedp.SetValue(chromedp.CSS("dialog select"), "3600"), press("Rotate key"), see(".secret-text"))
	next := p.text(".secret-text")
	if next == old || s.works(next) != 200 || s.works(old) != 200 {
		t.Errorf("during the grace the old key answers %d and the new one %d", s.works(old), s.works(next))
	}
	p.do(closeUncopied, says("tbody tr:nth-child(2)", "in 1 hour"), says("tbody tr:nth-child(2)", "Being replaced"), says("tbody tr:nth-child(1)", "new; the old one, "+old[:8]+"…, ends in 1 hour"), says(".events", "user_olga rotated Night shift"))
}

func TestDeviceCredentialsAreMadeInABrowser(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := start(t)
	session := s.session("org_a", "00:00:00:00:0b:01")
	device, _ := object(t, s.get(pathSessionsGet+"?session_id="+session, s.token("org_a", keys.RoleOperator), 200))["device_id"].(string)
	p := newTab(t, base(s))
	p.signIn(s.link(owner))
	p.do(p.open("/console/#/org_a/settings/device-credentials"), says(".placeholder", "No device credentials yet"), press("Add the first credential"))
	p.do(fill("dialog input[name=name]", "Roof tracker"))
	for id, complaint := range map[string]string{
		strings.Repeat("f", 24): "Give the id of a device",
		strings.Repeat("0", 24): "Send an id", // which would mean any device
		"roof":                  "No device of this organisation",
	} {
		p.do(chromedp.SetValue(chromedp.CSS("dialog input[name=device_id]"), id), press("Add credential"), says("dialog .field-error", complaint))
	}
	// People know the address of a device, and find it while they type.
	p.do(step(chromedp.Evaluate[chromedp.Void](`document.querySelector("dialog input[name=device_id]").value = ""`)), fill("dialog input[name=device_id]", "0B:01"),
		untilTrue(`document.querySelector("dialog datalist option")?.value === "00:00:00:00:0b:01"`),
		chromedp.SetValue(chromedp.CSS("dialog input[name=device_id]"), "00:00:00:00:0B:01"), press("Add credential"), see(".secret-text"))
	credential := p.text(".secret-text")
	p.do(says(".arrival", "Waiting for the first point"))
	s.post(pathIngest, credential, point(session, 1), 200, header{"Content-Type", "application/x-ndjson"})
	p.do(says(".arrival", "First point received"), press("Done"), gone("dialog"), says("tbody", device)) // it is in use, so it is copied
}

// TestTheConsoleWorksWithTheKeyboardAlone goes through the story without a mouse, and minds the focus.
func TestTheConsoleWorksWithTheKeyboardAlone(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := start(t)
	p := newTab(t, base(s))
	focus := func() string {
		t.Helper()
		return eval[string](p, `(() => { const e = document.activeElement; return e.getAttribute("aria-label") ?? e.labels?.[0]?.innerText ?? e.innerText.trim() })()`)
	}
	expect := func(want string) {
		t.Helper()
		if got := focus(); got != want {
			t.Errorf("the focus is on %q, want %q", got, want)
		}
	}
	p.do(p.open("/auth/link#"+s.link(owner)), see("#link-button"))
	expect("Sign in")
	p.do(typed(kb.Enter), see(".menu-organisation"), typed(kb.Tab))
	expect("Skip to the content")
	p.do(typed(kb.Tab + kb.Tab))
	expect("Organisation org_a")
	p.do(typed(kb.Enter), see(".menu-organisation .menu-panel"), typed(kb.Tab))
	expect("Manage")
	p.do(typed(kb.Enter), see(".tabs"))
	expect("Organisation settings") // the heading of the new view
	p.do(typed(kb.Tab + kb.Tab))
	expect("API keys")
	p.do(typed(kb.Enter), see(".placeholder"), chromedp.Focus(chromedp.CSS(".section-head .button")), typed(kb.Enter), see("dialog"))
	expect("Name")
	p.do(typed(kb.Escape), gone("dialog"))
	expect("Add new key")
	p.do(typed(kb.Enter), see("dialog"), typed("Typed"+kb.Enter), see(".secret-text"))
	expect("Copy")
	p.do(typed(kb.Tab))
	expect("Done")
	p.do(typed(kb.Enter), says("dialog", "You have not copied it yet"), typed(kb.Enter), gone("dialog"), says("tbody", "Typed"))
	expect("Add new key")
	p.do(chromedp.Focus(chromedp.CSS(".cell-actions .is-danger")), typed(kb.Enter), see("dialog"))
	expect("Cancel") // what cannot be undone is not a stray Enter away
	p.do(typed(kb.Tab+kb.Enter), gone("dialog"), says(".list", "No key is active"), says(".fold", "Revoked and expired (1)"))
	expect("API keys") // the button has gone with the key
}

func TestASessionThatEndsLeavesNothingOnThePage(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := start(t)
	p := newTab(t, base(s))
	p.signIn(s.link(owner))
	p.do(p.open(keysPath), see(".placeholder"))
	key := p.addKey("Left open")
	// The same browser signs out in another tab: here the cookie is gone with the next request.
	eval[bool](p, `fetch("/auth/session/v1").then((r) => r.json()).then((s) => fetch("/auth/sign_out/v1", {method: "POST", headers: {"X-CSRF-Token": s.csrf_token}})).then((r) => r.ok)`)
	eval[bool](p, `(document.dispatchEvent(new Event("visibilitychange")), true)`)
	p.do(says("dialog", "Your session has ended, but this key is made"), says(".secret-text", key))
	p.do(closeUncopied, says(".gate", "Your session has ended"), says(".gate", "lastseen login"))
	if page := eval[string](p, "document.documentElement.outerHTML"); strings.Contains(page, key) || strings.Contains(page, "org_a") {
		t.Error("the page still shows something of the organisation")
	}

	p.signIn(s.link(owner))
	p.do(click(".menu-person .menu-button"), press("Sign out"), says(".gate", "You have signed out."))
	p.do(chromedp.NavigateBack(), see(".gate"))
	if got := eval[int](p, `fetch("/auth/session/v1").then((r) => r.status)`); got != 401 {
		t.Errorf("after signing out the session answers %d", got)
	}
}

func TestASignInLinkThatWasUsedSaysSoInABrowser(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := start(t)
	link := s.link(owner)
	p := newTab(t, base(s))
	p.do(p.open("/auth/link#"+link), see("#link-button"))
	if address := eval[string](p, "location.href"); strings.Contains(address, "eyJ") {
		t.Errorf("the token stays in the address %s", address)
	}
	p.do(press("Sign in"), see(".menu-organisation"))
	p.do(p.open("/auth/link#"+link), press("Sign in"), says("main", "has been used already"), says("main", "Run “lastseen login” again"))
	p.do(p.open("/auth/link"), says("main", "no sign-in token in it"))
	p.do(p.open("/auth/link#eyJhbGciOiJub25lIn0.eyJzdWIiOiI8aW1nIHNyYz14PiJ9."), press("Sign in"), says("main", "not a sign-in link of this service"))
}

// TestTroubleIsShownWithAWayOut: an answer that fails is shown in words, and can be asked for again.
func TestTroubleIsShownWithAWayOut(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := start(t)
	p := newTab(t, base(s))
	p.signIn(s.link(owner))
	p.do(p.open(keysPath), see(".placeholder"))
	failing := func(on bool) {
		t.Helper()
		eval[bool](p, fmt.Sprintf(`(() => { window.asItWas ??= window.fetch; window.fetch = %v ? () => Promise.reject(new TypeError("no network")) : window.asItWas; return true })()`, on))
	}
	failing(true)
	p.do(press("Add new key"), fill("dialog input[name=name]", "Lost"), press("Add key"), says("dialog .notice-danger", "cannot be reached"))
	failing(false)
	p.do(press("Add key"), see(".secret-text"), closeUncopied, says("tbody", "Lost"))
	failing(true)
	p.do(press("General"), see(".facts"), press("API keys"), says(".placeholder", "The API keys cannot be shown"), says(".events-note", "cannot be shown"))
	failing(false)
	p.do(click(".placeholder .button"), says("tbody", "Lost"), says(".events", "created Lost"), untilTrue(`document.querySelector(".events-note").hidden`))
	p.do(press("Add new key"), chromedp.SetValue(chromedp.CSS("dialog input[name=name]"), "zero\u200bwidth"), press("Add key"), says("dialog .field-error", "characters that cannot be seen"))
}

// TestAPersonSignsInAtTheProviderInABrowser uses a host name without TLS, on which browsers send no
// Sec-Fetch headers and offer no clipboard, and a provider on another site.
func TestAPersonSignsInAtTheProviderInABrowser(t *testing.T) {
	t.Parallel()
	plainOnly(t, "a cookie for TLS only is not sent to the tunnel")
	chromium(t)
	s, at := withProvider(t,
		oidctest.User{ID: "user_ana", Name: "ana", Claims: map[string]any{"org_id": "org_a", "org_role": "admin"}},
		oidctest.User{ID: "user_bob", Name: "bob"},
	)
	p := newTab(t, "http://console.test", chromedp.Flag("host-resolver-rules", "MAP console.test "+s.address))
	atProvider := func(name string) []step {
		return []step{see("#username"), fill("#username", name), fill("#password", oidctest.Password+kb.Enter)}
	}
	p.do(p.open(keysPath), says(".gate", "Your organisation signs you in."), press("Sign in"))
	p.do(atProvider("bob")...)
	p.do(says(".gate", "Your account has no role in an organisation"))
	p.do(press("Sign in"))
	p.do(atProvider("ana")...)
	p.do(see(".menu-organisation"), p.open(keysPath), see(".placeholder"))
	if key := p.addKey("Over plain HTTP"); s.works(key) != 200 {
		t.Error("the key does not work")
	}
	p.do(press("Copy"), says("dialog", "The text is selected"))
	if eval[string](p, "getSelection().toString()") != p.text(".secret-text") {
		t.Error("the key is not selected")
	}
	p.do(closeUncopied, click(".menu-person .menu-button"), press("Sign out"), says(".gate", "You have signed out."))
	at.Gate(oidctest.Down)
	var records []json.RawMessage
	list := s.get(pathAPIKeys+"/list/v1", s.token("org_a", keys.RoleOwner), 200)
	if err := json.Unmarshal(list.body, &records); err != nil || len(records) != 1 {
		t.Errorf("%v: %s", err, list.body)
	}
}

// TestPagesFitAPhone: no page is wider than a small phone, whatever names and ids there are.
func TestPagesFitAPhone(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := start(t)
	long := people.Person{UserID: "user_" + strings.Repeat("u", 200), Memberships: []people.Membership{{OrgID: "org_" + strings.Repeat("o", 200), Role: keys.RoleOwner}}}
	actor := &keys.Principal{Kind: keys.CallerUser, OrgID: long.Memberships[0].OrgID, UserID: long.UserID, Role: keys.RoleOwner}
	for _, name := range []string{strings.Repeat("W", 100), strings.Repeat("word ", 20), "short"} {
		_, _, err := s.Server.services.Keys.Create(t.Context(), actor, apikey.NewKey{Kind: "api_key", Name: name, ExpiresAt: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
	}
	p := newTab(t, base(s))
	p.do(chromedp.EmulateViewport(320, 640, chromedp.EmulateMobile))
	fits := func(what string) {
		t.Helper()
		widths := eval[[]float64](p, "[document.documentElement.scrollWidth, innerWidth, ...[...document.querySelectorAll('dialog')].map((d) => d.scrollWidth)]")
		if slices.Max(widths) > 320 {
			t.Errorf("%s is %v wide", what, widths)
		}
	}
	p.do(p.open("/console/"), see(".gate"))
	fits("the way in")
	p.do(p.open("/auth/link#"+s.link(long)), see("#link-button"))
	fits("the link's page")
	p.do(press("Sign in"), see(".menu-organisation"))
	fits("the overview")
	// The parts of the bar stand beside each other, also with the longer link of those who manage no keys.
	const overlap = `(() => {
		document.querySelectorAll(".bar-link")[1].textContent = "Settings";
		const ends = [...document.querySelectorAll(".brand, .menu-organisation .menu-button > :not(.menu-name), .bar-link, .menu-person .menu-button")]
			.map((e) => e.getBoundingClientRect()).filter((r) => r.width > 0);
		return ends.slice(1).map((r, i) => ends[i].right - r.left).concat(ends.at(-1).right - innerWidth);
	})()`
	if over := eval[[]float64](p, overlap); slices.Max(over) > 0.5 {
		t.Errorf("parts of the bar cover each other by %v pixels", over)
	}
	p.do(click(".menu-organisation .menu-button"), see(".menu-organisation .menu-panel"))
	fits("the selector")
	p.do(press("Manage"), see(".facts"))
	fits("the settings")
	p.do(press("API keys"), see("tbody tr"))
	fits("the list")
	p.do(press("Revoke "+strings.Repeat("W", 100)), see("dialog"))
	fits("the dialog")
	p.do(press("Cancel"), press("Add new key"), fill("dialog input[name=name]", "phone"), press("Add key"), see(".secret-text"))
	fits("the dialog with the key")
}
