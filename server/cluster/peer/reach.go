package peer

import (
	"context"
	"fmt"
	"time"
)

// Reach connects to where the others reach this node, and fails in a sentence unless this process answers there within a second.
func (p *Peers) Reach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	own := p.hello()
	conn, err := p.dial(ctx, own.Address, protocolMessages)
	if err != nil {
		return err
	}
	defer conn.Close() // nothing was to be sent
	if err := conn.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return err
	}
	if err := writeHello(conn, own); err != nil {
		return fmt.Errorf("greet the node at %s: %w", own.Address, withoutPorts(err))
	}
	other, err := readHello(conn)
	switch {
	case err != nil:
		return fmt.Errorf("the node at %s does not return a greeting: %w", own.Address, withoutPorts(err))
	case !other.isSame(own.Node):
		return fmt.Errorf("another node answers there, with the id %s", other.ID)
	}
	return nil
}

// isSame reports whether two are the same process.
func (n Node) isSame(other Node) bool { return n.ID == other.ID && n.Incarnation == other.Incarnation }
