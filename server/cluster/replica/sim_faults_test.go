package replica

import "time"

// startFaults lets things go wrong, again and again until ten seconds before the end: far denser than in life.
func (w *world) startFaults() {
	var next func()
	next = func() {
		if w.now > w.options.lasts-10*time.Second {
			return
		}
		w.at(time.Duration(float64(w.between(100*time.Millisecond, 3*time.Second))/w.options.faults), next)
		w.fault(w.machines[w.random.IntN(len(w.machines))])
	}
	w.at(2*time.Second, next)
}

// fault lets one thing go wrong with a machine, or with all.
func (w *world) fault(m *machine) {
	switch w.random.IntN(13) {
	case 0, 1, 2:
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
	}
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
