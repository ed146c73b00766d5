package replica

import (
	"context"
	"errors"
)

// Register keeps the view that counts. It must be linearizable: what Look returns was so at a moment after it was called.
// Calls come from several goroutines; their contexts end after Timing.Register.
type Register interface {
	// Look returns the view; that of an empty register is the zero View. An error says that it cannot be told.
	Look(ctx context.Context) (Seen, error)
	// Swap makes next the view if the one that counts has the epoch old (next.Epoch is old + 1), and returns the view that
	// counts afterwards, be it next or another's, as it was at a moment after the call. After an error it is unknown
	// whether next counts; Swap of the same is then called again and finds its own view.
	Swap(ctx context.Context, old uint64, next View) (View, error)
	// Beat changes what Look returns as Seen.Beat, so that nodes outside see that the leader of an epoch lives. It does
	// nothing where another epoch counts.
	Beat(ctx context.Context, epoch uint64) error
}

// Seen is what a look at the register shows.
type Seen struct {
	View View
	Beat uint64 // another number than before, whenever the leader has beaten in between
}

// Network takes messages to peers. Messages may be lost, come late, twice or in another order, but not altered or
// invented; in the usual case those to one peer arrive in order. Who receives one passes it to Node.Receive.
type Network interface {
	// Send queues a message to the peer at to.Addr and returns at once; a message for which there is no room is dropped.
	// The frame is the network's from then on.
	Send(to Member, frame []byte)
	// Format returns the newest format of messages that this node and the peer at to.Addr know, and OldestFormat while it is not known
	// what the peer does.
	Format(to Member) byte
}

// Change is something that all members apply: its kind and its bytes mean something to the State alone.
type Change struct {
	Kind uint8
	Data []byte // not to be kept or altered by who is given it
}

// State is what is the same on all members. All but Recover is called by one goroutine, in the order of the protocol,
// while others read the state; and must not take long (milliseconds), since the beats wait for it.
//
// Changes and pieces of a snapshot are merged into what is there: each says enough to tell which of two is newer, so that
// one that comes twice, or late after a newer one, changes nothing.
type State interface {
	// Apply merges changes. If pending, what they change is not yet to be shown: who asks for it waits until Open was
	// called with this sequence or a higher one.
	Apply(sequence uint64, changes []Change, pending bool)
	// Open shows all that is pending up to a sequence.
	Open(sequence uint64)
	// Snapshot begins to read the whole state, for a node that joins. Changes that are applied meanwhile may be in it or not.
	Snapshot() Snapshot
	// Reset forgets everything: the pieces of a snapshot, or Recover of the whole, will follow.
	Reset()
	// Load merges a piece of a snapshot.
	Load(piece []byte) error
	// Joined says that the node takes part from now on and may have missed anything before: caches of what the store says
	// (keys) are dropped, and a look-up that began earlier must not fill them when it comes back.
	Joined()
	// Recover makes this node the one that writes to the store, in the given term: what earlier terms write is refused from now
	// on, then what they wrote is read. If whole the state was Reset and is loaded from the store; otherwise it is
	// complete but for what the last leader may have written without telling everybody, and that is returned, to be applied
	// by all; pending changes that the state itself has are to be among it. It is called by a goroutine of its own and
	// again after an error; the context ends when the node leads no more.
	Recover(ctx context.Context, term uint64, whole bool) ([]Change, error)
	// Serving says that the node may serve from now on, or that it may not any more: who waits for a change is told.
	// It is a notice; what counts is Node.MayServe.
	Serving(may bool)
}

// Snapshot is a state that is being read.
type Snapshot interface {
	// Next returns the next piece, at most about MaxPiece long, and whether more follow.
	Next() (piece []byte, more bool, err error)
	// Close ends the reading, at its end or earlier.
	Close()
}

// MaxPiece is how long a piece of a snapshot should be at most, in bytes.
const MaxPiece = 256 << 10

var (
	// ErrNotLeader says that this node commits nothing now: another one leads, or nobody does yet.
	ErrNotLeader = errors.New("this node does not lead")
	// ErrUncertain says that it is not known whether a change was committed: what it is about may be shown later.
	ErrUncertain = errors.New("the node lost the lead before the change was committed")
	// ErrBusy says that too many changes wait to be committed.
	ErrBusy = errors.New("too many changes wait to be committed")
)
