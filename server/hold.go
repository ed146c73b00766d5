package server

import (
	"math/rand/v2"
	"time"
)

// holdTime is how long a connection whose points or polls were refused as busy is not read at most, which is what its
// Retry-After asks for; at least half of it, so that those who were refused together do not come back together.
// Refusing costs nearly as much as reading, so a client that did not wait would take the service from the others.
const holdTime = time.Second

// holdConnection makes the connection wait after this call's answer, a refusal. One that a proxy shares among
// clients is not held. One that is held already has sent requests without waiting for answers, which a reader's buffer
// holds by now: it is closed.
func (c *call) holdConnection() {
	connection, ours := c.http.Conn().(*conn)
	if !ours || c.server.limits.proxied(c.http) {
		return
	}
	if connection.held {
		c.http.SetConnectionClose()
	}
	connection.held = true
}

// impatient reports that the request was sent while its connection was held.
func (c *call) impatient() bool {
	connection, ours := c.http.Conn().(*conn)
	return ours && connection.impatient
}

// hold waits until a connection may be read again, and notes whether its client has waited too.
func (c *conn) hold() {
	c.held = false
	wait := time.NewTimer(holdTime/2 + rand.N(holdTime/2))
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-c.listener.stopping:
	}
	c.impatient = pending(c.Conn)
}
