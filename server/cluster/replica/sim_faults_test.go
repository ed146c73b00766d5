package replica

import (
	"slices"
	"time"
)

// startFaults lets things go wrong, again and again until ten seconds before the end: far denser than in life.
func (w *world) startFaults() {
	var next func()
	next = func() {
		if w.now > w.options.lasts-10*time.Second {
			w.mend()
			return
		}
		w.at(time.Duration(float64(w.between(100*time.Millisecond, 3*time.Second))/w.options.faults), next)
		w.fault(w.machines[w.random.IntN(len(w.machines))])
	}
	w.at(2*time.Second, next)
}

// fault lets one thing go wrong with a machine, or with all.
func (w *world) fault(m *machine) {
	switch w.random.IntN(14) {
	case 0, 1, 2:
		if w.options.deposes {
			for _, each := range w.machines {
				each.stepDown()
			}
			return
		}
		if w.random.IntN(3) == 0 {
			m.pause(w.between(time.Second, 9*time.Second))
		} else {
			m.pause(w.between(50*time.Millisecond, 2*time.Second))
		}
	case 3, 4:
		m.crash()
		w.at(w.between(300*time.Millisecond, 8*time.Second), m.start)
	case 5, 6, 7:
		if other := w.random.IntN(len(w.machines)); other != m.index {
			w.trace("cut %s from %s", m.id, w.machines[other].id)
			w.cut(m.index, other, w.between(100*time.Millisecond, 7*time.Second))
		}
	case 8:
		w.trace("%s is isolated", m.id)
		w.isolate(m.index, w.between(500*time.Millisecond, 8*time.Second))
	case 9:
		which := theRegister - w.random.IntN(2)
		w.trace("cut %s from %d", m.id, which)
		w.cut(m.index, which, w.between(500*time.Millisecond, 45*time.Second))
	case 10:
		if w.register.up && w.random.IntN(2) == 0 {
			w.register.up = false
			w.trace("the register is away")
			w.at(w.between(300*time.Millisecond, 9*time.Second), func() { w.register.up = true; w.trace("the register is back") })
		}
	case 11:
		if w.random.IntN(6) == 0 {
			for _, each := range w.machines {
				each.crash()
				w.at(w.between(100*time.Millisecond, 20*time.Second), each.start)
			}
		}
	case 12:
		m.restart(w.between(time.Second, 4*time.Second))
	case 13:
		if other := w.random.IntN(len(w.machines)); other != m.index {
			w.trace("what %s and %s say comes in any order, and several times", m.id, w.machines[other].id)
			w.muddle(m.index, other, w.between(100*time.Millisecond, 9*time.Second))
		}
	}
}

// patience is after what time in which nothing goes wrong all must be well: longer than the longest wait of the protocol, twice,
// since who waits may have been about to be restarted.
const patience = time.Minute

// mend ends all faults, and then waits until all nodes serve and something was acknowledged: what keeps every promise and
// never comes back is no use.
func (w *world) mend() {
	w.trace("all is mended")
	w.mended, w.register.up = true, true
	for _, m := range w.machines {
		m.paused = w.now
		m.start()
	}
	mended, before := w.now, w.did.acknowledged
	w.ends = mended + patience
	var well func()
	well = func() {
		switch {
		case w.did.acknowledged > before && !slices.ContainsFunc(w.machines, func(m *machine) bool { return !m.alive() || !m.process.mayServe() }):
			w.did.recovery = w.now - mended
			w.ends = max(w.now, w.options.lasts)
		case w.now+100*time.Millisecond > w.ends:
			for _, m := range w.machines {
				if !m.alive() || !m.process.mayServe() {
					w.fail("Alive: %s does not serve %s after the last fault", m.id, patience)
				}
			}
			w.fail("Alive: nothing is acknowledged in %s after the last fault", patience)
		default:
			w.at(20*time.Millisecond, well)
		}
	}
	well()
}

// restart asks the process to leave, ends it a while later, and starts another one.
func (m *machine) restart(after time.Duration) {
	p := m.process
	if p == nil || p.dead {
		return
	}
	m.world.trace("%s is asked to leave", m.id)
	p.later(0, func() { p.take(leaveAsked{}) })
	m.world.at(after, func() {
		if m.process == p {
			m.crash()
		}
	})
	m.world.at(after+m.world.between(300*time.Millisecond, 2*time.Second), m.start)
}

// stepDown asks a leader not to lead any more.
func (m *machine) stepDown() {
	if !m.leads() {
		return
	}
	p := m.process
	m.world.trace("%s is asked to step down", m.id)
	p.later(0, func() { p.take(stepDownAsked{p.core.view.Term, "it was asked to step down"}) })
}
