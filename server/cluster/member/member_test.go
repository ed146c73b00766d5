package member_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"lastseen/schema"
	"lastseen/schema/clickhousetest"
	"lastseen/schema/register"
	"lastseen/schema/schematest"
	"lastseen/server/cluster/member"
	"lastseen/server/cluster/peer"
	"lastseen/server/cluster/replica"
)

func TestMain(m *testing.M) { schematest.Main(m) }

// store is what nodes write to: the newest number of each name, through the door of the newest term only.
type store struct {
	mu      sync.Mutex
	term    uint64
	numbers map[string]uint64
}

var errDoor = errors.New("the door is closed")

func (s *store) write(term uint64, name string, number uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if term < s.term {
		return errDoor
	}
	s.numbers[name] = max(s.numbers[name], number)
	return nil
}

func (s *store) begin(term uint64) map[string]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.term = max(s.term, term)
	return maps.Clone(s.numbers)
}

// numbers is a replica.State: the newest number of each name.
type numbers struct {
	store   *store
	mu      sync.Mutex
	newest  map[string]uint64
	pending map[string]uint64 // by name, the sequence
}

func change(name string, number uint64) replica.Change {
	return replica.Change{Kind: 1, Data: append(binary.BigEndian.AppendUint64(nil, number), name...)}
}

func (n *numbers) Apply(sequence uint64, changes []replica.Change, pending bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range changes {
		name := string(c.Data[8:])
		n.newest[name] = max(n.newest[name], binary.BigEndian.Uint64(c.Data))
		if delete(n.pending, name); pending {
			n.pending[name] = sequence
		}
	}
}

func (n *numbers) Open(sequence uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	maps.DeleteFunc(n.pending, func(_ string, at uint64) bool { return at <= sequence })
}

func (n *numbers) Snapshot() replica.Snapshot { return &pieces{n} }

func (n *numbers) Reset() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.newest, n.pending = map[string]uint64{}, map[string]uint64{}
}

func (n *numbers) Load(piece []byte) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for len(piece) > 0 {
		length := piece[8]
		name := string(piece[9 : 9+length])
		n.newest[name] = max(n.newest[name], binary.BigEndian.Uint64(piece))
		piece = piece[9+length:]
	}
	return nil
}

func (n *numbers) Joined()      {}
func (n *numbers) Serving(bool) {}

func (n *numbers) Recover(_ context.Context, term uint64, _ bool) ([]replica.Change, error) {
	var changes []replica.Change
	for name, number := range n.store.begin(term) {
		changes = append(changes, change(name, number))
	}
	return changes, nil
}

// read returns what the node shows of a name, and false while it may not.
func (n *numbers) read(node *member.Member, name string) (uint64, bool) {
	if !node.MayServe() {
		return 0, false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	_, pending := n.pending[name]
	return n.newest[name], !pending
}

// pieces is the whole state in one piece.
type pieces struct{ of *numbers }

func (p *pieces) Next() ([]byte, bool, error) {
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	var piece []byte
	for name, number := range p.of.newest {
		piece = append(append(binary.BigEndian.AppendUint64(piece, number), byte(len(name))), name...)
	}
	return piece, false, nil
}

func (p *pieces) Close() {}

// fleet are nodes of one service.
type fleet struct {
	t     *testing.T
	store *store
	open  func() register.Register
}

// node is a member with its state.
type node struct {
	*member.Member
	state *numbers
}

func (f *fleet) start(id string) *node {
	f.t.Helper()
	key := sha256.Sum256([]byte("issuer"))
	identity, err := peer.NewIdentity(key[:])
	if err != nil {
		f.t.Fatal(err)
	}
	n := &node{state: &numbers{store: f.store}}
	n.state.Reset()
	n.Member, err = member.Join(f.t.Context(), member.Config{
		Incarnation: rand.Uint64(), ID: id, Listen: "127.0.0.1:0", Identity: identity, Register: f.open(), Store: "store", Build: "test", State: n.state,
		Log: slog.New(slog.NewTextHandler(f.t.Output(), nil)).With("node", id),
	})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(n.kill)
	return n
}

// kill ends a node without a word to the others.
func (n *node) kill() { _ = n.Close() }

// until polls for a condition.
func (f *fleet) until(what string, is func() bool) time.Duration {
	f.t.Helper()
	began, tick := time.Now(), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for !is() {
		if time.Since(began) > 40*time.Second {
			f.t.Fatalf("not after %s: %s", time.Since(began), what)
		}
		<-tick.C
	}
	return time.Since(began)
}

// write commits a number through whoever leads, as a service does, and says whether it was acknowledged.
func (f *fleet) write(nodes []*node, name string, number uint64) bool {
	for _, n := range nodes {
		term, err := n.Lead()
		if err != nil || f.store.write(term, name, number) != nil {
			continue
		}
		ctx, cancel := context.WithTimeout(f.t.Context(), 2*time.Second)
		defer cancel()
		return n.Propose(ctx, term, change(name, number)) == nil
	}
	return false
}

// acknowledged writes until that is, and then asks every node that may answer.
func (f *fleet) acknowledged(nodes []*node, name string, number uint64) time.Duration {
	f.t.Helper()
	took := f.until(fmt.Sprintf("%s = %d is acknowledged", name, number), func() bool { return f.write(nodes, name, number) })
	for _, n := range nodes {
		if got, may := n.state.read(n.Member, name); may && got < number {
			f.t.Errorf("after %s = %d was acknowledged, %s says %d", name, number, n.Status().Self.ID, got)
		}
	}
	return took
}

// serving waits until so many of the nodes may answer, as members of one view.
func (f *fleet) serving(nodes []*node, want int) time.Duration {
	f.t.Helper()
	return f.until(fmt.Sprintf("%d nodes serve", want), func() bool {
		serve := 0
		for _, n := range nodes {
			if n.MayServe() && len(n.Status().View.Members) == want {
				serve++
			}
		}
		return serve == want
	})
}

func (f *fleet) leader(nodes []*node) (leader int) {
	f.t.Helper()
	f.until("somebody leads", func() bool {
		for i, n := range nodes {
			if _, err := n.Lead(); err == nil {
				leader = i
				return true
			}
		}
		return false
	})
	return leader
}

func newFleet(t *testing.T, open func() register.Register) *fleet {
	return &fleet{t: t, store: &store{numbers: map[string]uint64{}}, open: open}
}

// inClickHouse opens registers in one ClickHouse.
func inClickHouse(t *testing.T) func() register.Register {
	db := schematest.Open(t)
	return func() register.Register { return openViews(t, db) }
}

func openViews(t *testing.T, db *schema.DB) register.Register {
	t.Helper()
	r, err := db.OpenViewRegister(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func TestNodesFindEachOtherThroughTheRegister(t *testing.T) {
	t.Parallel()
	if schematest.Layout() == schematest.Sharded {
		t.Skip("a cluster's register is its Keeper")
	}
	f := newFleet(t, inClickHouse(t))
	nodes := []*node{f.start("a"), f.start("b"), f.start("c")}
	f.serving(nodes, 3)
	for i := range uint64(20) {
		f.acknowledged(nodes, "n", i+1)
	}
	leader := f.leader(nodes)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := nodes[leader].Leave(ctx); err != nil {
		t.Fatal(err)
	}
	nodes[leader].kill()
	rest := append(nodes[:leader:leader], nodes[leader+1:]...)
	f.serving(rest, 2)
	f.acknowledged(rest, "n", 21)
}

// TestNodesSurviveEachOther kills and cuts off nodes, and measures how long the others take.
func TestNodesSurviveEachOther(t *testing.T) {
	t.Parallel()
	if os.Getenv("LASTSEEN_TEST_NODES") == "" {
		t.Skip("it takes a minute: make test-nodes")
	}
	t.Run("with a register in ClickHouse", func(t *testing.T) { survive(t, inClickHouse(t)) })
	t.Run("with a register in a Keeper", func(t *testing.T) {
		address := clickhousetest.StartKeeper(t).Address()
		survive(t, func() register.Register {
			k, err := register.OpenKeeper(t.Context(), []string{address}, "survive", slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = k.Close() })
			return k
		})
	})
}

func survive(t *testing.T, open func() register.Register) {
	f := newFleet(t, open)
	nodes := []*node{f.start("a"), f.start("b"), f.start("c")}
	f.serving(nodes, 3)
	f.acknowledged(nodes, "n", 1)
	number := uint64(1)
	for round := range 3 {
		leader := f.leader(nodes)
		dead := (leader + 1) % len(nodes) // a follower first, then leaders
		if round > 0 {
			dead = leader
		}
		id := nodes[dead].Status().Self.ID
		nodes[dead].kill()
		rest := append(nodes[:dead:dead], nodes[dead+1:]...)
		number++
		t.Logf("round %d: after %s (leader: %v) was killed the next acknowledgement takes %s", round, id, dead == leader, f.acknowledged(rest, "n", number))
		nodes = append(rest, f.start(id))
		t.Logf("round %d: it is back after %s", round, f.serving(nodes, 3))
		for range 10 {
			number++
			f.acknowledged(nodes, "n", number)
		}
	}
	// All at once: who comes first finds what was acknowledged in the store.
	for _, n := range nodes {
		n.kill()
	}
	nodes = []*node{f.start("a"), f.start("b")}
	t.Logf("after all were killed two are back after %s", f.serving(nodes, 2))
	f.acknowledged(nodes, "other", 1)
	for _, n := range nodes {
		if got, may := n.state.read(n.Member, "n"); may && got != number {
			t.Errorf("after all were killed %s says %d, and %d was acknowledged", n.Status().Self.ID, got, number)
		}
	}
}
