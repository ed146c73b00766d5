package replica

import "time"

// network is what lies between the machines, the register and the store.
type network struct {
	cuts    map[[2]int]int // pairs of machines, the register or the store: how many faults cut them
	muddled map[[2]int]int // pairs of machines: how many faults have what they say come in any order and several times
	arrival map[[2]int]time.Duration
}

func newNetwork() network {
	return network{map[[2]int]int{}, map[[2]int]int{}, map[[2]int]time.Duration{}}
}

// cut separates two, for a time; several cuts of the same add up.
func (w *world) cut(a, b int, lasts time.Duration) { w.during(w.cuts, a, b, lasts) }

// muddle lets what two machines say to each other come in any order, and some of it several times, for a time.
func (w *world) muddle(a, b int, lasts time.Duration) { w.during(w.muddled, a, b, lasts) }

func (w *world) during(faults map[[2]int]int, a, b int, lasts time.Duration) {
	k := pairOf(a, b)
	faults[k]++
	w.at(lasts, func() { faults[k]-- })
}

// isolate cuts a machine off from all others, but not from the register and the store.
func (w *world) isolate(a int, lasts time.Duration) {
	for b := range w.machines {
		if b != a {
			w.cut(a, b, lasts)
		}
	}
}

func (w *world) reaches(a, b int) bool { return w.mended || w.cuts[pairOf(a, b)] == 0 }

func pairOf(a, b int) [2]int { return [2]int{min(a, b), max(a, b)} }

// transmit sends a message as a network does: with a delay, mostly in order, not across a cut, and now and then twice.
func (p *process) transmit(s send) {
	w, to := p.world, p.world.machines[s.to.ID[0]-'a']
	l := letter{from: p.index, to: to.index, addressee: to.process, frame: encode(Format, p.core.self, s.message)}
	if !to.alive() || w.options.meddle != nil && w.options.meddle(w, p.machine, to, s.message, l) {
		return
	}
	delay := w.between(100*time.Microsecond, 500*time.Microsecond)
	switch {
	case w.once(50):
		delay += w.between(time.Millisecond, 60*time.Millisecond)
	case w.once(1500):
		delay += w.between(100*time.Millisecond, 4*time.Second)
	}
	if w.once(1000) {
		w.repeat(l, 5*time.Second)
	}
	if w.options.twice {
		w.repeat(l, 2*time.Millisecond)
	}
	if w.muddled[pairOf(l.from, l.to)] > 0 && !w.mended {
		for range w.random.IntN(3) {
			w.repeat(l, 100*time.Millisecond)
		}
		w.deliver(l, delay+w.between(0, 40*time.Millisecond))
		return
	}
	k := [2]int{l.from, l.to}
	at := max(w.now+delay, w.arrival[k]+1)
	w.arrival[k] = at
	w.deliver(l, at-w.now)
}

// letter is a message on its way to a process.
type letter struct {
	from, to  int
	addressee *process
	frame     []byte
}

// repeat brings a letter once more than it was sent.
func (w *world) repeat(l letter, within time.Duration) {
	w.did.repeated++
	w.deliver(l, w.between(0, within))
}

// deliver brings a letter, if nothing is between the two when it leaves and when it arrives.
func (w *world) deliver(l letter, in time.Duration) {
	if !w.reaches(l.from, l.to) {
		return
	}
	w.at(in, func() {
		if !w.reaches(l.from, l.to) {
			return
		}
		l.addressee.later(0, func() {
			sender, m, err := decode(l.frame)
			if err != nil {
				w.fail("a frame was not understood: %v", err)
				return
			}
			l.addressee.take(received{sender, m})
		})
	})
}
