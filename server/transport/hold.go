package transport

import (
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// HoldTime is how long a connection that is held is not read at most, which is what the refusal's Retry-After asks for;
// at least half of it, so that those who were refused together do not come back together.
// Refusing costs nearly as much as reading, so a client that did not wait would take the service from the others.
const HoldTime = time.Second

// Hold makes the connection pause after the present answer, a refusal. It reports that the connection was held already:
// then its client sends requests without waiting for answers, and a reader's buffer holds them by now, so that the
// caller should close it.
func (c *Conn) Hold() (again bool) {
	if c == nil {
		return false
	}
	again, c.held = c.held, true
	return again
}

// Pipelined reports that the present request was sent while its connection was held, without waiting for the answer
// before.
func (c *Conn) Pipelined() bool { return c != nil && c.pipelined }

// origin is what is known of an address by the connections that are open from it.
type origin struct {
	open    int         // how many; the Listener's lock guards it
	several atomic.Bool // one of them has brought requests of several organisations
}

// Carried notes that a request of an organisation came.
func (c *Conn) Carried(orgID string) {
	switch {
	case c == nil || c.several || c.carried == orgID:
	case c.carried == "":
		c.carried = orgID
	default:
		c.several = true
		c.origin.several.Store(true)
	}
}

// Several reports whether requests of several organisations have come.
func (c *Conn) Several() bool { return c != nil && c.several }

// SeveralBeside reports whether they have, or have on another connection that was open at the same time from the same address: a proxy opens
// new ones all the time.
func (c *Conn) SeveralBeside() bool { return c != nil && c.origin.several.Load() }

// Fresh reports whether the present request is the first of its connection.
func (c *Conn) Fresh() bool { return c != nil && !c.served }

// pause waits until a connection may be read again, and notes whether its client has waited too.
func (c *Conn) pause() {
	c.held = false
	wait := time.NewTimer(HoldTime/2 + rand.N(HoldTime/2))
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-c.listener.options.Stopping:
	}
	c.pipelined = pending(c.Conn) || c.secure.pending()
}
