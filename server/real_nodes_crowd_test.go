package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/keys/people"
)

// TestNodesTakeACrowdThatComesAtOnce has many clients come at once to nodes that have no connections yet over which to hand anything to
// another one, and some that are slow.
func TestNodesTakeACrowdThatComesAtOnce(t *testing.T) {
	n, _ := startRealNodes(t)
	session, at := n.session(1), time.Now().Add(-12*time.Hour)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000}}
	defer client.CloseIdleConnections()
	push := func(node *realNode, at time.Time) *http.Request {
		return n.request(http.MethodPost, node.base+pathIngest, n.token, strings.NewReader(pointOf(session, at)))
	}
	for i, node := range n.nodes {
		at := at.Add(time.Duration(i) * time.Hour)
		outcomes := n.askAtOnce(client, 1000, func(i int) *http.Request { return push(node, at.Add(time.Duration(i)*time.Millisecond)) })
		if outcomes["200"] != 1000 {
			t.Errorf("of 1,000 points at once at node %d: %v", i, outcomes)
		}
	}
	t.Run("and at leisure", func(t *testing.T) {
		for i, node := range n.nodes {
			for _, length := range []int{10 << 10, 2 * bodyMemory} { // which a node has wholly before it hands it over, and which not
				t.Run(fmt.Sprint(length, " bytes at node ", i), func(t *testing.T) {
					t.Parallel()
					point := pointOf(session, at.Add(time.Duration(i)*time.Second+time.Duration(length)*time.Hour/bodyMemory))
					body := io.MultiReader(strings.NewReader(strings.Repeat(" ", length)), new(leisure), strings.NewReader(point))
					request := n.request(http.MethodPost, node.base+pathIngest, n.token, body)
					request.ContentLength = int64(length + len(point))
					if outcomes := n.askAtOnce(client, 1, func(int) *http.Request { return request }); outcomes["200"] != 1 {
						t.Errorf("a body that takes longer than headers may: %v", outcomes)
					}
				})
			}
		}
		t.Run("while others wait at another node", func(t *testing.T) { t.Parallel(); n.pushWhileOthersWait(client, push, at.Add(6*time.Hour)) })
	})
}

// leisure reads as nothing, after longer than a request's headers may take.
type leisure struct{ io.Reader }

// Read implements io.Reader.
func (*leisure) Read([]byte) (int, error) {
	<-time.After(11 * time.Second)
	return 0, io.EOF
}

// pushWhileOthersWait has more clients wait at a node for what changes after a cursor of another one than it may hand on, and points sent there.
func (n *realNodes) pushWhileOthersWait(client *http.Client, push func(*realNode, time.Time) *http.Request, at time.Time) {
	token, err := n.issuer.Sign(people.User{ID: "user_otto", OrgID: "org_quiet", Role: keys.RoleOwner}, time.Hour)
	n.must(err)
	var page changesPage
	status, answer := n.ask(n.nodes[0].base, http.MethodGet, pathLastSeenChanges, token, "")
	if err := json.Unmarshal(answer, &page); err != nil || status != http.StatusOK {
		n.Fatalf("there is no cursor: %d %s", status, answer)
	}
	var waiting sync.WaitGroup
	waited := make(chan map[string]int, 1)
	waiting.Go(func() {
		waited <- n.askAtOnce(client, handConnections+100, func(int) *http.Request {
			request := n.request(http.MethodGet, n.nodes[1].base+pathLastSeenChanges+"?cursor="+url.QueryEscape(page.NextCursor), token, nil)
			request.Header.Set("Prefer", "wait=10")
			return request
		})
	})
	for round := 0; ; round++ {
		outcomes := n.askAtOnce(client, 100, func(i int) *http.Request {
			return push(n.nodes[1], at.Add(time.Duration(round)*time.Second+time.Duration(i)*time.Millisecond))
		})
		if outcomes["200"] != 100 {
			n.Errorf("of 100 points at once beside those who wait: %v", outcomes)
		}
		select {
		case outcomes := <-waited:
			if anew := outcomes["200, anew"]; outcomes["200"] < handConnections || outcomes["200"]+anew != handConnections+100 {
				n.Errorf("of those who wait: %v", outcomes)
			}
			return
		default:
		}
	}
}

// request makes one with a credential.
func (n *realNodes) request(method, target, credential string, body io.Reader) *http.Request {
	request, err := http.NewRequest(method, target, body)
	n.must(err)
	request.Header.Set("Authorization", "Bearer "+credential)
	request.Header.Set("Content-Type", "application/json")
	return request
}

// askAtOnce makes requests at the same time and returns how many were answered how.
func (n *realNodes) askAtOnce(client *http.Client, count int, ask func(i int) *http.Request) map[string]int {
	ctx, cancel := context.WithTimeout(n.Context(), nodesPatience)
	defer cancel()
	var asking sync.WaitGroup
	var mu sync.Mutex
	outcomes := map[string]int{}
	for i := range count {
		request := ask(i).WithContext(ctx)
		asking.Go(func() {
			outcome := outcomeOf(client.Do(request))
			mu.Lock()
			defer mu.Unlock()
			outcomes[outcome]++
		})
	}
	asking.Wait()
	return outcomes
}

// outcomeOf is the answer's status, with its beginning where it is a refusal, and whether what was followed begins anew.
func outcomeOf(response *http.Response, err error) string {
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	var page changesPage
	switch {
	case err != nil:
		return err.Error()
	case response.StatusCode != http.StatusOK:
		return fmt.Sprintf("%d %.200s", response.StatusCode, answer)
	case json.Unmarshal(answer, &page) == nil && page.Reset:
		return "200, anew"
	}
	return "200"
}
