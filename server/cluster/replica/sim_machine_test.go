package replica

import (
	"errors"
	"math/rand/v2"
	"time"
)

// machine is where one node runs, one process after the other, by a clock of its own rate.
type machine struct {
	world   *world
	index   int
	id      string
	rate    float64
	offset  time.Duration
	paused  time.Duration // the process there is stopped until then
	process *process
	starts  uint64
}

// process is a running node: the core, with what carries out its effects.
type process struct {
	*machine
	core    *core
	state   *replicated
	dead    bool
	waiting map[uint64]func(error) // proposals, by number
	number  uint64
	waiters []func() // polls that wait for something to change
	writer  writer
	decided time.Duration // when the clock was read for the step that runs
	leaves  bool          // it was asked to leave, and is outside
}

var errNoAnswer = errors.New("no answer")

func (m *machine) clock() Instant {
	return Instant(m.offset) + Instant(float64(m.world.now)*m.rate)
}

// start starts a process, if none runs.
func (m *machine) start() {
	if m.process != nil && !m.process.dead {
		return
	}
	w := m.world
	m.starts++
	p := &process{machine: m, waiting: map[uint64]func(error){}}
	p.state = newReplicated(w, p)
	self := Member{ID: m.id, Incarnation: uint64(m.index+1)<<32 + m.starts, Addr: m.id + ":1"}
	p.core = newCore(self, "key", w.options.timing, p.state, rand.New(rand.NewPCG(w.random.Uint64(), 1)), m.clock())
	p.core.broken, p.core.maxPut = w.options.broken, 8 // bytes: two facts
	m.process = p
	w.trace("%s starts", m.id)
	p.later(time.Microsecond, p.tick)
}

// crash kills the process, as kill -9 does.
func (m *machine) crash() {
	if m.process != nil && !m.process.dead {
		m.process.dead = true
		m.world.trace("%s crashes", m.id)
	}
}

// pause stops the process, as SIGSTOP does.
func (m *machine) pause(lasts time.Duration) {
	m.paused = max(m.paused, m.world.now+lasts)
	m.world.trace("%s is stopped for %s", m.id, lasts)
}

func (m *machine) alive() bool { return m.process != nil && !m.process.dead }

func (m *machine) leads() bool { return m.alive() && m.process.core.lead != nil }

// later does something in the process, when it is not stopped, unless it is dead by then.
func (p *process) later(in time.Duration, do func()) {
	w := p.world
	var try func()
	try = func() {
		switch {
		case p.dead:
		case w.now < p.paused:
			w.at(p.paused-w.now, try)
		default:
			do()
		}
	}
	w.at(in, try)
}

// after is later by the process's own clock.
func (p *process) after(in time.Duration, do func()) {
	p.later(time.Duration(float64(in)/p.rate)+1, do)
}

func (p *process) tick() {
	p.take(tick{})
	p.wake()
	p.after(p.world.options.timing.Beat/2+p.world.between(0, 20*time.Millisecond), p.tick)
}

// take lets the core take a step. Now and then the process is stopped just after it has read the clock.
func (p *process) take(e event) {
	now, at := p.clock(), p.world.now
	step := func() {
		p.decided = at
		p.carryOut(p.core.step(now, e))
	}
	if p.world.once(3000) && p.world.options.faults > 0 && !p.world.mended {
		p.pause(p.world.between(10*time.Millisecond, 4*time.Second))
		p.later(0, step)
		return
	}
	step()
}

func (p *process) mayServe() bool { return p.clock() < p.core.serveUntil() }

func (p *process) carryOut(effects []effect) {
	for _, e := range effects {
		switch e := e.(type) {
		case send:
			p.transmit(e)
		case look:
			p.callRegister(func(r *simulatedRegister) View { return r.view }, func(v View, beat uint64, err error) {
				p.take(looked{e.call, Seen{v, beat}, err})
			})
		case swap:
			p.callRegister(func(r *simulatedRegister) View { return r.swap(e.old, e.next) }, func(v View, _ uint64, err error) {
				p.take(swapped{e.call, v, err})
			})
		case beatRegister:
			p.callRegister(func(r *simulatedRegister) View { return r.beatBy(e.epoch) }, func(View, uint64, error) {})
		case recoverState:
			p.recover(e.term, e.whole)
		case answer:
			done := p.waiting[e.id]
			delete(p.waiting, e.id)
			done(e.err)
		case noted:
			p.count(e.text)
			p.world.trace("%s: %s", p.id, e.text)
		}
	}
}

// propose asks the core to commit.
func (p *process) propose(term uint64, changes []Change, done func(error)) {
	p.number++
	p.waiting[p.number] = done
	p.take(proposed{p.number, term, changes})
}

// wake lets the polls that wait look again.
func (p *process) wake() {
	waiters := p.waiters
	p.waiters = nil
	for _, look := range waiters {
		look()
	}
}
