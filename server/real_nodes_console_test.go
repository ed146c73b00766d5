package server

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestTheConsoleWorksThroughAnyLoadBalancer signs in and works with a page whose every request goes to another node.
func TestTheConsoleWorksThroughAnyLoadBalancer(t *testing.T) {
	chromium(t)
	n, _ := startRealNodes(t)
	session := n.session(1)
	for i := range 30 {
		n.point(session, time.Now().Add(time.Duration(i-30)*time.Second))
	}
	link, err := n.issuer.SignLink(owner, time.Minute)
	n.must(err)
	p := newTab(t, n.proxy.URL)
	p.signIn(link)
	for range n.nodes { // whichever node is asked
		p.do(chromedp.Navigate("about:blank"), p.open("/auth/link#"+link), press("Sign in"), says("main", "has been used already"))
	}
	p.do(p.open(sessionsPath), says("main", "load-1"))

	p.do(p.open(keysPath), press("Add the first key"), fill("dialog input[name=name]", "Portal"), press("Add key"), see(".secret-text"))
	key := p.text(".secret-text")
	p.do(closeUncopied, says("tbody", "Portal"))
	for _, node := range n.nodes {
		if status, _ := n.ask(node.base, http.MethodGet, pathLastSeen+"?session_id="+session, key, ""); status != http.StatusOK {
			t.Errorf("the new key is answered %d by the node at %s", status, node.base)
		}
	}
	p.do(press("Revoke Portal"), press("Revoke key"), gone("dialog"), says(".list", "No key is active"))
	for _, node := range n.nodes {
		if status, _ := n.ask(node.base, http.MethodGet, pathLastSeen+"?session_id="+session, key, ""); status != http.StatusUnauthorized {
			t.Errorf("the revoked key is answered %d by the node at %s", status, node.base)
		}
	}

	p.do(p.open("/console/#/org_a/settings/device-credentials"), press("Add the first credential"), fill("dialog input[name=name]", "Phones"),
		click("dialog input[name=registers_devices]"), press("Add credential"), see(".secret-text"))
	p.do(step(chromedp.Evaluate[chromedp.Void](`((e) => { e.value = "anna"; e.dispatchEvent(new Event("input")) })(document.querySelector(".setup input"))`)), see("svg.qr"))
	p.do(choose(".setup select", "osmand"), says(".app-fields", "osmand/v1/"))
	address := strings.NewReplacer("{0}", "48.1", "{1}", "11.5", "{2}", "", "{3}", "4.7", "{4}", "519", "{5}", "0.0", "{6}", "0.0", "{11}", "83").Replace(p.text(".app-fields code"))
	n.get(strings.TrimPrefix(address, n.proxy.URL), "", nil)
	p.do(says(".arrival[data-state=good]", "First point received "), press("Done"), gone("dialog"))

	p.do(p.open(sessionsPath+"/"+session), press("Share"), press("Make a public link"), says("dialog", "/track/#"+session), press("Done"), gone("dialog"))
	p.do(click(".menu-person .menu-button"), press("Sign out"), see(".gate"))
	for range n.nodes {
		p.do(chromedp.Navigate("about:blank"), p.open("/track/#"+session), says("h1", "Shared track"), says(".figures", "30 points"))
	}
	p.staysHome()
}
