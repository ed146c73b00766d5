package replicated

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"lastseen/schema"
	"lastseen/server/cluster"
	"lastseen/server/cluster/replica"
)

// emptiedNode may serve, and counts how often its state was emptied, as replica.Node does.
type emptiedNode struct {
	Node
	generation atomic.Uint64
}

func (n *emptiedNode) MayServe() bool     { return true }
func (n *emptiedNode) Generation() uint64 { return n.generation.Load() }

// TestWhatIsDroppedIsNotTakenForOpened: a request waits for what is pending, and then the state is emptied under it.
func TestWhatIsDroppedIsNotTakenForOpened(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		end  func(*State, *emptiedNode)
		want error
	}{
		{"opened", func(s *State, _ *emptiedNode) { s.Open(1) }, nil},
		{"dropped", func(s *State, n *emptiedNode) { n.generation.Add(1); s.Reset() }, cluster.ErrNoRight},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				node, s := new(emptiedNode), New()
				s.Build(Parts{Log: slog.New(slog.DiscardHandler)})
				s.Begin(node)
				pending := group{sequence: 1, changes: []change{{kind: kindPoints, points: []schema.OwnedPoint{{}}}}}
				if tt.want == nil {
					pending.changes = nil // nothing to merge into
				}
				s.keep(pending)
				answer := make(chan error, 1)
				go func() { answer <- s.Enter(t.Context()) }()
				synctest.Wait() // it waits
				tt.end(s, node)
				if err := <-answer; !errors.Is(err, tt.want) {
					t.Errorf("Enter returns %v, want %v", err, tt.want)
				}
			})
		})
	}
}

var _ replica.State = (*State)(nil)
