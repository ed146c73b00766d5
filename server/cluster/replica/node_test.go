package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// office is a register and a network in memory, and the nodes on it.
type office struct {
	mu    sync.Mutex
	seen  Seen
	nodes map[string]*Node
	cut   map[string]bool
	twice bool           // what is sent comes twice
	sent  map[string]int // to whom, how often

	started uint64
}

func (o *office) Look(context.Context) (Seen, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.seen, nil
}

func (o *office) Swap(_ context.Context, old uint64, next View) (View, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seen.View.Epoch == old {
		o.seen.View = next
	}
	return o.seen.View, nil
}

func (o *office) Beat(context.Context, uint64) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen.Beat++
	return nil
}

func (o *office) node(id string) *Node {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.nodes[id]
}

func (o *office) Send(to Member, frame []byte) {
	o.mu.Lock()
	n, cut, twice := o.nodes[to.ID], o.cut[to.ID], o.twice
	o.sent[to.ID]++
	o.mu.Unlock()
	if n != nil && !cut {
		_ = n.Receive(frame)
		if twice {
			_ = n.Receive(frame)
		}
	}
}

func (o *office) Format(Member) byte { return Format }

// list is a State: a set of texts.
type list struct {
	mu    sync.Mutex
	texts map[string]uint64 // and with which sequence each is pending, or 0
	store *sync.Map
}

func (l *list) Apply(sequence uint64, changes []Change, pending bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !pending {
		sequence = 0
	}
	for _, c := range changes {
		l.texts[string(c.Data)] = sequence
	}
}

func (l *list) Open(sequence uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for text, pending := range l.texts {
		if pending <= sequence {
			l.texts[text] = 0
		}
	}
}

// shows says whether a text is there and not pending.
func (l *list) shows(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	pending, is := l.texts[text]
	return is && pending == 0
}

func (l *list) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.texts = map[string]uint64{}
}

func (l *list) Snapshot() Snapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &texts{}
	for text := range l.texts {
		s.left = append(s.left, text)
	}
	return s
}

type texts struct{ left []string }

func (t *texts) Next() ([]byte, bool, error) {
	if len(t.left) == 0 {
		return nil, false, nil
	}
	first := t.left[0]
	t.left = t.left[1:]
	return []byte(first), true, nil
}

func (t *texts) Close() {}

func (l *list) Load(piece []byte) error {
	if len(piece) > 0 {
		l.Apply(0, []Change{{Data: piece}}, false)
	}
	return nil
}

func (l *list) Joined()      {}
func (l *list) Serving(bool) {}

func (l *list) Recover(_ context.Context, _ uint64, whole bool) ([]Change, error) {
	var changes []Change
	l.store.Range(func(text, _ any) bool {
		changes = append(changes, Change{Data: []byte(text.(string))})
		return true
	})
	if whole {
		l.Apply(0, changes, false)
		return nil, nil
	}
	return changes, nil
}

// open starts nodes a, b, c and so on, and waits until all serve.
func open(t *testing.T, count int) (*office, map[string]*list) {
	o, lists, store := &office{nodes: map[string]*Node{}, cut: map[string]bool{}, sent: map[string]int{}}, map[string]*list{}, &sync.Map{}
	for i := range count {
		o.join(t, string(rune('a'+i)), lists, store)
	}
	return o, lists
}

// join starts a node, of which there may have been an earlier process, and waits until it serves.
func (o *office) join(t *testing.T, id string, lists map[string]*list, store *sync.Map) {
	t.Helper()
	lists[id] = &list{texts: map[string]uint64{}, store: store}
	o.mu.Lock()
	o.started++
	self := Member{ID: id, Incarnation: o.started, Addr: id}
	o.mu.Unlock()
	n := Start(Options{Self: self, Cluster: "key", Network: o, Register: o, State: lists[id]})
	t.Cleanup(n.Close)
	o.mu.Lock()
	o.nodes[id] = n
	o.mu.Unlock()
	until(t, n, "serves", n.MayServe)
}

// until waits for a node to change until something is so.
func until(t *testing.T, n *Node, what string, is func() bool) {
	t.Helper()
	for began := time.Now(); !is(); {
		if time.Since(began) > 2*time.Minute {
			t.Fatalf("never: %s %s; %+v", n.Status().Self.ID, what, n.Status())
		}
		select {
		case <-n.Changed():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// commit commits a text by whoever leads.
func (o *office) commit(t *testing.T, text string, store *sync.Map) {
	t.Helper()
	for began := time.Now(); time.Since(began) < 2*time.Minute; time.Sleep(10 * time.Millisecond) {
		for _, id := range []string{"a", "b", "c"} {
			n := o.node(id)
			if n == nil {
				continue
			}
			term, err := n.Lead()
			if err != nil {
				continue
			}
			store.Store(text, true)
			if err := n.Propose(t.Context(), term, Change{Data: []byte(text)}); err == nil {
				return
			}
		}
	}
	t.Fatalf("%s was never committed", text)
}

func TestWhatIsCommittedIsShownByEveryNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o, lists := open(t, 3)
		for i := range 20 {
			text := fmt.Sprint("text ", i)
			o.commit(t, text, lists["a"].store)
			for id, l := range lists {
				until(t, o.node(id), "shows "+text, func() bool { return l.shows(text) })
			}
		}
		if v := o.node("c").Status().View; v.Epoch != 3 || v.Leader != "a" || len(v.Members) != 3 {
			t.Errorf("the view is %+v", v)
		}
	})
}

// TestANodeComesBackThoughWhatItSaysComesTwice: each of two messages that ask for a snapshot must not begin another one for ever.
func TestANodeComesBackThoughWhatItSaysComesTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o, lists := open(t, 3)
		store := lists["a"].store
		for i := range 40 { // each is a piece
			o.commit(t, fmt.Sprint("text ", i), store)
		}
		o.node("c").Close()
		o.mu.Lock()
		o.twice = true
		o.mu.Unlock()
		o.join(t, "c", lists, store)
		if !lists["c"].shows("text 39") {
			t.Error("what was committed is not there")
		}
	})
}

func TestWhenTheLeaderDiesAnotherTakesOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o, lists := open(t, 3)
		o.commit(t, "before", lists["a"].store)
		died := time.Now()
		o.node("a").Close()
		if o.node("a").MayServe() {
			t.Error("a closed node serves")
		}
		o.commit(t, "after", lists["b"].store)
		t.Logf("committed again after %s", time.Since(died))
		for _, id := range []string{"b", "c"} {
			if l := lists[id]; !l.shows("before") {
				t.Errorf("%s does not show what was committed", id)
			}
			until(t, o.node(id), "shows it", func() bool { return lists[id].shows("after") })
			wantRemoved(t, o.node(id), "a: a was silent and b took over")
		}
		if err := o.node("a").Propose(t.Context(), 1, Change{}); err == nil {
			t.Error("a closed node commits")
		}
	})
}

func TestWhatIsRecoveredMayBeMuch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o, lists := open(t, 3)
		for i := range 30 {
			lists["a"].store.Store(fmt.Sprint(i)+strings.Repeat("x", maxPut/10), true)
		}
		o.node("a").Close()
		o.commit(t, "after", lists["b"].store)
		for i := range 30 {
			for _, id := range []string{"b", "c"} {
				if text := fmt.Sprint(i) + strings.Repeat("x", maxPut/10); !lists[id].shows(text) {
					t.Errorf("%s does not show text %d, which the store has", id, i)
				}
			}
		}
	})
}

func TestWhoLeavesIsMissedByNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o, lists := open(t, 3)
		for _, id := range []string{"c", "a"} { // a follower, then the leader
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			began := time.Now()
			if err := o.node(id).Leave(ctx); err != nil {
				t.Fatalf("%s: %v", id, err)
			}
			cancel()
			o.node(id).Close()
			if !o.node("b").MayServe() {
				t.Errorf("b does not serve when %s has left", id)
			}
			o.commit(t, "without "+id, lists["b"].store)
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("it took %s to commit after %s was asked to leave", took, id)
			}
		}
		wantRemoved(t, o.node("b"), "c: c left", "a: a left and b took over")
		o.join(t, "c", lists, lists["b"].store)
		wantRemoved(t, o.node("b"), "a: a left and b took over")
		wantRemoved(t, o.node("c"))
		if err := o.node("c").Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := o.node("b").Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		if v := o.seen.View; len(v.Members) != 0 {
			t.Errorf("the last one left %+v", v)
		}
	})
}

// wantRemoved holds whom a node remembers as removed, and why, against what is wanted.
func wantRemoved(t *testing.T, n *Node, want ...string) {
	t.Helper()
	var got []string
	for _, r := range n.Status().Removed {
		got = append(got, r.ID+": "+r.Why)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s remembers as removed %q, want %q", n.Status().Self.ID, got, want)
	}
}

func TestAFollowerDoesNotCommit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o, _ := open(t, 2)
		if _, err := o.node("b").Lead(); !errors.Is(err, ErrNotLeader) {
			t.Errorf("it may lead: %v", err)
		}
		if err := o.node("b").Propose(t.Context(), 1, Change{}); !errors.Is(err, ErrNotLeader) {
			t.Errorf("it may propose: %v", err)
		}
	})
}

func TestOfTwoDirectoriesThatAreCopiesOneServes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o, lists := open(t, 1)
		copied := Start(Options{Self: Member{ID: "a", Incarnation: 9, Addr: "elsewhere"}, Cluster: "key", Network: o, Register: o,
			State: &list{texts: map[string]uint64{}, store: lists["a"].store}})
		t.Cleanup(copied.Close)
		until(t, copied, "says what is wrong", func() bool { return len(copied.Status().Notes) > 0 })
		if copied.MayServe() || !o.node("a").MayServe() {
			t.Errorf("the copy serves: %v, the first: %v; %+v", copied.MayServe(), o.node("a").MayServe(), copied.Status().Notes)
		}
	})
}

func TestANodeWithAnotherKeyTakesNoPart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o, lists := open(t, 1)
		var log bytes.Buffer
		other := Start(Options{Self: Member{ID: "b", Incarnation: 9, Addr: "b"}, Cluster: "another key", Network: o, Register: o, State: lists["a"],
			Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))})
		t.Cleanup(other.Close)
		until(t, other, "says what is wrong", func() bool { return len(other.Status().Notes) > 0 })
		time.Sleep(time.Minute)
		if other.MayServe() || o.seen.View.Epoch != 1 {
			t.Errorf("it takes part in %+v", o.seen.View)
		}
		other.Close()
		if !strings.Contains(log.String(), "all nodes of a cluster share the issuer's key file") {
			t.Errorf("who reads warnings only is told %q", log.String())
		}
		if o.sent["a"] != 1 || !o.node("a").MayServe() {
			t.Errorf("the leader, which may serve: %t, was sent %d messages by which it finds out who is there, want one", o.node("a").MayServe(), o.sent["a"])
		}
	})
}
