package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lastseen/schema/schematest"
)

const ingestPath = "/tracking/timeseries/session_by_device/ingest/v1"

// answeredWithin is how long what was handed to a node that is stopped may wait: docs/nodes.md says about 7 s until another one leads, and
// the machine may do other things.
const answeredWithin = 25 * time.Second

// TestWhatWasHandedToAStoppedLeaderIsAnswered stops the leader's process, whose connections stay open, and asks the followers for what
// only it can answer, over connections that they have kept: a point, a revocation and a wait for what changes after a cursor of its own.
func TestWhatWasHandedToAStoppedLeaderIsAnswered(t *testing.T) {
	schematest.OnlyOn(t, schematest.Embedded, "it has a server of its own")
	requireNodes(t)
	k := newNodesTrial(t, nodesOptions{})
	k.begin(1)
	_, id := k.newKey()
	leader := k.leader()
	var page struct {
		NextCursor string `json:"next_cursor"`
	}
	_, answer := k.ask(leader, http.MethodGet, changesPath, nil, k.token, "")
	if err := json.Unmarshal(answer, &page); err != nil || page.NextCursor == "" {
		t.Fatalf("the leader gives no cursor: %v in %s", err, answer)
	}
	point := fmt.Sprintf(`{"points":[{"session_id":%q,"timestamp":%q,"latitude":48,"longitude":11}]}`, k.tracks[0].session, wireTime(time.Now().UnixMilli()))
	var asked sync.WaitGroup
	for i := range 16 * len(k.nodes) { // at once, so that each follower keeps some connections
		asked.Go(func() {
			if status, answer := k.ask(k.nodes[i%len(k.nodes)], http.MethodPost, ingestPath, nil, k.token, point); status != http.StatusOK {
				t.Errorf("a point is answered %d %s", status, answer)
			}
		})
	}
	asked.Wait()
	leader.signal(syscall.SIGSTOP)
	defer leader.signal(syscall.SIGCONT)
	for _, n := range k.nodes {
		if n == leader {
			continue
		}
		asked.Go(func() { k.answered(t, n, http.MethodPost, ingestPath, nil, point) })
		asked.Go(func() {
			k.answered(t, n, http.MethodPost, "/orgs/api_keys/revoke/v1", url.Values{"api_key_id": {id}}, "")
		})
		asked.Go(func() { k.answered(t, n, http.MethodGet, changesPath, url.Values{"cursor": {page.NextCursor}}, "") })
	}
	asked.Wait()
}

// answered asks a node, which must answer in time: 200, or 503 that says when to ask again.
func (k *nodesTrial) answered(t *testing.T, n *trialNode, method, path string, query url.Values, body string) {
	ctx, cancel := context.WithTimeout(t.Context(), answeredWithin)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, n.base+path+"?"+query.Encode(), strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return
	}
	request.Header.Set("Authorization", "Bearer "+k.token)
	request.Header.Set("Prefer", "wait=30") // of what waits for changes
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	began := time.Now()
	response, err := requests.Do(request)
	if err != nil {
		t.Errorf("%s %s: no answer in %v: %v", method, path, answeredWithin, err)
		return
	}
	defer response.Body.Close()
	t.Logf("%s %s: %s after %v", method, path, response.Status, time.Since(began).Round(time.Millisecond))
	again := response.StatusCode == http.StatusServiceUnavailable && response.Header.Get("Retry-After") != ""
	if response.StatusCode != http.StatusOK && !again {
		t.Errorf("%s %s is answered %s", method, path, response.Status)
	}
}
