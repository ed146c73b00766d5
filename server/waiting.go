package server

import (
	"time"

	"lastseen/keys"
	"lastseen/server/transport"
)

// signedInCheck is how often it is looked whether somebody who signed in still is; of keys one hears.
const signedInCheck = time.Second

// wait is the wait of a request for a change, in several parts. It belongs to one goroutine, which stops it.
type wait struct {
	call    *call
	changed <-chan struct{}
	looks   *time.Ticker
	end     *time.Timer // nil for a wait without end

	// Of a wait that hears of the end of its credential:
	ended   <-chan struct{} // of any key
	expiry  *time.Timer
	expires time.Time // for which expiry is set
}

// newWait begins a wait for what a channel tells.
func newWait(c *call, changed <-chan struct{}) *wait {
	return &wait{call: c, changed: changed, looks: time.NewTicker(departureCheck)}
}

// withCredential makes the wait be interrupted when the credential ends: begun before the credential was last checked, it
// misses nothing.
func (w *wait) withCredential() *wait {
	w.ended = w.call.server.services.Authenticator.Ended()
	w.expires = w.call.principal.ExpiresAt
	w.expiry = time.NewTimer(time.Until(w.expires))
	if w.call.principal.Kind == keys.CallerUser {
		w.looks.Reset(signedInCheck)
	}
	return w
}

// next waits until there may be a change, or another reason to look again: then it returns waitChanged as well.
func (w *wait) next() (outcome string) {
	c, began := w.call, time.Now()
	defer func() { c.waited += time.Since(began) }()
	var end, expiry <-chan time.Time
	if w.end != nil {
		end = w.end.C
	}
	if w.expiry != nil {
		if !w.expires.Equal(c.principal.ExpiresAt) { // it was rotated
			w.expires = c.principal.ExpiresAt
			w.expiry.Reset(time.Until(w.expires))
		}
		expiry = w.expiry.C
	}
	select {
	case <-w.changed:
	case <-expiry:
	case <-w.ended:
		w.ended = c.server.services.Authenticator.Ended()
	case <-w.looks.C:
		if transport.Departed(c.http.Conn()) {
			return waitDeparted
		}
	case <-end:
		return waitTimedOut
	case <-c.server.stopping:
		return waitStopped
	}
	return waitChanged
}

func (w *wait) stop() {
	w.looks.Stop()
	for _, timer := range []*time.Timer{w.end, w.expiry} {
		if timer != nil {
			timer.Stop()
		}
	}
}
