package traffic

import (
	"bytes"
	"fmt"

	"lastseen/bench/loadgen"
)

// PathLastSeenBatch is the route of many newest points in one request.
const PathLastSeenBatch = "/tracking/timeseries/session_by_device/last_seen_batch/v1"

// Batches asks for the newest points of so many sessions at a time, all of one organisation, with that one's keys.
func Batches(c *Catalogue, host string, sessions int) Start {
	heads := make([][][]byte, len(c.Keys)) // complete up to the first id
	length := len(`{"session_ids":[]}`) + sessions*(IDDigits+len(`"",`)) - 1
	for organisation, keys := range c.Keys {
		for _, key := range keys {
			heads[organisation] = append(heads[organisation], fmt.Appendf(nil,
				"POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n{\"session_ids\":[",
				PathLastSeenBatch, host, key, length))
		}
	}
	return func(d Draws, at int) loadgen.Source {
		b := newBatcher(c, d, at, sessions)
		b.encode = func(x *loadgen.Exchange, organisation int, ids []uint32) {
			keys := heads[organisation]
			x.Request = append(x.Request[:0], keys[b.sent%len(keys)]...)
			for _, session := range ids {
				x.Request = append(append(append(x.Request, '"'), c.ID(int(session))...), `",`...)
			}
			x.Request = append(x.Request[:len(x.Request)-1], "]}"...)
		}
		return b
	}
}

// RedisMGets asks Redis, which holds the finished answers by session id, for as many of the same.
func RedisMGets(c *Catalogue, sessions int) Start {
	return func(d Draws, at int) loadgen.Source {
		b := newBatcher(c, d, at, sessions)
		b.encode = func(x *loadgen.Exchange, _ int, ids []uint32) {
			x.Request = fmt.Appendf(x.Request[:0], "*%d\r\n$4\r\nMGET\r\n", len(ids)+1)
			for _, session := range ids {
				x.Request = append(append(append(x.Request, "$24\r\n"...), c.ID(int(session))...), endOfHead...)
			}
		}
		return b
	}
}

// batcher asks for many newest points at a time. The sessions are drawn by popularity within each organisation, whose
// turns come one after the other.
type batcher struct {
	catalogue *Catalogue
	draws     []Draws // by organisation, long enough for any place to begin at
	lengths   []int   // of what is drawn before it begins again
	at        []int
	size      int
	sent      int
	encode    func(x *loadgen.Exchange, organisation int, ids []uint32)
}

func newBatcher(c *Catalogue, d Draws, at, size int) *batcher {
	b := &batcher{catalogue: c, draws: make([]Draws, len(c.Own)), size: size}
	for i := range min(len(d), 1<<18) {
		session := d[(at+i)%len(d)]
		organisation := c.Orgs[session]
		b.draws[organisation] = append(b.draws[organisation], session)
	}
	for organisation := range b.draws {
		if len(b.draws[organisation]) == 0 {
			b.draws[organisation] = Draws{uint32(c.Own[organisation][0])}
		}
		length := len(b.draws[organisation])
		for i := range size {
			b.draws[organisation] = append(b.draws[organisation], b.draws[organisation][i%length])
		}
		b.lengths = append(b.lengths, length)
	}
	b.at = make([]int, len(b.draws))
	return b
}

// Prepare implements loadgen.Source.
func (b *batcher) Prepare(x *loadgen.Exchange) bool {
	organisation := b.sent % len(b.draws)
	begin := b.at[organisation]
	b.at[organisation] = (begin + b.size) % b.lengths[organisation]
	b.sent++
	x.Expect, x.Subject = organisation, begin
	ids := b.draws[organisation][begin : begin+b.size]
	x.Floor = b.catalogue.Newest(int(ids[0])) // read before the request is sent: what is acknowledged now must show
	b.encode(x, organisation, ids)
	return true
}

// sessionFirst is how the object begins that says of which session a point is. A brace is a ninth as frequent as a quotation mark, at each of which
// a search stops: with sessionField the client spent two thirds of its time on looking for it, in answers of batches and of MGET alike.
var sessionFirst = append([]byte("{"), sessionField...)

// Check implements loadgen.Source: every point must be of the session that was asked for in its place, and the first one
// must be as new as it was.
func (b *batcher) Check(x *loadgen.Exchange, a *loadgen.Answer) (loadgen.Outcome, error) {
	ids := b.draws[x.Expect][x.Subject : x.Subject+b.size]
	if a.Status != 200 {
		return 0, fmt.Errorf("a batch of %d sessions got status %d: %.300s", len(ids), a.Status, a.Body)
	}
	rest := a.Body
	for _, session := range ids {
		_, after, found := bytes.Cut(rest, sessionFirst)
		if !found || !bytes.HasPrefix(after, b.catalogue.ID(int(session))) {
			return 0, fmt.Errorf("session %s was asked for, and in its place is: %.300s", b.catalogue.ID(int(session)), after)
		}
		rest = after
	}
	if timestamp, ok := TimestampOf(a); !ok || timestamp < x.Floor {
		return 0, fmt.Errorf("session %s: the answer is stale or has no timestamp: %.300s", b.catalogue.ID(int(ids[0])), a.Body)
	}
	return loadgen.Served, nil
}
