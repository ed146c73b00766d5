package server

import (
	"errors"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/query/changes"
	"lastseen/schema"
	"lastseen/server/input"
	"lastseen/server/limit"
)

const (
	// changesLimit is how many sessions an answer has at most where the request does not say.
	changesLimit = 1000
	typeEvents   = "text/event-stream"
)

var (
	changesLimitRange = input.Range{Least: 1, Most: changes.MaxLimit}
	varyChanges       = []byte("Accept, Authorization")
)

// lastSeenChanges answers what has changed of all sessions that the caller's organisation sees: a page in JSON, which a
// request that prefers to wait gets when there is something in it, or server-sent events.
func lastSeenChanges(c *call) error {
	c.http.Response.Header.SetCanonical(headerVary, varyChanges)
	p := input.Of(c.http)
	scope := orgScope(p)
	limit := p.Integer("limit", changesLimit, changesLimitRange)
	cursor, present := p.Optional("cursor")
	if present && cursor == "" {
		p.Reject("cursor", "Use a cursor as it came, or leave the parameter out to begin anew.")
	}
	if err := p.Problem(); err != nil {
		return err
	}
	events := wantsEvents(c)
	if last := c.http.Request.Header.Peek("Last-Event-ID"); events && len(last) > 0 {
		cursor = string(last) // where a client broke off that began with the cursor
	}
	if !events {
		if handed, err := leadOn(c, scope, cursor); handed {
			return err
		}
	}
	if err := c.server.slots.Enter(c.connection().Slot(), c.principal.OrgID, c.entry.began); err != nil {
		return err
	}
	followed, err := c.server.services.Changes.Follow(c.principal.OrgID, scope, cursor)
	if err != nil {
		return err
	}
	if events {
		return streamEvents(c, followed)
	}
	defer followed.Stop()
	reset := followed.Reset()
	body, sessions := followed.AppendPage(c.scratch[:0], limit)
	if sessions == 0 && !reset {
		if body, err = awaitChanges(c, followed, body, limit); err != nil {
			return err
		}
	}
	c.scratch = body
	c.reply(fasthttp.StatusOK, body)
	return nil
}

// leadOn has the node answer that gave a cursor out, which alone knows where that leads on, and reports whether it did: a
// client without sticky sessions would otherwise begin anew at every node. A stream begins anew where it is.
func leadOn(c *call, scope schema.OrgScope, cursor string) (handed bool, err error) {
	nodes := c.server.services.Nodes
	if nodes == nil || cursor == "" || fromNode(c) {
		return false, nil
	}
	process, elsewhere := c.server.services.Changes.Elsewhere(c.principal.OrgID, scope, cursor)
	if !elsewhere {
		return false, nil
	}
	address, known := nodes.Process(process)
	if !known {
		return false, nil
	}
	patience := waitPreference(c.http.Request.Header.PeekAll(headerPrefer))
	if err := c.server.others.handTo(c, handFor{address: address, waits: patience > 0}, c.route.timeout+patience); !errors.Is(err, errNoOther) {
		return true, err
	}
	return false, nil
}

// wantsEvents reports whether the caller would rather have events than JSON.
func wantsEvents(c *call) bool {
	events, json := 0, 0
	for _, accepted := range input.Preferences(c.http.Request.Header.PeekAll(fasthttp.HeaderAccept)) {
		switch accepted.Value {
		case typeEvents:
			events = accepted.Weight
		case typeJSON:
			json = accepted.Weight
		}
	}
	return events > 0 && events >= json
}

// awaitChanges waits as long as the request prefers for a page that is not empty, and returns the last one; body is the
// empty one, in memory that may be used again. The caller's credential is checked after each look, as in awaitChange, and
// the limits are the same.
func awaitChanges(c *call, followed *changes.Changes, body []byte, most int) (_ []byte, err error) {
	patience := waitPreference(c.http.Request.Header.PeekAll(headerPrefer))
	if patience == 0 {
		return body, nil
	}
	outcome := waitChanged
	defer func() { c.server.counts.waits[outcome].Add(1) }()
	place, err := c.server.waiting.TryEnter(limit.Request{Owner: c.owner(), Weight: 1})
	if err != nil {
		outcome = waitNoPlace
		return body, nil
	}
	defer place.Leave()
	w := newWait(c, followed.Watch()).withCredential()
	w.end = time.NewTimer(patience)
	defer w.stop()
	c.http.Response.Header.Set(headerPreferenceApplied, "wait="+strconv.Itoa(int(patience/time.Second)))
	sessions := 0
	for {
		body, sessions = followed.AppendPage(body[:0], most)
		if err := c.stillAllowed(); err != nil {
			outcome = waitRefused
			return body, err
		}
		if sessions > 0 || outcome != waitChanged {
			return body, nil
		}
		outcome = w.next()
	}
}
