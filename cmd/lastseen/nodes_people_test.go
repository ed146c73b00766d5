package main

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lastseen/keys/people/oidc/oidctest"
	"lastseen/schema/schematest"
)

// TestPeopleAndFilesAreServedByAnyNode begins sign-ins at one node and ends them at another one, imports through a follower, and has every
// node export the same files and serve the same map.
func TestPeopleAndFilesAreServedByAnyNode(t *testing.T) {
	schematest.OnlyOn(t, schematest.Embedded, "it has a server of its own")
	requireNodes(t)
	const public, org = "http://console.test", "org_nodes" // which is that of the trial's token
	at := oidctest.Start(t, public+"/auth/callback", oidctest.User{ID: "user_ana", Name: "ana", Claims: map[string]any{"o": org, "rol": "admin"}})
	tiles, err := filepath.Abs("../../server/testdata/town.pmtiles")
	if err != nil {
		t.Fatal(err)
	}
	k := prepareNodes(t, nodesOptions{})
	k.flags = append(k.flags, "--public-url", public, "--oidc-issuer", at.URL, "--oidc-client-id", oidctest.ClientID, "--oidc-client-secret", oidctest.ClientSecret,
		"--oidc-org-claim", "o", "--oidc-role-claim", "rol", "--map-tiles", tiles)
	for _, n := range k.nodes {
		k.start(n)
	}
	for _, n := range k.nodes {
		k.awaitReady(n)
	}
	t.Run("sign-in", func(t *testing.T) { k.signInAcross(t, at) })
	t.Run("link", func(t *testing.T) { k.spendLinkOnce(t, org) })
	t.Run("files", k.exportAnywhere)
	t.Run("map", func(t *testing.T) { k.serveMap(t, tiles) })
}

// signInAcross begins a sign-in at each node and ends it at the next one; then the third knows who it is, and after signing out there nobody
// does.
func (k *nodesTrial) signInAcross(t *testing.T, at *oidctest.Provider) {
	for i := range k.nodes {
		first, second, third := k.nodes[i], k.nodes[(i+1)%3], k.nodes[(i+2)%3]
		client := newBrowser(t)
		begun := client.send(t, "GET", first.base+"/auth/login", "")
		back := at.SignIn(t, begun.Header.Get("Location"), "ana")
		client.send(t, "GET", second.base+"/auth/callback?"+back.Encode(), "")
		session := client.send(t, "GET", third.base+"/auth/session/v1", "")
		if session.StatusCode != http.StatusOK || !strings.Contains(session.body, `"user_id":"user_ana","org_id":"org_nodes","role":"administrator"`) {
			t.Fatalf("a sign-in that was begun at node %d and ended at another one is, at the third, %s: %s", i, session.Status, session.body)
		}
		again := client.send(t, "GET", third.base+"/auth/callback?"+back.Encode(), "")
		if again.StatusCode < 300 || again.Header.Get("Location") == "/console/" {
			t.Errorf("the same answer of the provider at another node: %s to %q", again.Status, again.Header.Get("Location"))
		}
	}
}

// spendLinkOnce has every node asked to spend a link: the first may.
func (k *nodesTrial) spendLinkOnce(t *testing.T, org string) {
	stdout := mustRun(t, nil, "login", "--data-dir", k.nodes[1].dir, "--server", k.nodes[1].base, "--org", org, "--user", "user_bo", "--role", "owner")
	_, token, _ := strings.Cut(strings.TrimSpace(stdout), "#")
	client, spent := newBrowser(t), 0
	for _, n := range k.nodes {
		if client.send(t, "POST", n.base+"/auth/link/v1", fmt.Sprintf(`{"token":%q}`, token)).StatusCode == http.StatusOK {
			spent++
		}
	}
	if spent != 1 {
		t.Errorf("a link was spent %d times", spent)
	}
	for _, n := range k.nodes {
		if r := client.send(t, "GET", n.base+"/orgs/api_keys/list/v1", ""); r.StatusCode != http.StatusOK {
			t.Errorf("after signing in by the link: %s: %s", r.Status, r.body)
		}
	}
}

// exportAnywhere imports through a follower and exports through each node.
func (k *nodesTrial) exportAnywhere(t *testing.T) {
	var text strings.Builder
	text.WriteString("device,timestamp,latitude,longitude\n")
	for n := range 900 {
		fmt.Fprintf(&text, "exported-%d,%d,%d.1234567,-7.5\n", n%3, 1768435200+n, n%80)
	}
	file := filepath.Join(t.TempDir(), "points.csv")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	env := func(n *trialNode) []string { return []string{"LASTSEEN_SERVER=" + n.base, "LASTSEEN_TOKEN=" + k.token} }
	mustRun(t, env(k.another(k.leader())), "import", file)
	for _, format := range []string{"ndjson", "csv", "parquet"} {
		var first map[string]string
		for i, n := range k.nodes {
			dir := t.TempDir()
			mustRun(t, env(n), append(exportRange, "--format", format, "--out", dir)...)
			switch got := contents(t, dir); {
			case len(got) != 3:
				t.Errorf("%d files are exported, want 3", len(got))
			case i == 0:
				first = got
			case !maps.Equal(got, first):
				t.Errorf("the %s that node %d exports is not that of node 0", format, i)
			}
		}
	}
}

// serveMap asks every node for a part of the map.
func (k *nodesTrial) serveMap(t *testing.T, tiles string) {
	want, err := os.ReadFile(tiles)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range k.nodes {
		request, err := http.NewRequest(http.MethodGet, n.base+"/console/map.pmtiles", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Range", "bytes=100-299")
		if status, _, got := k.do(request, ""); status != http.StatusPartialContent || !bytes.Equal(got, want[100:300]) {
			t.Errorf("the node at %s answers %d with %d bytes", n.base, status, len(got))
		}
	}
}
