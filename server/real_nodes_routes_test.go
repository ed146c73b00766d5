package server

import (
	"bufio"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestClientsOfNodesNeedNoStickySessions has every request go to another node than the one before.
func TestClientsOfNodesNeedNoStickySessions(t *testing.T) {
	n, _ := startRealNodes(t)
	var sessions []string
	for i := range 5 {
		sessions = append(sessions, n.session(i))
		n.point(sessions[i], time.Now().Add(-time.Hour))
	}
	t.Run("changes lead on from page to page", func(t *testing.T) { followChanges(t, n, sessions) })
	t.Run("a stream hears of a change on another node", func(t *testing.T) {
		for _, node := range n.nodes {
			hearOfChange(t, n, node, sessions[0])
		}
	})
	t.Run("the feed leads on from page to page", func(t *testing.T) { readFeed(t, n, sessions) })
	t.Run("a key is good everywhere, and nowhere once it is revoked", func(t *testing.T) {
		for i := range 2 * len(n.nodes) { // each node is asked to revoke, without a body and with one that means nothing
			var key struct {
				ID  string `json:"_id"`
				Key string `json:"key"`
			}
			n.post("/orgs/api_keys/create/v1", `{"name":"reader","expires_at_timestamp":"`+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+`"}`, &key)
			for range n.nodes {
				n.get(pathLastSeen+"?session_id="+sessions[0], key.Key, nil)
			}
			n.post("/orgs/api_keys/revoke/v1?api_key_id="+key.ID, []string{"", "{}"}[i/len(n.nodes)], nil)
			for _, node := range n.nodes {
				if status, _ := n.ask(node.base, http.MethodGet, pathLastSeen+"?session_id="+sessions[0], key.Key, ""); status != http.StatusUnauthorized {
					t.Errorf("after its revocation a key is answered %d", status)
				}
			}
		}
	})
}

// followChanges reads all in small pages, and then what changes, without ever beginning anew.
func followChanges(t *testing.T, n *realNodes, sessions []string) {
	var page changesPage
	seen := map[string]bool{}
	n.get(pathLastSeenChanges+"?limit=2", n.token, &page)
	for {
		for _, p := range page.DataPoints {
			seen[p.Metadata.SessionID] = true
		}
		if page.Reset {
			t.Fatal("it begins anew")
		}
		if !page.More {
			break
		}
		cursor := page.NextCursor
		page = changesPage{}
		n.get(pathLastSeenChanges+"?limit=2&cursor="+url.QueryEscape(cursor), n.token, &page)
	}
	if len(seen) != len(sessions) {
		t.Errorf("the pages have %d sessions, want %d", len(seen), len(sessions))
	}
	for i := range 6 {
		session := sessions[i%len(sessions)]
		n.point(session, time.Now())
		cursor := page.NextCursor
		page = changesPage{}
		n.get(pathLastSeenChanges+"?cursor="+url.QueryEscape(cursor), n.token, &page)
		if page.Reset || len(page.DataPoints) != 1 || page.DataPoints[0].Metadata.SessionID != session {
			t.Errorf("after a point of %s the changes are %+v", session, page)
		}
	}
	asked := page.NextCursor // the node that gave it out is gone: a client begins anew, and is told so
	for i, node := range n.nodes {
		page = changesPage{}
		status, _ := n.ask(node.base, http.MethodGet, pathLastSeenChanges+"?cursor="+url.QueryEscape(asked), n.token, "")
		if status != http.StatusOK {
			t.Errorf("node %d answers a cursor with %d", i, status)
		}
	}
}

// readFeed reads the feed point by point.
func readFeed(t *testing.T, n *realNodes, sessions []string) {
	seen := map[string]bool{}
	cursor := ""
	n.until("the feed has a point of each session", func() bool {
		var page changesPage
		n.get(pathFeed+"?limit=1"+cursor, n.token, &page)
		for _, p := range page.DataPoints {
			seen[p.Metadata.SessionID] = true
		}
		cursor = "&cursor=" + url.QueryEscape(page.NextCursor)
		return len(seen) == len(sessions)
	})
}

// hearOfChange streams from a node while a point is sent to another.
func hearOfChange(t *testing.T, n *realNodes, node *realNode, session string) {
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, node.base+pathLastSeenChanges, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+n.token)
	request.Header.Set("Accept", typeEvents)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	at := time.Now()
	other := n.nodes[(slices.Index(n.nodes, node)+1)%len(n.nodes)]
	if status, answer := n.ask(other.base, http.MethodPost, pathIngest, n.token, pointOf(session, at)); status != http.StatusOK {
		t.Fatalf("a point is answered %d %s", status, answer)
	}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if strings.Contains(lines.Text(), at.UTC().Format("2006-01-02T15:04:05.000Z")) {
			return
		}
	}
	t.Errorf("the stream has ended without the point: %v", lines.Err())
}
