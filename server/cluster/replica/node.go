package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Options say what a node is and what it works with.
type Options struct {
	Self     Member // its ID, Incarnation (another number for every process) and Addr
	Cluster  string // the fingerprint of what all nodes share
	Network  Network
	Register Register
	State    State
	Clock    Clock        // nil means Monotonic()
	Timing   Timing       // the zero value means DefaultTiming()
	Log      *slog.Logger // nil for nowhere
}

// Node is one process's part in the protocol: a core, and one goroutine that gives it its events, one after the other, and
// carries out what comes of them. It is safe for concurrent use.
type Node struct {
	options Options
	core    *core // the loop's
	clock   Clock
	log     *slog.Logger

	messages chan received // from peers; what finds no room is lost, as on a network
	local    chan event    // from the goroutines below and from callers, who wait for room
	stop     context.CancelFunc
	stopped  <-chan struct{}
	tasks    sync.WaitGroup // the loop and the calls that it has under way

	serveUntil atomic.Int64
	generation atomic.Uint64 // of the state: a Reset begins the next one
	commit     atomic.Pointer[commitRight]
	status     atomic.Pointer[Status]
	changed    changes
	gone       chan struct{} // closed when the node has left and the others know

	proposals map[uint64]chan<- error // by number; the loop's
	proposed  uint64
	recovery  recovery
	notes     []Note
	removals  removals
}

// commitRight is in which term the node may commit, and until when.
type commitRight struct {
	term  uint64
	until Instant
}

// submitted is a proposal on its way to the core.
type submitted struct {
	term    uint64
	changes []Change
	reply   chan<- error
}

const (
	// maxMessages is how many messages of peers wait for the loop at most.
	maxMessages = 256
	// maxNotes is how many transitions a node remembers.
	maxNotes = 32
)

// Start starts a node: it joins whoever leads, or leads if nobody does. The caller passes it what peers send (Receive), and
// ends it with Close.
func Start(options Options) *Node {
	if options.Clock == nil {
		options.Clock = Monotonic()
	}
	if options.Timing == (Timing{}) {
		options.Timing = DefaultTiming()
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(context.Background())
	n := &Node{options: options, clock: options.Clock, log: options.Log, messages: make(chan received, maxMessages), local: make(chan event),
		stop: stop, stopped: ctx.Done(), gone: make(chan struct{}), proposals: map[uint64]chan<- error{}}
	n.core = newCore(options.Self, options.Cluster, options.Timing, &emptied{options.State, &n.generation}, rand.New(rand.NewPCG(rand.Uint64(), options.Self.Incarnation)), n.clock.Now())
	n.commit.Store(&commitRight{})
	n.publish()
	n.tasks.Go(func() { n.loop(ctx) })
	return n
}

// Close ends the node as it is; peers find out by its silence, unless it has left before. It returns when nothing of it
// runs any more.
func (n *Node) Close() {
	n.stop()
	n.tasks.Wait()
}

// MayServe says whether the node may serve now what its state shows, except for what is pending there. It is
// asked before the state is looked at, for every request: what is looked at afterwards, however late, is new enough,
// unless the state was emptied in between, which Generation tells.
func (n *Node) MayServe() bool { return int64(n.clock.Now()) < n.serveUntil.Load() }

// Generation is another number as soon as the state is emptied. Who serves from the state reads it before MayServe, and again
// after the state; if it has changed there is no answer.
func (n *Node) Generation() uint64 { return n.generation.Load() }

// emptied is a state that numbers its generations.
type emptied struct {
	State
	generation *atomic.Uint64
}

// Reset begins the next generation before the state is emptied.
func (e *emptied) Reset() {
	e.generation.Add(1)
	e.State.Reset()
}

// Lead returns the term in which this node may commit now, and ErrNotLeader if it may not. It is asked before anything is
// written to the store; the term says through which door.
func (n *Node) Lead() (term uint64, err error) {
	if right := n.commit.Load(); n.clock.Now() < right.until {
		return right.term, nil
	}
	return 0, ErrNotLeader
}

// Propose commits changes that were written to the store in a term: it returns nil when every node that may serve has
// them, and this one shows them; then they may be acknowledged. After an error they may be shown later, or not.
// The changes' bytes must not be altered before State.Apply has had them, even when the context ends before.
func (n *Node) Propose(ctx context.Context, term uint64, changes ...Change) error {
	reply := make(chan error, 1)
	if err := n.submit(ctx, submitted{term, changes, reply}); err != nil {
		return err
	}
	select {
	case err := <-reply:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUncertain, context.Cause(ctx))
	}
}

// Receive takes a frame that a peer sent. It does not block. The frame is the node's from then on. After an error, which says
// in a sentence what is wrong with the peer, the connection to it is of no use.
func (n *Node) Receive(frame []byte) error {
	from, m, err := decode(frame)
	if err != nil {
		return err
	}
	select {
	case n.messages <- received{from, m}:
	default:
	}
	return nil
}

// Leave takes the node out of its view: a leader finishes what it has under way and leaves the lead to a follower. It
// returns when the others have gone on without it, or when the context ends. The node does not come back; Close ends it.
func (n *Node) Leave(ctx context.Context) error {
	if err := n.submit(ctx, leaveAsked{}); err != nil {
		return err
	}
	select {
	case <-n.gone:
		return nil
	case <-n.stopped:
		return errClosed
	case <-ctx.Done():
		return fmt.Errorf("leave the other nodes: %w", context.Cause(ctx))
	}
}

// StepDown leaves the lead of a term to a follower, or where there is none to this node anew: what is wrong with the term, which why says, is not
// with the next one. It does nothing where the node leads in that term no more.
func (n *Node) StepDown(ctx context.Context, term uint64, why string) error {
	return n.submit(ctx, stepDownAsked{term, why})
}

// Warn says something of the node that somebody must do something about, in the log and where its transitions are said.
func (n *Node) Warn(ctx context.Context, text string) error { return n.submit(ctx, warned{text}) }

var errClosed = errors.New("the node is closed")

// submit brings an event to the loop.
func (n *Node) submit(ctx context.Context, e event) error {
	select {
	case n.local <- e:
		return nil
	case <-n.stopped:
		return errClosed
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrBusy, context.Cause(ctx))
	}
}

// loop is the goroutine that owns the core. The clock is read after an event was taken, never before.
func (n *Node) loop(ctx context.Context) {
	ticker := time.NewTicker(n.options.Timing.Beat / 2)
	defer ticker.Stop()
	defer n.end()
	for {
		var e event
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			e = tick{}
		case e = <-n.local:
		case m := <-n.messages:
			e = m
		}
		n.step(ctx, e)
	}
}

// step gives the core an event, publishes what it may do from now on, and carries out the effects.
func (n *Node) step(ctx context.Context, e event) {
	if s, is := e.(submitted); is {
		n.proposed++
		n.proposals[n.proposed] = s.reply
		e = proposed{n.proposed, s.term, s.changes}
	}
	effects := n.core.step(n.clock.Now(), e)
	n.publishRights()
	for _, e := range effects {
		n.carryOut(ctx, e)
	}
	if _, is := e.(tick); is || n.changed.pending {
		n.publish()
	}
	if o := n.core.out; o != nil && o.leaving && o.gone {
		select {
		case <-n.gone:
		default:
			close(n.gone)
		}
	}
}

// end leaves nothing behind: nobody serves, nobody waits.
func (n *Node) end() {
	n.serveUntil.Store(0)
	n.commit.Store(&commitRight{})
	for id, reply := range n.proposals {
		reply <- ErrUncertain
		delete(n.proposals, id)
	}
	n.recovery.end()
	n.changed.tell()
}
