package server

import (
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"lastseen/keys"
	"lastseen/keys/people"
	"lastseen/schema"
)

// TestScreenshots makes the pictures of the console in docs/screenshots, when LASTSEEN_SCREENSHOTS
// names a directory for them (make screenshots).
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("LASTSEEN_SCREENSHOTS")
	if dir == "" {
		t.Skip("LASTSEEN_SCREENSHOTS names no directory for screenshots")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := start(t)
	s.inhabit()
	const org = "org_harbour_logistics"
	first := s.drivers(org, 14)
	s.post(pathUpdateSession+"?session_id="+first, s.token(org, keys.RoleOperator), `{"public":true}`, 200)
	person := people.Person{UserID: "user_ana", Memberships: []people.Membership{
		{OrgID: "org_harbour_logistics", Role: keys.RoleOwner}, {OrgID: "org_north_couriers", Role: keys.RoleOperator},
	}}
	p := newTab(t, base(s))
	settings := p.base + "/console/#/org_harbour_logistics/settings"
	anew := func(address string) step { // also when only the fragment differs
		return chromedp.Steps(chromedp.Navigate("about:blank"), chromedp.Navigate(address))
	}
	list := chromedp.Steps(anew(settings+"/api-keys"), see("tbody tr"), see(".event"))
	take := func(name string, steps ...step) {
		t.Helper()
		p.do(steps...)
		p.do(chromedp.Evaluate[chromedp.Void](`new Promise((done) => setTimeout(done, 300))`, chromedp.EvalAwaitPromise)) // for the animations to end
		picture, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p.do(looks("light", 1280, 800))
	take("sign-in", p.open("/auth/link#"+s.link(person)), see("#link-button"))
	p.signIn(s.link(person))
	drawn := untilTrue(`document.querySelector(".sessions")?.markers?.drawn > 10`)
	sessions := p.base + "/console/#/" + org + "/sessions"
	chosen := chromedp.Steps(anew(sessions+"/"+first+"?last=24h"), see(".u-over"), drawn)
	settle := untilTrue(`performance.now() > 4000`) // for the ways of all the others
	take("sessions", anew(sessions), drawn, settle)
	take("session", chosen, settle, chromedp.MouseEvent("mouseMoved", 800, 590))
	take("share", chosen, press("Shared"), see("dialog"))
	take("track", anew(p.base+"/track/#"+first+"?last=24h"), see(".u-over"), settle)
	take("api", anew(p.base+"/docs"), fill("#find", "typeahead"), click(".operation:not([hidden]) .more summary"), click(".operation:not([hidden]) .try summary"),
		fill(".operation:not([hidden]) input[name=query]", "load"), press("Send"), see(".answer pre"),
		step(chromedp.Evaluate[chromedp.Void](`document.querySelector(".operation:not([hidden]) .more").scrollIntoView(); scrollBy(0, -80)`)))
	take("organisation-selector", anew(p.base+"/console/"), see(".sessions"), drawn, settle, click(".menu-organisation .menu-button"), see(".menu-organisation .menu-panel"))
	take("api-keys", list)
	take("key-shown-once", press("Add new key"), fill("dialog input[name=name]", "Route planner"), press("Add key"), see(".secret-text"))
	take("revoke-key", list, press("Revoke Dispatch board, production"), see("dialog"))
	take("set-up-app", anew(settings+"/device-credentials"), see("tbody tr"), press("Add new credential"), fill("dialog input[name=name]", "Ana's phone"),
		click("dialog input[name=registers_devices]"), press("Add credential"), see("svg.qr"),
		step(chromedp.Evaluate[chromedp.Void](`document.querySelector(".setup").scrollIntoView()`)))
	take("operator", anew(p.base+"/console/#/org_north_couriers/settings"), see(".notice"))
	p.do(looks("dark", 1280, 800))
	take("api-keys-dark", list)
	take("session-dark", chosen, settle)
	p.do(looks("light", 390, 844))
	take("api-keys-phone", list)
	take("sessions-phone", anew(sessions), drawn, settle)
	p.do(looks("dark", 390, 844))
	take("key-shown-once-phone", list, press("Add new key"), fill("dialog input[name=name]", "On the road"), press("Add key"), see(".secret-text"))
}

// looks sets the colour scheme and the window.
func looks(scheme string, width, height int64) step {
	return func(ctx context.Context, target *chromedp.Target) (none chromedp.Void, err error) {
		_, err = cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		if err != nil {
			return none, err
		}
		_, err = cdp.Call(ctx, target, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
			Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 600,
		})
		return none, err
	}
}

// inhabit gives an organisation keys of every age and state.
func (s *service) inhabit() {
	s.Helper()
	const day = 24 * time.Hour
	now := time.Now().UTC().Truncate(time.Millisecond)
	for _, k := range []struct {
		kind                   schema.KeyKind
		name, prefix, user     string
		created, expires, used time.Duration // from now
		revoked                time.Duration
	}{
		{schema.KindAPIKey, "Dispatch board, production", "ak_7fQ2x", "user_ana", -3 * day, 87 * day, -2 * time.Minute, 0},
		{schema.KindAPIKey, "Customer portal", "ak_Bm41c", "user_liu", -86 * day, 4*day + time.Hour, -5 * time.Hour, 0},
		{schema.KindAPIKey, "Nightly export", "ak_e9XwR", "user_ana", -100 * day, -10 * day, -11 * day, 0},
		{schema.KindAPIKey, "Warehouse screen (old)", "ak_T0pQz", "user_liu", -200 * day, 160 * day, -40 * day, -30 * day},
		{schema.KindDeviceCredential, "Gateway, depot north", "dk_Qm2nA", "user_ana", -20 * day, 345 * day, -20 * time.Second, 0},
		{schema.KindDeviceCredential, "Van 12, roof tracker", "dk_9sKdL", "user_liu", -60 * day, 30 * day, 0, 0},
	} {
		record := schema.APIKey{
			Hash: sha256.Sum256([]byte(k.prefix)), ID: schema.NewID(), Kind: k.kind, OrgID: "org_harbour_logistics", Name: k.name, Prefix: k.prefix,
			CreatedByUserID: k.user, CreatedAt: now.Add(k.created), ExpiresAt: now.Add(k.expires),
		}
		var counted []schema.KeyRequests
		if k.used != 0 && k.kind == schema.KindAPIKey {
			record.Denied, record.RequestsPerSecond = schema.ScopeHistory, 200
			for days := range min(30, int(-k.created/day)+1) {
				counted = append(counted, schema.KeyRequests{
					OrgID: record.OrgID, KeyID: record.ID, Date: now.AddDate(0, 0, -days).Truncate(day), Route: pathLastSeen, Outcome: "ok",
					Requests: uint64(20_000 + days*days*1370%9000 - 2000*(days%7/5)),
				})
			}
		}
		event := schema.KeyEvent{
			ID: schema.NewID(), OrgID: record.OrgID, Kind: k.kind, KeyID: record.ID, Name: k.name, Prefix: k.prefix,
			Action: schema.KeyCreated, UserID: k.user, At: record.CreatedAt,
		}
		steps := []error{s.db.AddKeyRequests(s.Context(), record.ID.String(), counted), s.db.InsertAPIKey(s.Context(), record), s.db.InsertKeyEvent(s.Context(), event)}
		if k.used != 0 {
			steps = append(steps, s.db.RecordKeyUses(s.Context(), []schema.KeyUse{{Hash: record.Hash, At: now.Add(k.used)}}))
		}
		if k.revoked != 0 {
			event.ID, event.Action, event.At = schema.NewID(), schema.KeyRevoked, now.Add(k.revoked)
			steps = append(steps, s.db.RevokeAPIKey(s.Context(), record.Hash, event.At, k.user), s.db.InsertKeyEvent(s.Context(), event))
		}
		for _, err := range steps {
			if err != nil {
				s.Fatal(err)
			}
		}
	}
}
