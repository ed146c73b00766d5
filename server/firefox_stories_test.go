package server

import (
	"strings"
	"testing"
)

// The keys of a keyboard, as WebDriver names them.
const (
	firefoxEscape = "\ue00c"
	firefoxEnter  = "\ue007"
)

// TestTheConsoleWorksInFirefox goes through the stories in Firefox: signing in, the map that lives, a track, keys, a device
// credential with its QR code, a public link.
func TestTheConsoleWorksInFirefox(t *testing.T) {
	f := newFirefox(t)
	s := start(t)
	f.base = base(s)
	session := s.session("org_a", "van-1")
	s.drive(session, 40, 10)

	f.open("/auth/link#" + s.link(owner))
	f.says("#link-text", "user_olga, an Owner of org_a")
	f.press("Sign in")
	f.says("#session-count", "1 session, 1 moving")
	f.until(`document.querySelector(".sessions").markers?.drawn === 1`)
	s.drive(session, 1, 20)
	f.says(".session-list", "72 km/h")

	f.clickOn(`document.querySelector(".session-row")`)
	f.says(".figures", "41 points")
	f.until(`document.querySelector(".u-over")`)
	f.press("Share")
	f.press("Make a public link")
	f.says("dialog", "/track/#"+session)
	f.typed(firefoxEscape)
	f.until(`!document.querySelector("dialog")`)

	f.open(keysPath)
	f.press("Add the first key")
	f.typed("Typed in Firefox" + firefoxEnter)
	f.until(`document.querySelector(".secret-text")`)
	key := f.eval(`document.querySelector(".secret-text").innerText`)
	if !strings.HasPrefix(key, "ak_") || s.works(key) != 200 {
		t.Errorf("the page shows %q, which answers %d", key, s.works(key))
	}
	f.press("Done")
	f.says("dialog", "You have not copied it yet")
	f.press("Done")
	f.press("Revoke Typed in Firefox")
	f.press("Revoke key")
	f.says(".list", "No key is active")
	if got := s.works(key); got != 401 {
		t.Errorf("the revoked key answers %d", got)
	}

	f.open("/console/#/org_a/settings/device-credentials")
	f.press("Add the first credential")
	f.typed("Phone" + firefoxEnter)
	f.until(`document.querySelector("dialog svg.qr")`)
	f.open("/track/#" + session)
	f.says("h1", "Shared track")
	f.says(".figures", "41 points")
	if elsewhere := f.eval(`performance.getEntriesByType("resource").map((e) => e.name).filter((name) => !name.startsWith(location.origin + "/")).join(" ")`); elsewhere != "" {
		t.Errorf("the page has asked for %s", elsewhere)
	}
}
