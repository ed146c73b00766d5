package server

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"image/png"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"
	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"lastseen/keys"
)

// scan reads the QR code that a tab shows, off a picture of the page as a camera would: it looks again from nearer where it
// could not read, since one picture in some hundred is beyond the reader, whichever its size.
func (p *tab) scan() string {
	p.Helper()
	p.do(see("svg.qr"))
	eval[bool](p, `(document.querySelector("svg.qr").scrollIntoView({block: "center"}), true)`)
	looks := []chromedp.Action[[]byte]{chromedp.CaptureScreenshot()}
	for _, nearer := range []float64{1.5, 2, 3} {
		looks = append(looks, chromedp.ScreenshotScale("svg.qr", nearer))
	}
	var unread error
	for _, look := range looks {
		picture, err := chromedp.Run(p.ctx, look)
		if err != nil {
			p.Fatal(err)
		}
		text, err := readQR(picture)
		if err == nil {
			return text
		}
		unread = err
	}
	p.Fatalf("the QR code cannot be read: %v", unread)
	return ""
}

// readQR reads the QR code in a picture, a PNG.
func readQR(picture []byte) (string, error) {
	img, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		return "", err
	}
	bitmap, err := gozxing.NewBinaryBitmapFromImage(img)
	if err != nil {
		return "", err
	}
	result, err := qrcode.NewQRCodeReader().Decode(bitmap, nil)
	if err != nil {
		return "", err
	}
	return result.GetText(), nil
}

// TestAnAppIsSetUpFromTheConsole: what each app is to be told stands beside the new credential, as a QR code where the app
// reads one, and what it sends is seen to arrive.
func TestAnAppIsSetUpFromTheConsole(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := start(t)
	p := newTab(t, base(s))
	p.signIn(s.link(owner))
	p.do(p.open("/console/#/org_a/settings/device-credentials"), press("Add the first credential"), fill("dialog input[name=name]", "Phones"),
		click("dialog input[name=registers_devices]"), press("Add credential"), see(".secret-text"))
	key := p.text(".secret-text")
	name := func(text string) step {
		return step(chromedp.Evaluate[chromedp.Void](`((e) => { e.value = ` + "`" + text + "`" + `; e.dispatchEvent(new Event("input")) })(document.querySelector(".setup input"))`))
	}
	anew := untilTrue(`(() => { const is = document.querySelector("svg.qr"); const old = window.lastCode; window.lastCode = is; return is && is !== old })()`)
	p.do(anew, name("anna"), anew)

	inline, found := strings.CutPrefix(p.scan(), "owntracks:///config?inline=")
	unescaped, err := url.QueryUnescape(inline)
	if !found || err != nil {
		t.Fatalf("OwnTracks is told %s", inline)
	}
	var got map[string]any
	if text, err := base64.StdEncoding.DecodeString(unescaped); err != nil || json.Unmarshal(text, &got) != nil {
		t.Fatalf("OwnTracks is told %s", unescaped)
	}
	if diff := cmp.Diff(map[string]any{
		"_type": "configuration", "mode": 3.0, "url": base(s) + pathApps + "owntracks/v1", "auth": true,
		"username": "lastseen", "password": key, "deviceId": "anna", "pubTopicBase": "owntracks/anna",
	}, got); diff != "" {
		t.Errorf("OwnTracks is told (-want +got):\n%s", diff)
	}

	p.do(choose(".setup select", "overland"), anew)
	if link, want := p.scan(), "overland://setup?"; !strings.HasPrefix(link, want) {
		t.Errorf("Overland is told %s", link)
	} else if said, _ := url.ParseQuery(strings.TrimPrefix(link, want)); said.Get("url") != base(s)+pathApps+"overland/v1" || said.Get("token") != key || said.Get("device_id") != "anna" {
		t.Errorf("Overland is told %v", said)
	}
	p.do(choose(".setup select", "traccar_client"), anew)
	if link := p.scan(); link != base(s)+pathApps+"traccar_client/v1/"+key+"?id=anna" {
		t.Errorf("Traccar Client is told %s", link)
	}

	// What OsmAnd is to be told works as it stands there, with what OsmAnd puts in.
	p.do(choose(".setup select", "osmand"), says(".app-fields", "osmand/v1/"+key))
	address := strings.NewReplacer("{0}", "48.1", "{1}", "11.5", "{2}", "", "{3}", "4.7", "{4}", "519", "{5}", "0.0", "{6}", "0.0", "{11}", "83").Replace(p.text(".app-fields code"))
	s.get(strings.TrimPrefix(address, base(s)), "", 200)
	p.do(says(".arrival[data-state=good]", "First point received "))
	if list := string(s.get(pathSessionsList, s.token("org_a", keys.RoleOperator), 200).body); !strings.Contains(list, `"device_mac_address":"anna"`) {
		t.Errorf("the sessions are %s", list)
	}
	p.do(press("Done"), gone("dialog"), says("tbody", "registers new ones"))
	if page := eval[string](p, `document.documentElement.outerHTML + JSON.stringify([{...localStorage}, {...sessionStorage}, history.state, location.href, performance.getEntriesByType("resource").map((e) => e.name)])`); strings.Contains(page, key[8:]) {
		t.Error("the page still holds the credential")
	}

	// Later the credential is not known any more, and what comes is still said.
	s.get(pathApps+"osmand/v1/"+key+"?id=anna&lat=x", "", 200)
	p.do(press("Set up Phones"), says(".app-fields", "dk_…"), says(".arrival[data-state=bad]", "could not be taken"), press("Done"), gone("dialog"))
	if strings.Contains(s.log.String(), key[8:]) {
		t.Error("the log holds the credential")
	}
	p.staysHome()
}
