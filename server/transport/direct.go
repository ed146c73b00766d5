package transport

import "time"

// Direct is the direct way of a connection: requests in a plain form are answered from the bytes that arrive, and all
// else goes the general way as if nobody had looked at it.
type Direct struct {
	// Start is how a request that goes this way begins, up to the value of its one parameter.
	Start []byte
	// Answer answers a request by Conn.Reply and reports whether it did; what it has not answered goes the general way.
	// An error is one of the connection. It is not called while the connection has something else to do.
	// The request dies when it returns.
	Answer func(c *Conn, request *Plain) (answered bool, err error)
}

// answerDirectly answers a request that begins and ends with what arrived, and reports whether it did.
//
// A shutdown closes connections that are between requests, which a general server takes this one for. So while an answer
// is on its way the connection says so: see Settle.
func (c *Conn) answerDirectly(arrived []byte) (answered bool, err error) {
	c.handover = Handover{}
	direct := c.listener.options.Direct
	if !c.plain.Parse(arrived, direct.Start) {
		return false, nil
	}
	c.answering.Store(true)
	answered, err = direct.Answer(c, &c.plain)
	c.answering.Store(false)
	return answered, err
}

// Reply writes a whole answer. The client has patience, counted from a moment on, to accept it, and idle, counted from
// the same moment, to begin its next request.
func (c *Conn) Reply(answer []byte, from time.Time, patience, idle time.Duration) error {
	if err := c.SetWriteDeadline(from.Add(patience)); err != nil {
		return err
	}
	if _, err := c.Write(answer); err != nil {
		return err
	}
	return c.SetReadDeadline(from.Add(idle))
}
