package traffic

import (
	"bytes"
	"fmt"
	"slices"

	"lastseen/bench/loadgen"
)

// The routes that loads are made of.
const (
	PathLastSeen      = "/tracking/timeseries/session_by_device/last_seen/v1"
	PathDataPoints    = "/tracking/timeseries/session_by_device/data_points/v1"
	PathFeed          = "/tracking/timeseries/session_by_device/data_points_feed/v1"
	PathIngest        = "/tracking/timeseries/session_by_device/ingest/v1"
	PathOutlier       = "/tracking/timeseries/session_by_device/outlier/v1"
	PathUpdateSession = "/tracking/sessions/update/v1"
)

// ForeignEvery is how often a poll asks for another organisation's session instead: one in so many
// requests, which must be answered as if there were no such session.
const ForeignEvery = 1024

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

func newPollTemplates(c *Catalogue, host, prefix string) *pollTemplates {
	t := &pollTemplates{requests: make([][][]byte, len(c.Keys))}
	start := "GET " + prefix + PathLastSeen + "?session_id="
	t.idAt = len(start)
	for organisation, keys := range c.Keys {
		for _, key := range keys {
			request := fmt.Appendf(nil, "%s%024d HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n", start, 0, host, key)
			t.requests[organisation] = append(t.requests[organisation], request)
		}
	}
	return t
}

// Polls are polls of last_seen of one service.
type Polls struct {
	// Probes mixes requests for other organisations' sessions in.
	Probes bool
	// Conditional sends each session's last entity tag along and wants 304.
	Conditional bool
	// Refusals allows for 429 and 503.
	Refusals bool
	// Apart has each connection ask with the keys of one organisation, as integrations do, the organisations in turn. Otherwise each
	// request may be another one's, as behind a proxy.
	Apart bool

	catalogue *Catalogue
	templates *pollTemplates
}

// NewPolls makes polls with the keys that the catalogue has by now. host is for the Host header, and
// prefix that of every path.
func NewPolls(c *Catalogue, host, prefix string) *Polls {
	return &Polls{catalogue: c, templates: newPollTemplates(c, host, prefix)}
}

// Start makes one worker's source, which asks for the drawn sessions from one of them on. It is a Start.
func (p *Polls) Start(d Draws, at int) loadgen.Source { return p.poller(d, at) }

func (p *Polls) poller(d Draws, at int) *poller {
	made := &poller{Polls: *p, draws: d, at: at}
	if p.Apart {
		made.own, made.of = ownersOf(p.catalogue, d[at:], d[:at]), make(map[*loadgen.Exchange]int)
	}
	return made
}

// poller asks for last_seen of sessions by popularity, with the keys of their organisation in turn.
type poller struct {
	Polls
	draws Draws
	at    int
	sent  int

	own []ownDraws                // of each organisation that has any, where connections are apart
	of  map[*loadgen.Exchange]int // whose draws a connection has, by the exchange that it has for good
}

// ownDraws are draws of one organisation, and where they go on.
type ownDraws struct {
	draws Draws
	at    int
}

// ownersOf returns the draws of each organisation that has any.
func ownersOf(c *Catalogue, parts ...Draws) (all []ownDraws) {
	by := make([]ownDraws, len(c.Keys))
	for _, draws := range parts {
		for _, session := range draws {
			own := &by[c.Orgs[session]]
			own.draws = append(own.draws, session)
		}
	}
	return slices.DeleteFunc(by, func(d ownDraws) bool { return len(d.draws) == 0 })
}

func (d *ownDraws) next() int {
	session := int(d.draws[d.at])
	if d.at++; d.at == len(d.draws) {
		d.at = 0
	}
	return session
}

// next returns the session that a connection asks for next.
func (p *poller) next(x *loadgen.Exchange) int {
	if !p.Apart {
		session := int(p.draws[p.at])
		if p.at++; p.at == len(p.draws) {
			p.at = 0
		}
		return session
	}
	own, known := p.of[x]
	if !known {
		own = len(p.of) % len(p.own)
		p.of[x] = own
	}
	return p.own[own].next()
}

var (
	endOfHead   = []byte("\r\n")
	ifNoneMatch = []byte("If-None-Match: ")
)

// Prepare implements loadgen.Source.
func (p *poller) Prepare(x *loadgen.Exchange) bool {
	session := p.next(x)
	p.sent++
	organisation := p.catalogue.Orgs[session]
	x.Expect = expectPoint
	if p.Probes && p.sent%ForeignEvery == 0 {
		foreign := p.catalogue.Own[(organisation+1)%len(p.catalogue.Own)]
		session, x.Expect = foreign[p.sent/ForeignEvery%len(foreign)], expectNotFound
	}
	x.Subject = session
	keys := p.templates.requests[organisation]
	x.Request = append(x.Request[:0], keys[p.sent%len(keys)]...)
	copy(x.Request[p.templates.idAt:], p.catalogue.ID(session))
	if p.Conditional {
		x.Request = append(append(append(x.Request, ifNoneMatch...), p.catalogue.Etags[session]...), endOfHead...)
	}
	x.Request = append(x.Request, endOfHead...)
	x.Floor = p.catalogue.Newest(session) // read before the request is sent: what is acknowledged now must show
	return true
}

// Check implements loadgen.Source.
func (p *poller) Check(x *loadgen.Exchange, a *loadgen.Answer) (loadgen.Outcome, error) {
	switch {
	case p.Refusals && (a.Status == 429 || a.Status == 503):
		return loadgen.Refused, nil
	case x.Expect == expectNotFound:
		if a.Status != 404 || bytes.Contains(a.Body, p.catalogue.ID(x.Subject)) {
			return 0, fmt.Errorf("a key of another organisation asked for session %s and got status %d: %.300s", p.catalogue.ID(x.Subject), a.Status, a.Body)
		}
		return loadgen.Served, nil
	case p.Conditional:
		if a.Status != 304 || len(a.Body) != 0 {
			return 0, fmt.Errorf("session %s with If-None-Match: %s got status %d, want 304: %.300s", p.catalogue.ID(x.Subject), p.catalogue.Etags[x.Subject], a.Status, a.Body)
		}
		return loadgen.Served, nil
	}
	return loadgen.Served, p.catalogue.CheckPoint(x, a)
}
