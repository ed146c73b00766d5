package traffic

import (
	"bytes"
	"fmt"
	"time"

	"lastseen/bench/loadgen"
)

// Ingest makes sources that send NDJSON bodies of new points, so many points a body and each body for one
// organisation's sessions in turn, as one of several workers. refusals allows for 429 and 503.
func Ingest(c *Catalogue, host, prefix string, points, workers int, refusals bool) func(worker int) loadgen.Source {
	return func(worker int) loadgen.Source {
		g := newIngester(c, host, prefix, points, worker, workers)
		g.refusals = refusals
		return g
	}
}

// ingester sends NDJSON bodies of new points, each body for one organisation's sessions in turn.
type ingester struct {
	catalogue *Catalogue
	heads     [][]byte // of requests, by organisation
	points    int      // a body
	now       func() time.Time
	// refusals allows for 429 and 503.
	refusals bool

	organisation int
	worker, step int     // of several workers each writes for every step-th session
	cursors      []int   // into each organisation's sessions
	last         []int64 // a session's newest timestamp that was sent
	pen          Pen
	batches      []batch
}

// batch is what one body says.
type batch struct {
	sessions   []int
	timestamps []int64
}

func newIngester(c *Catalogue, host, prefix string, points, worker, workers int) *ingester {
	g := &ingester{
		catalogue: c, points: points, now: time.Now, worker: worker, step: workers,
		heads: make([][]byte, len(c.Writers)), cursors: make([]int, len(c.Writers)), last: make([]int64, c.Sessions()),
	}
	for organisation, credential := range c.Writers {
		g.cursors[organisation] = worker
		g.heads[organisation] = fmt.Appendf(nil,
			"POST %s%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n",
			prefix, PathIngest, host, credential, points*PointLength)
	}
	return g
}

// Prepare implements loadgen.Source.
func (g *ingester) Prepare(x *loadgen.Exchange) bool {
	if x.Subject == 0 { // the first request of a connection: give it a batch of its own
		g.batches = append(g.batches, batch{})
		x.Subject = len(g.batches)
	}
	b := &g.batches[x.Subject-1]
	b.sessions, b.timestamps = b.sessions[:0], b.timestamps[:0]
	g.organisation = (g.organisation + 1) % len(g.heads)
	x.Request = append(x.Request[:0], g.heads[g.organisation]...)
	now := g.now().UnixMilli()
	for range g.points {
		session := g.nextSession()
		timestamp := max(now, g.last[session]+1, g.catalogue.Newest(session)+1) // every point must be new
		g.last[session] = timestamp
		b.sessions, b.timestamps = append(b.sessions, session), append(b.timestamps, timestamp)
		x.Request = g.pen.Append(x.Request, g.catalogue.ID(session), timestamp)
	}
	return true
}

// nextSession goes round the sessions of the organisation that are this worker's.
func (g *ingester) nextSession() int {
	own, cursor := g.catalogue.Own[g.organisation], g.cursors[g.organisation]
	if cursor >= len(own) {
		cursor = g.worker % len(own)
	}
	g.cursors[g.organisation] = cursor + g.step
	return own[cursor]
}

// Check implements loadgen.Source. An acknowledged body raises what polls must show from now on.
func (g *ingester) Check(x *loadgen.Exchange, a *loadgen.Answer) (loadgen.Outcome, error) {
	if g.refusals && (a.Status == 429 || a.Status == 503) {
		return loadgen.Refused, nil
	}
	if want := fmt.Sprintf(`{"accepted":%d,"rejected":[]`, g.points); a.Status != 200 || !bytes.HasPrefix(bytes.TrimSpace(a.Body), []byte(want)) {
		return 0, fmt.Errorf("a body of %d good points got status %d: %.600s", g.points, a.Status, a.Body)
	}
	b := &g.batches[x.Subject-1]
	for i, session := range b.sessions {
		g.catalogue.Seen(session, b.timestamps[i])
	}
	return loadgen.Served, nil
}
