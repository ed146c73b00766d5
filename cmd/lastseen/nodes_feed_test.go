package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// nodesFeed is a consumer of the feed of all sessions, who asks one node after the other and goes on from the cursor that
// the last answer gave.
type nodesFeed struct {
	trial  *nodesTrial
	cursor string
	last   feedPlace
	points map[string]map[int64]bool // by session, what the feed has brought, Unix milliseconds
	pages  int
}

// page asks a node for what follows, and returns how many points that were, and false where the node does not answer.
func (f *nodesFeed) page(n *trialNode) (points int, answered bool) {
	query := url.Values{"format": {"ndjson"}, "limit": {"1000"}}
	if f.cursor != "" {
		query.Set("cursor", f.cursor)
	}
	request, err := http.NewRequest(http.MethodGet, n.base+allFeedPath+"?"+query.Encode(), nil)
	if err != nil {
		f.trial.t.Error(err)
		return 0, false
	}
	status, header, body := f.trial.do(request, f.trial.key)
	if uncertain(status) {
		return 0, false
	}
	next := header.Get("Next-Cursor")
	if status != http.StatusOK || next == "" {
		f.trial.t.Errorf("the feed is answered %d %s", status, body)
		return 0, false
	}
	for line := range strings.Lines(string(body)) {
		var p dataPoint
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			return 0, false // cut off
		}
		session, _, _ := strings.Cut(p.ID, ".")
		place := feedPlace{p.ReceivedAt, session, p.Timestamp}
		if place.compare(f.last) <= 0 {
			f.trial.t.Errorf("the feed of the node at %s gave the place of %s after %v", n.base, line, f.last)
		}
		f.last = place
		if f.points[session] == nil {
			f.points[session] = map[int64]bool{}
		}
		f.points[session][p.Timestamp.UnixMilli()] = true
		points++
	}
	f.cursor = next
	f.pages++
	return points, true
}

// follow follows the feed from node to node until ctx ends.
func (f *nodesFeed) follow(ctx context.Context) {
	for ctx.Err() == nil {
		f.page(f.trial.aNode())
		time.Sleep(20 * time.Millisecond)
	}
}

// missing is how many acknowledged points the feed has not brought.
func (f *nodesFeed) missing() (missing int) {
	for _, of := range f.trial.tracks {
		for at, acknowledged := range of.sent {
			if acknowledged && !f.points[of.session][at] {
				missing++
			}
		}
	}
	return missing
}

// finish asks on until the consumer has everything that was acknowledged: the feed withholds what is new for a minute after another node has
// begun to write. Then a consumer that begins on each node must find the same.
func (f *nodesFeed) finish() {
	for began := time.Now(); f.missing() > 0; time.Sleep(50 * time.Millisecond) {
		f.page(f.trial.aNode())
		if time.Since(began) > feedWithheldOnServers+30*time.Second {
			f.trial.t.Errorf("the feed lacks %d points that were acknowledged", f.missing())
			return
		}
	}
	for _, n := range f.trial.nodes {
		f.anew(n)
	}
	f.trial.t.Logf("the feed has everything, as every node tells it, and had it over %d pages from one node after the other", f.pages)
}

// anew has a consumer begin on a node, which has heard within seconds how far the feed goes.
func (f *nodesFeed) anew(n *trialNode) {
	another := &nodesFeed{trial: f.trial, points: map[string]map[int64]bool{}}
	for began := time.Now(); another.missing() > 0; {
		points, answered := another.page(n)
		if time.Since(began) > 20*time.Second {
			f.trial.t.Errorf("the feed of the node at %s lacks %d points that were acknowledged", n.base, another.missing())
			return
		}
		if points == 0 || !answered {
			time.Sleep(100 * time.Millisecond)
		}
	}
}

// feedWithheldOnServers is for how long a feed shows nothing new after another process has begun to write.
const feedWithheldOnServers = time.Minute + 5*time.Second
