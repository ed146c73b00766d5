// Package register keeps which nodes make up a service, outside of all of them: numbered views, of which the newest is in force.
// Who wants another view puts it after the one that it knows (Swap), and of several who do so one succeeds. What a view says
// is the nodes' own affair; to a register it is bytes.
//
// A Keeper has a register in ZooKeeper or ClickHouse Keeper; package schema has one in a ClickHouse server.
package register

import (
	"context"
	"errors"
)

// MaxView is how long a view may be, in bytes.
const MaxView = 64 << 10

var (
	// ErrMoved says that another view is in force than the one that the caller named.
	ErrMoved = errors.New("the register has another view")
	// ErrAway says that the register could not be asked: the call has changed nothing.
	ErrAway = errors.New("the register is out of reach")
	// errTooLong refuses a view.
	errTooLong = errors.New("a view is too long for the register")
)

// State is what a register says.
type State struct {
	Epoch uint64 // the number of the view in force; 0 while there is none
	View  []byte // as Swap was given it
	Beat  uint64 // another number after each Beat of this epoch
}

// Register is safe for use by several processes at once. A call that fails with another error than ErrMoved and ErrAway may
// have done what it was for, or may do so yet, even after a Look: who has called Swap finds its view in a later Look, or the one of
// somebody who was faster.
type Register interface {
	// Look returns what the register says at a moment after the call.
	Look(ctx context.Context) (State, error)
	// Swap puts a view, of MaxView bytes at most, in force as the one after an epoch, and fails with ErrMoved where that epoch is
	// not in force any more, by somebody else's Swap or an earlier one of the caller's.
	Swap(ctx context.Context, epoch uint64, view []byte) error
	// Beat shows that whoever leads the nodes in an epoch lives. It fails with ErrMoved where another epoch is in force.
	Beat(ctx context.Context, epoch uint64) error
}

// Check refuses a view that no register takes.
func Check(view []byte) error {
	if len(view) > MaxView {
		return errTooLong
	}
	return nil
}
