package server

import (
	"bytes"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/query/latest"
	"lastseen/schema"
	"lastseen/server/input"
	"lastseen/server/limit"
)

// Long polls: a poll of last_seen with If-None-Match may say `Prefer: wait=N` (RFC 7240) and is then
// answered when there is something new, or after N seconds with 304. One that waits costs a goroutine
// and its connection's buffers, about 11 KB (scenario long-poll of the load suite).

const (
	headerPrefer            = "Prefer"
	headerPreferenceApplied = "Preference-Applied"

	// longestWait is what longer preferences are taken for.
	longestWait = 300 * time.Second
	// departureCheck is how often a waiting request looks whether its client is still there.
	departureCheck = 5 * time.Second
)

// The words by which waits are counted.
const (
	waitChanged  = "changed"   // what the caller sees, while it waited
	waitTimedOut = "timed_out" // nothing changed for as long as the caller preferred to wait
	waitDeparted = "departed"  // the client has gone
	waitRefused  = "refused"   // the credential was revoked or has expired, or could not be checked again
	waitStopped  = "stopped"   // by a shutdown
	waitNoPlace  = "no_place"  // as many as may were waiting, so this one did not
)

var waitOutcomes = []string{waitChanged, waitTimedOut, waitDeparted, waitRefused, waitStopped, waitNoPlace}

// awaitChange waits as long as the request prefers, for as long as the caller has what the look-up before
// has found (status and point), and returns what the last look-up found and whether it waited. The caller's
// credential is checked again after each wait, so that nothing is shown to one that was revoked or has expired meanwhile.
// Past the limit on waiting requests, or its owner's share of it, the preference is not applied, as RFC 7240 allows.
func awaitChange(c *call, id []byte, status latest.Status, point *schema.DataPoint) (_ latest.Status, waited bool, _ error) {
	patience := waitPreference(c.http.Request.Header.PeekAll(headerPrefer))
	if patience == 0 {
		return status, false, nil
	}
	c.server.shortTurns.Ask(c.turnOwner(), c.entry.began)
	if !upToDate(c, status, point) {
		return takeTurn(c, id, status, point)
	}
	outcome := waitChanged
	defer func() { c.server.counts.waits[outcome].Add(1) }()
	place, err := c.server.waiting.TryEnter(limit.Request{Owner: c.owner(), Weight: 1})
	if err != nil {
		outcome = waitNoPlace
		return status, false, nil
	}
	defer place.Leave()
	watch := c.server.services.LastSeen.Watch(id)
	defer watch.Stop()
	w := newWait(c, watch.Changed())
	w.end = time.NewTimer(patience)
	defer w.stop()
	c.http.Response.Header.Set(headerPreferenceApplied, "wait="+strconv.Itoa(int(patience/time.Second)))
	status = look(c, id, point)
	for outcome == waitChanged && upToDate(c, status, point) {
		outcome = w.next()
		if status = look(c, id, point); outcome == waitChanged && !upToDate(c, status, point) {
			if waited, err := awaitTurn(c); err != nil {
				return status, true, err
			} else if waited {
				status = look(c, id, point)
			}
		}
		// The credential is checked after the last look-up, so that what is shown is older than the check.
		if err := c.stillAllowed(); err != nil {
			outcome = waitRefused
			return status, true, err
		}
	}
	return status, true, nil
}

// takeTurn returns what there is in the caller's turn among those who wait for changes: where it comes later, it is looked
// up and allowed again.
func takeTurn(c *call, id []byte, status latest.Status, point *schema.DataPoint) (_ latest.Status, waited bool, err error) {
	if waited, err := awaitTurn(c); !waited {
		return status, false, err
	}
	status = look(c, id, point)
	return status, true, c.stillAllowed()
}

// awaitTurn waits for the caller's turn among those who wait for changes, and reports whether it did. Thousands that wait and are
// woken all the time would leave the processors to nobody else.
func awaitTurn(c *call) (waited bool, err error) {
	began := time.Now()
	if waited, err = c.turn(c.server.shortTurns, longestWait); waited {
		c.waited += time.Since(began)
	}
	return waited, err
}

// upToDate reports whether the caller has what a look-up found.
func upToDate(c *call, status latest.Status, point *schema.DataPoint) bool {
	if status == latest.NotFound {
		return false
	}
	c.scratch = appendTag(c.scratch[:0], status, point)
	return holdsTag(c.http.Request.Header.PeekAll(fasthttp.HeaderIfNoneMatch), c.scratch)
}

// waitPreference returns how long the values of Prefer ask to wait: the first wait counts, in whole
// seconds. It returns 0 when there is none that can be read, and at most longestWait.
func waitPreference(lines [][]byte) time.Duration {
	for _, line := range lines {
		for len(line) > 0 {
			var preference []byte
			preference, line = input.CutOutsideQuotes(line, ',')
			preference, _ = input.CutOutsideQuotes(preference, ';') // what follows are parameters, of which wait has none
			name, value, _ := bytes.Cut(preference, []byte{'='})
			if !bytes.EqualFold(bytes.TrimSpace(name), []byte("wait")) {
				continue
			}
			value = bytes.TrimSpace(value)
			if quoted := len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"'; quoted {
				value = value[1 : len(value)-1]
			}
			seconds, err := strconv.ParseUint(string(value), 10, 31)
			if err != nil {
				return 0
			}
			return min(time.Duration(seconds)*time.Second, longestWait)
		}
	}
	return 0
}
