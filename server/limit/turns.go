package limit

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// aroundTurn is what reading a request and sending its answer take beside the work.
	aroundTurn = 150 * time.Microsecond
	// turnTick is how often turns begin. Those of one tick begin together, and the processors are free until the next one: turns
	// that were spread evenly would be in the way of nearly every request of others, though of each for a moment only.
	turnTick = 10 * time.Millisecond
	// turnLook is how often it is looked who has requests, and fewOthers below how many requests of others in that time
	// there is nobody to be kept waiting.
	turnLook  = 100 * time.Millisecond
	fewOthers = 5
	// othersGone is for how long there must have been so few: whoever is held up by an owner's work sends no request meanwhile, and
	// is not to make room for more of it by that.
	othersGone = time.Second
	// turnDebt is how far an owner may be ahead of its share: what comes now and then is not to wait for what came before.
	turnDebt = 20 * time.Millisecond
)

// Turns keep short work that an owner asks for over many connections at once from taking the processors away from the
// requests of others: while there are any, its pieces of work begin as its share allows, some at each tick, and
// those that come sooner wait for their turns, in the order in which they came. Who asks for one piece at a time, now and
// then, never waits. It is safe for concurrent use.
type Turns struct {
	begun *atomic.Uint64
	share time.Duration // of the processors' time that an owner may have: one in so many
	epoch time.Time     // of the ticks

	mu     sync.Mutex
	looked time.Time
	seen   uint64 // requests that had begun then
	came   uint64 // between the last two looks
	owners map[string]*turner
}

// turner is an owner that has had turns lately.
type turner struct {
	free          time.Time     // when its share is worth what it had
	cost          time.Duration // of its work lately
	asked, before uint64        // its requests since the last look, and between the two before it
	beside        time.Time     // when others were last seen
}

// NewTurns makes turns that give an owner one part of so many of the processors' time while others have requests; begun counts all
// requests that have begun.
func NewTurns(begun *atomic.Uint64, share int) *Turns {
	return &Turns{begun: begun, share: time.Duration(share), epoch: time.Now(), owners: make(map[string]*turner)}
}

// Ask notes that an owner has a request for which it will take a turn, now or later.
func (t *Turns) Ask(owner string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.look(now)
	t.of(owner).asked++
}

// of returns what is known of an owner. The caller holds the lock.
func (t *Turns) of(owner string) *turner {
	o := t.owners[owner]
	if o == nil {
		o = new(turner)
		if t.came >= fewOthers { // perhaps its own: the next look tells
			o.beside = t.looked.Add(2*turnLook - othersGone)
		}
		t.owners[owner] = o
	}
	return o
}

// Take gives an owner its next turn and returns how long it waits for it. It fails with ErrShare, and gives none, when that
// is longer than a time.
func (t *Turns) Take(owner string, now time.Time, patience time.Duration) (wait time.Duration, _ error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.look(now)
	o := t.of(owner)
	if o.free.Before(now) || now.Sub(o.beside) > othersGone {
		o.free = now
	}
	if o.free.Sub(now) > turnDebt {
		wait = t.tickAfter(o.free.Add(-turnDebt)).Sub(now)
	}
	if wait > patience {
		return 0, ErrShare
	}
	o.free = o.free.Add(t.worth(o.cost))
	return wait, nil
}

// tickAfter returns when the first turns begin at a time or after it.
func (t *Turns) tickAfter(at time.Time) time.Time {
	if past := at.Sub(t.epoch) % turnTick; past > 0 {
		return at.Add(turnTick - past)
	}
	return at
}

// Spent notes work of an owner that waited for no turn, and how long it took: its next turns come later by that, up to a time from now.
func (t *Turns) Spent(owner string, now time.Time, took, most time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.look(now)
	o := t.of(owner)
	o.asked++
	if o.free.Before(now) {
		o.free = now
	}
	if free := o.free.Add(t.worth(took)); free.Sub(now) <= most {
		o.free = free
	}
}

// worth returns how long an owner's share is worth what took some time.
func (t *Turns) worth(took time.Duration) time.Duration {
	return (took + aroundTurn) * t.share / time.Duration(runtime.GOMAXPROCS(0))
}

// Took notes how long a piece of an owner's work has taken, by which its next turns are counted.
func (t *Turns) Took(owner string, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if o := t.owners[owner]; o != nil {
		o.cost += (took - o.cost) / 8
	}
}

// look counts the requests that have begun now and then, and forgets who has had no turn meanwhile. The caller holds the
// lock.
func (t *Turns) look(now time.Time) {
	if now.Sub(t.looked) < turnLook {
		return
	}
	begun := t.begun.Load()
	t.came, t.seen, t.looked = begun-t.seen, begun, now
	for name, o := range t.owners {
		if o.asked+o.before == 0 && o.free.Before(now) {
			delete(t.owners, name)
			continue
		}
		if t.came >= o.asked+fewOthers {
			o.beside = now
		}
		o.asked, o.before = 0, o.asked
	}
}
