// Package lease lets one process at a time write to a store that several can reach.
//
// Who writes is kept in a Register, which the store has: numbered epochs, each with its Holder. A holder renews its lease
// (Beat) several times in its Length and may write until that long after the beginning of its last renewal, by its own
// monotonic clock. Who wants the lease watches the register: a holder that renews is alive, one that has given up (Left) or
// that is known to be dead is followed at once, and one that is silent for its whole Length is followed then. To follow is to
// begin the next epoch (Swap), after which no renewal of an older one can succeed. A renewal that was made between the last
// look and that is seen by another look, and its time waited for. No clock is compared with another
// machine's; clocks are only taken to run at nearly the same rate.
//
// A write that was sent before its lease ended may still arrive after it: who holds the lease asks again when a write has
// succeeded, and does not say that it has where the lease has ended. What must not arrive is for the store to refuse.
package lease

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Length is how long a lease lasts unless its Options say otherwise.
const Length = 15 * time.Second

// slower is how much longer a lease seems to others at most, by clocks of another rate.
const slower = 1.06

// ErrMoved says that the register is at another epoch than the caller's.
var ErrMoved = errors.New("another process has taken the lease")

// Holder is who has the lease, as the register keeps it.
type Holder struct {
	Node   string `json:"node"`           // an id that lies in Dir; empty for nobody
	Claim  string `json:"claim"`          // random, of this process's claim
	Host   string `json:"host"`           // the machine's name
	Dir    string `json:"dir"`            // the data directory, of which one process at a time has the lock
	PID    int    `json:"pid"`            // of the process
	Since  int64  `json:"since"`          // when it took the lease, Unix milliseconds by its clock
	Length int64  `json:"length"`         // of the lease, milliseconds
	Beat   uint64 `json:"beat"`           // grows with each renewal
	Left   bool   `json:"left,omitempty"` // it has given the lease up
}

// gone reports whether a holder writes no more, by what is known without waiting: there is none, it has given the lease up,
// or it was a process that held the lock which self, who comes after it, holds now.
func (h Holder) gone(self Holder) bool {
	return h.Node == "" || h.Left || h.Node == self.Node && h.Host == self.Host && h.Dir == self.Dir
}

// length is the lease's, at least the one that the watcher itself would have.
func (h Holder) length(least time.Duration) time.Duration {
	return max(time.Duration(h.Length)*time.Millisecond, least)
}

// View is what a register says.
type View struct {
	Epoch  uint64
	Holder Holder
}

// Register is where it is kept who has the lease. It is safe for use by several processes at once.
type Register interface {
	// Look returns what the register says at a moment after the call.
	Look(ctx context.Context) (View, error)
	// Swap begins the epoch after one, whose holder stays until the first Beat. Of several callers, each with a claim of its own,
	// one at most succeeds; the others get ErrMoved.
	Swap(ctx context.Context, epoch uint64, claim string) error
	// Beat says who holds the lease, or holds it still. It fails with ErrMoved when a later epoch has begun.
	Beat(ctx context.Context, epoch uint64, holder Holder) error
}

// HeldError says who else has the lease.
type HeldError struct {
	Holder Holder
	Ends   time.Time // of its lease, unless it is renewed
}

// Error says it in a sentence.
func (e *HeldError) Error() string {
	return fmt.Sprintf("another lastseen writes to this database, process %d on the host %s, since %s; its lease ends at %s unless it is renewed: stop that one first, or use another database",
		e.Holder.PID, e.Holder.Host, time.UnixMilli(e.Holder.Since).UTC().Format(time.RFC3339), e.Ends.UTC().Format(time.RFC3339))
}
