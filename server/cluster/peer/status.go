package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

const (
	// maxStatus bounds what a node says of itself, in bytes.
	maxStatus = 1 << 20
	// noSuchProtocol is TLS' alert of who does not know protocolStatus, for which crypto/tls has no name.
	noSuchProtocol = "tls: no application protocol"
)

// Status asks the node at an address what it says of itself (Config.Status). It fails where that takes longer than a second, and
// where the node runs a version that cannot be asked.
func (p *Peers) Status(ctx context.Context, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := p.dial(ctx, address, protocolStatus)
	if err != nil && strings.Contains(err.Error(), noSuchProtocol) {
		return nil, fmt.Errorf("the node at %s runs a version of lastseen that cannot be asked", address)
	}
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if deadline, has := ctx.Deadline(); has {
		if err := conn.SetDeadline(deadline); err != nil {
			return nil, fmt.Errorf("ask the node at %s: %w", address, err)
		}
	}
	text, err := io.ReadAll(io.LimitReader(conn, maxStatus))
	if err == nil && len(text) == 0 {
		err = errors.New("it says nothing")
	}
	if err != nil {
		return nil, fmt.Errorf("ask the node at %s: %w", address, withoutPorts(err))
	}
	return text, nil
}

// say answers who has asked.
func (p *Peers) say(conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	if p.config.Status == nil {
		return nil
	}
	_, _ = conn.Write(p.config.Status()) // who has asked has gone again
	return nil
}
