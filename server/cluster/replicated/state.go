package replicated

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lastseen/ingest"
	"lastseen/ingest/registry"
	"lastseen/keys/apikey"
	"lastseen/keys/people"
	"lastseen/query/latest"
	"lastseen/query/sessions"
	"lastseen/schema"
	"lastseen/server/cluster"
	"lastseen/server/cluster/replica"
)

// Parts are where a node has what all have. They are complete when the node begins.
type Parts struct {
	DB       *schema.DB
	LastSeen *latest.Table
	Index    *sessions.Index
	Registry *registry.Registry
	// Authenticator's records of keys are dropped when notices may have been missed.
	Authenticator *apikey.Authenticator
	SignIn        *people.SignIn
	Writer        *ingest.Writer
	// Placed fails with ErrMoved where the nodes of the database have their register elsewhere by now.
	Placed func(context.Context) error
	// Told is told which points are stored; nil for nobody.
	Told Told
	Log  *slog.Logger
}

// Told takes up what is stored, and knows some points and revocations that it was told of last: who joins is told of these, so that it misses
// them too where ClickHouse has lost them. It is safe for concurrent use.
type Told interface {
	Points(points []schema.OwnedPoint)
	Told() []schema.Witness
}

// Node is the part of a replica.Node that a State asks.
type Node interface {
	MayServe() bool
	Generation() uint64
	Lead() (term uint64, err error)
	Propose(ctx context.Context, term uint64, changes ...replica.Change) error
	StepDown(ctx context.Context, term uint64, why string) error
	Leave(ctx context.Context) error
	Warn(ctx context.Context, text string) error
}

// State is what all nodes have in common, as this one has it. It is a replica.State, and safe for concurrent use.
type State struct {
	parts Parts
	keys  apikey.LocalChannel // to the caches of this process
	node  Node

	received atomic.Int64 // through when the feed is settled, as this node knows
	told     atomic.Int64 // and as all know
	marked   atomic.Uint64
	lastSeen atomic.Int64 // the newest time of receipt of a point that was shared

	waiting atomic.Int32 // groups that are pending
	mu      sync.RWMutex
	pending []group
	touched map[schema.ID]int // by session, in how many groups that are pending
	opened  chan struct{}     // closed when something is opened

	listing sync.WaitGroup // of what there is, for nodes that join
}

// group is what one PUT brought and is pending.
type group struct {
	sequence uint64
	changes  []change
	raw      []replica.Change
}

// New returns a State of nothing. What it is made of works with some of it already; Build and Begin come before anything else.
func New() *State {
	return &State{touched: map[schema.ID]int{}, opened: make(chan struct{})}
}

// Build makes the parts known.
func (s *State) Build(parts Parts) { s.parts = parts }

// Begin makes the node known, before anything is asked or shared.
func (s *State) Begin(node Node) { s.node = node }

// Apply implements replica.State.
func (s *State) Apply(sequence uint64, changes []replica.Change, pending bool) {
	if !pending {
		s.Open(sequence)
	}
	g := group{sequence: sequence}
	for _, raw := range changes {
		c, err := readChange(raw)
		if err != nil {
			s.parts.Log.Error("a change of another node is passed over", "error", err)
			continue
		}
		if pending && c.waits() {
			g.changes = append(g.changes, c)
			g.raw = append(g.raw, replica.Change{Kind: raw.Kind, Data: slices.Clone(raw.Data)})
		} else {
			s.merge(&c)
		}
	}
	if len(g.changes) > 0 {
		s.keep(g)
	}
}

// keep makes a group pending.
func (s *State) keep(g group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range g.changes {
		g.changes[i].touches(func(id schema.ID) { s.touched[id]++ })
	}
	s.pending = append(s.pending, g)
	s.waiting.Store(int32(len(s.pending)))
}

// Open implements replica.State. What is opened is merged before anybody is let in who asks for it.
func (s *State) Open(sequence uint64) {
	if s.waiting.Load() == 0 {
		return
	}
	n := 0
	for ; n < len(s.pending) && s.pending[n].sequence <= sequence; n++ { // which nobody else changes
		g := &s.pending[n]
		for i := range g.changes {
			s.merge(&g.changes[i])
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(n)
}

// drop forgets the first groups that are pending. The caller holds mu.
func (s *State) drop(n int) {
	if n == 0 {
		return
	}
	for _, g := range s.pending[:n] {
		for i := range g.changes {
			g.changes[i].touches(func(id schema.ID) {
				if s.touched[id]--; s.touched[id] == 0 {
					delete(s.touched, id)
				}
			})
		}
	}
	s.pending = slices.Delete(s.pending, 0, n)
	s.waiting.Store(int32(len(s.pending)))
	close(s.opened)
	s.opened = make(chan struct{})
}

// merge shows a change.
func (s *State) merge(c *change) {
	switch c.kind {
	case kindPoints:
		s.mergePoints(c)
	case kindCheckpoints:
		s.marked.Add(1)
		s.parts.LastSeen.Merge(c.checkpoints)
	case kindSession:
		s.parts.Registry.AdoptSession(c.session)
	case kindDevice:
		s.parts.Registry.AdoptDevice(c.device)
	case kindKey:
		if err := s.keys.Publish(context.Background(), c.key); err != nil {
			s.parts.Log.Error("a notice about a key is not applied", "error", err)
		}
	case kindSpent:
		s.parts.SignIn.AdoptSpent(c.spent)
	}
}

func (s *State) mergePoints(c *change) {
	newest := int64(0)
	for i := range c.points {
		newest = max(newest, c.points[i].ReceivedAt)
		if c.points[i].Version > 0 {
			s.marked.Add(1) // or was replaced: who reads the history by its order looks again
		}
	}
	if s.parts.Told != nil {
		s.parts.Told.Points(c.points)
	}
	_ = s.parts.LastSeen.Publish(c.points)
	raise(&s.lastSeen, newest)
	raise(&s.received, c.received)
	raise(&s.told, c.received)
}

// raise sets a number unless it is higher.
func raise(number *atomic.Int64, to int64) {
	for {
		before := number.Load()
		if to <= before || number.CompareAndSwap(before, to) {
			return
		}
	}
}

// Reset implements replica.State. What is not pending was committed, and stays: the pieces of a snapshot say what is newer.
func (s *State) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(len(s.pending))
}

// Joined implements replica.State.
func (s *State) Joined() { s.parts.Authenticator.Forget() }

// Serving implements replica.State.
func (s *State) Serving(bool) { s.parts.LastSeen.WakeAll() }

// longestWait is how long a request waits for what is pending.
const longestWait = time.Second

// Own implements cluster.Owner.
func (s *State) Own(session schema.ID) error {
	generation := s.node.Generation()
	if !s.node.MayServe() {
		return cluster.ErrNoRight
	}
	if s.isPending(session) {
		return cluster.ErrPending
	}
	return s.still(generation)
}

// isPending reports whether something of a session is pending.
func (s *State) isPending(session schema.ID) bool {
	if s.waiting.Load() == 0 {
		return false
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.touched[session] > 0
}

// still fails when the state was emptied since a generation: then what is pending no more may have been dropped, not opened.
func (s *State) still(generation uint64) error {
	if s.node.Generation() != generation {
		return cluster.ErrNoRight
	}
	return nil
}

// Enter returns nil when what the node shows from then on has everything that was acknowledged before the call. It fails with
// cluster.ErrNoRight, and with cluster.ErrPending after a second.
func (s *State) Enter(ctx context.Context) error {
	generation := s.node.Generation()
	if !s.node.MayServe() {
		return cluster.ErrNoRight
	}
	if s.waiting.Load() > 0 {
		if err := s.await(ctx); err != nil {
			return err
		}
	}
	return s.still(generation)
}

// await waits until all that is pending at the call is opened.
func (s *State) await(ctx context.Context) error {
	late := time.NewTimer(longestWait)
	defer late.Stop()
	through := uint64(0)
	for first := true; ; first = false {
		s.mu.RLock()
		opened, done := s.opened, len(s.pending) == 0
		if !done && first {
			through = s.pending[len(s.pending)-1].sequence
		}
		done = done || s.pending[0].sequence > through
		s.mu.RUnlock()
		if done {
			return nil
		}
		select {
		case <-opened:
		case <-late.C:
			return cluster.ErrPending
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// ReceivedThrough is ingest.Writer's, of whichever node writes.
func (s *State) ReceivedThrough() int64 {
	if _, err := s.node.Lead(); err == nil {
		raise(&s.received, s.parts.Writer.ReceivedThrough())
	}
	return s.received.Load()
}

// Marked is ingest.Writer's, of whichever node writes.
func (s *State) Marked() uint64 { return s.marked.Load() + s.parts.Writer.Marked() }
