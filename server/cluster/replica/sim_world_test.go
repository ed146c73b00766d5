package replica

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// world is a simulated cluster: machines with clocks of their own, a network, a register, a store, clients, and time that
// passes only from one event to the next. The same seed gives the same run. What it drives is the core that the service
// runs.
type world struct {
	now      time.Duration
	events   agenda
	random   *rand.Rand
	options  simulation
	machines []*machine
	network
	mended   bool          // nothing goes wrong any more but what every network does
	ends     time.Duration // when the run does
	register simulatedRegister
	store    simulatedStore
	promises promises
	did      statistics
	reigns   map[uint64]*reign // by term
	bad      string            // the first promise that was broken
	trace    func(format string, args ...any)
}

// simulation says what is simulated.
type simulation struct {
	seed    uint64
	nodes   int
	lasts   time.Duration
	faults  float64 // how dense faults are; 0 for none but those of a schedule
	broken  broken
	drift   float64 // by what part clocks are really off
	noDoor  bool    // the store takes what a deposed leader wrote
	dirty   bool    // look-ups that began before a node joined fill its caches
	keeps   bool    // State.Reset leaves what was committed
	unnamed bool    // a snapshot does not have what was revoked
	emptied bool    // polls do not notice that the state was emptied under them
	perfect bool    // no message is ever delayed for long, no answer lost, no row late
	twice   bool    // every message comes twice
	deposes bool    // leaders are asked to step down, instead of being stopped
	script  func(*world)
	// meddle may do with a message what the network would not, and then returns true.
	meddle func(w *world, from, to *machine, m message, l letter) bool
	// mute says that what the register answers a machine is lost.
	mute func(m *machine) bool
	// linger is how long a poll waits for a processor between the check of its right and the look at the state.
	linger func(m *machine) time.Duration
	// late is how much later than usual a write lands.
	late   func(facts []fact) time.Duration
	timing Timing // the zero value means simulatedTiming()
	trace  bool
}

const (
	theRegister = -1
	theStore    = -2
)

const (
	simulatedSessions = 6
	simulatedKeys     = 40
	simulatedDevices  = 12
)

// simulatedTiming is the service's but for the long term, which would make runs long.
func simulatedTiming() Timing {
	t := DefaultTiming()
	t.LongTerm, t.Outside = 12*time.Second, 4*time.Second
	return t
}

// statistics count what happened in a run, so that a run in which nothing happens is noticed.
type statistics struct {
	acknowledged, polls, refused, stalled, revoked, created, checks, accepted int
	takeovers, alone, removed, joined, left, repeated                         int
	unserved                                                                  time.Duration // in which no node served
	longest                                                                   time.Duration // that an acknowledgement took
	recovery                                                                  time.Duration // the longest from the last fault until all was well
}

func newWorld(o simulation) *world {
	if o.drift == 0 {
		o.drift = simulatedTiming().Drift
	}
	if o.timing == (Timing{}) {
		o.timing = simulatedTiming()
	}
	w := &world{options: o, ends: o.lasts, random: rand.New(rand.NewPCG(o.seed, 17)), network: newNetwork(),
		reigns: map[uint64]*reign{}, trace: func(string, ...any) {}}
	w.register.up = true
	w.store.init()
	if o.trace {
		w.trace = func(format string, args ...any) {
			fmt.Printf("%9.3f %s\n", w.now.Seconds(), fmt.Sprintf(format, args...))
		}
	}
	for i := range o.nodes {
		m := &machine{world: w, index: i, id: string(rune('a' + i)), offset: w.between(time.Second, 100*time.Second)}
		m.rate = 1 + o.drift*(2*w.random.Float64()-1)
		if o.drift > simulatedTiming().Drift {
			m.rate = 1 - o.drift + 2*o.drift*float64(w.random.IntN(2))
		}
		w.machines = append(w.machines, m)
	}
	return w
}

// run simulates until its time is over or a promise is broken.
func (w *world) run() {
	for _, m := range w.machines {
		w.at(w.between(0, 300*time.Millisecond), m.start)
	}
	w.startClients()
	if w.options.faults > 0 {
		w.startFaults()
	}
	if w.options.script != nil {
		w.options.script(w)
	}
	for w.bad == "" {
		e, any := w.events.pop()
		if !any || e.at > w.ends {
			return
		}
		w.now = e.at
		e.do()
	}
}

// at does something later.
func (w *world) at(in time.Duration, do func()) { w.events.push(w.now+in, do) }

// between is a random duration.
func (w *world) between(least, most time.Duration) time.Duration {
	return least + time.Duration(w.random.Int64N(int64(most-least)+1))
}

// once in how many times, by chance, unless the world is perfect.
func (w *world) once(in int) bool { return w.random.IntN(in) == 0 && !w.options.perfect }

func (w *world) fail(format string, args ...any) {
	if w.bad == "" {
		w.bad = fmt.Sprintf("at %.3f: ", w.now.Seconds()) + fmt.Sprintf(format, args...)
		w.trace("BROKEN %s", w.bad)
	}
}

// agenda is what will happen, by time and then in the order in which it was planned.
type agenda struct {
	heap    []planned
	planned uint64
}

type planned struct {
	at    time.Duration
	order uint64
	do    func()
}

func (p planned) before(q planned) bool { return p.at < q.at || p.at == q.at && p.order < q.order }

func (a *agenda) push(at time.Duration, do func()) {
	a.planned++
	a.heap = append(a.heap, planned{at, a.planned, do})
	for i := len(a.heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if !a.heap[i].before(a.heap[parent]) {
			break
		}
		a.heap[i], a.heap[parent] = a.heap[parent], a.heap[i]
		i = parent
	}
}

func (a *agenda) pop() (planned, bool) {
	if len(a.heap) == 0 {
		return planned{}, false
	}
	first, last := a.heap[0], len(a.heap)-1
	a.heap[0], a.heap[last] = a.heap[last], planned{}
	a.heap = a.heap[:last]
	for i := 0; ; {
		least := i
		for _, child := range []int{2*i + 1, 2*i + 2} {
			if child < last && a.heap[child].before(a.heap[least]) {
				least = child
			}
		}
		if least == i {
			return first, true
		}
		a.heap[i], a.heap[least] = a.heap[least], a.heap[i]
		i = least
	}
}
