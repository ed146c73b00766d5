package peer

import (
	"context"
	"fmt"
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
	other, err := exchangeHellos(conn, own, own.Address)
	if err != nil {
		return err
	}
	if !other.isSame(own.Node) {
		return fmt.Errorf("another node answers there, with the id %s", other.ID)
	}
	return nil
}

// isSame reports whether two are the same process.
func (n Node) isSame(other Node) bool { return n.ID == other.ID && n.Incarnation == other.Incarnation }
