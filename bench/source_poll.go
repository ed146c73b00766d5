package bench

import (
	"bytes"
	"fmt"

	"lastseen/bench/loadgen"
)

const (
	pathLastSeen   = "/tracking/timeseries/session_by_device/last_seen/v1"
	pathDataPoints = "/tracking/timeseries/session_by_device/data_points/v1"
	pathIngest     = "/tracking/timeseries/session_by_device/ingest/v1"
)

// foreignEvery is how often a poll asks for another organisation's session instead: one in so many
// requests, which must be answered as if there were no such session.
const foreignEvery = 1024

// What Exchange.Expect says of a poll.
const (
	expectPoint = iota
	expectNotFound
)

// pollTemplates are the requests for last_seen of every key, complete but for the session's id.
type pollTemplates struct {
	requests [][][]byte // by organisation and key
	idAt     int        // where in each the id goes
}

func newPollTemplates(c *catalogue, host, prefix string) *pollTemplates {
	t := &pollTemplates{requests: make([][][]byte, len(c.keys))}
	start := "GET " + prefix + pathLastSeen + "?session_id="
	t.idAt = len(start)
	for organisation, keys := range c.keys {
		for _, key := range keys {
			request := fmt.Appendf(nil, "%s%024d HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n", start, 0, host, key)
			t.requests[organisation] = append(t.requests[organisation], request)
		}
	}
	return t
}

// poller asks for last_seen of sessions by popularity, with the keys of their organisation in turn.
type poller struct {
	catalogue *catalogue
	templates *pollTemplates
	draws     draws
	at        int
	sent      int
	// probes mixes requests for other organisations' sessions in.
	probes bool
	// conditional sends the session's last entity tag along and wants 304.
	conditional bool
	// refusals allows for 429 and 503.
	refusals bool
}

var (
	endOfHead   = []byte("\r\n")
	ifNoneMatch = []byte("If-None-Match: ")
)

// Prepare implements loadgen.Source.
func (p *poller) Prepare(x *loadgen.Exchange) bool {
	session := int(p.draws[p.at])
	if p.at++; p.at == len(p.draws) {
		p.at = 0
	}
	p.sent++
	organisation := p.catalogue.orgs[session]
	x.Subject, x.Expect = session, expectPoint
	if p.probes && p.sent%foreignEvery == 0 {
		organisation = (organisation + 1) % len(p.catalogue.keys)
		x.Expect = expectNotFound
	}
	keys := p.templates.requests[organisation]
	x.Request = append(x.Request[:0], keys[p.sent%len(keys)]...)
	copy(x.Request[p.templates.idAt:], p.catalogue.id(session))
	if p.conditional {
		x.Request = append(append(append(x.Request, ifNoneMatch...), p.catalogue.etags[session]...), endOfHead...)
	}
	x.Request = append(x.Request, endOfHead...)
	x.Floor = p.catalogue.newest[session].Load() // read before the request is sent: what is acknowledged now must show
	return true
}

// Check implements loadgen.Source.
func (p *poller) Check(x *loadgen.Exchange, a *loadgen.Answer) (loadgen.Outcome, error) {
	switch {
	case p.refusals && (a.Status == 429 || a.Status == 503):
		return loadgen.Refused, nil
	case x.Expect == expectNotFound:
		if a.Status != 404 || bytes.Contains(a.Body, p.catalogue.id(x.Subject)) {
			return 0, fmt.Errorf("a key of another organisation asked for session %s and got status %d: %.300s", p.catalogue.id(x.Subject), a.Status, a.Body)
		}
		return loadgen.Served, nil
	case p.conditional:
		if a.Status != 304 || len(a.Body) != 0 {
			return 0, fmt.Errorf("session %s with If-None-Match: %s got status %d, want 304: %.300s", p.catalogue.id(x.Subject), p.catalogue.etags[x.Subject], a.Status, a.Body)
		}
		return loadgen.Served, nil
	}
	return loadgen.Served, p.catalogue.checkPoint(x, a)
}

var (
	sessionField   = []byte(`"session_id":"`)
	timestampField = []byte(`"timestamp":"`)
	jsonNull       = []byte("null")
)

// checkPoint checks that an answer shows a point of the session that was asked for, and none older
// than the session's newest was when the request was sent.
func (c *catalogue) checkPoint(x *loadgen.Exchange, a *loadgen.Answer) error {
	id := c.id(x.Subject)
	if a.Status != 200 {
		return fmt.Errorf("session %s got status %d: %.300s", id, a.Status, a.Body)
	}
	if x.Floor == 0 && bytes.Equal(a.Body, jsonNull) {
		return nil
	}
	_, rest, found := bytes.Cut(a.Body, sessionField)
	if !found || !bytes.HasPrefix(rest, id) {
		return fmt.Errorf("session %s was asked for, and the answer is of another: %.600s", id, a.Body)
	}
	_, rest, found = bytes.Cut(a.Body, timestampField)
	timestamp, ok := parseStamp(rest)
	if !found || !ok {
		return fmt.Errorf("session %s: the answer has no timestamp: %.600s", id, a.Body)
	}
	if timestamp < x.Floor {
		return fmt.Errorf("session %s: the answer is stale by %d ms: a point with the timestamp %d (Unix ms) was acknowledged before the request: %.600s",
			id, x.Floor-timestamp, x.Floor, a.Body)
	}
	if timestamp > x.Floor {
		c.seen(x.Subject, timestamp)
	}
	return nil
}

// sweeper asks for each of a list of sessions once, and keeps the entity tags.
type sweeper struct {
	poller
	sessions []int
	next     int
	step     int // of several workers each takes every step-th
}

// Prepare implements loadgen.Source.
func (s *sweeper) Prepare(x *loadgen.Exchange) bool {
	if s.next >= len(s.sessions) {
		return false
	}
	s.draws, s.at = draws{uint32(s.sessions[s.next])}, 0
	s.next += s.step
	return s.poller.Prepare(x)
}

// Check implements loadgen.Source.
func (s *sweeper) Check(x *loadgen.Exchange, a *loadgen.Answer) (loadgen.Outcome, error) {
	outcome, err := s.poller.Check(x, a)
	if err == nil && outcome == loadgen.Served {
		s.catalogue.etags[x.Subject] = string(a.ETag)
	}
	return outcome, err
}

// constantReader polls the bare server, whose answer is always the same: that of the session constant,
// which is checked like any other, so that the client has as much to do as with the service.
type constantReader struct {
	poller
	constant int
}

// Check implements loadgen.Source.
func (c *constantReader) Check(_ *loadgen.Exchange, a *loadgen.Answer) (loadgen.Outcome, error) {
	return loadgen.Served, c.catalogue.checkPoint(&loadgen.Exchange{Subject: c.constant}, a)
}

// redisReader polls Redis, which holds the finished answers.
type redisReader struct{ poller }

// Prepare implements loadgen.Source.
func (r *redisReader) Prepare(x *loadgen.Exchange) bool {
	session := int(r.draws[r.at])
	if r.at++; r.at == len(r.draws) {
		r.at = 0
	}
	x.Subject, x.Floor = session, r.catalogue.newest[session].Load()
	x.Request = append(x.Request[:0], "*2\r\n$3\r\nGET\r\n$24\r\n"...)
	x.Request = append(append(x.Request, r.catalogue.id(session)...), endOfHead...)
	return true
}
