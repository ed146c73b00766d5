package replica

import (
	"slices"
	"time"
)

// promises is what was promised to clients so far, and what they were shown.
type promises struct {
	acknowledged []int // the newest value of each session
	seen         []int
	revoked      []bool
	created      []int
}

// writer is the part of a node that writes to the store and commits: the simulated service's Writer.
type writer struct {
	term     uint64
	reserved []int // what each device was decided to be in this term
}

func (w *world) startClients() {
	w.promises = promises{make([]int, simulatedSessions), make([]int, simulatedSessions), make([]bool, simulatedKeys), make([]int, simulatedDevices)}
	for i := range simulatedSessions {
		w.at(w.between(0, 500*time.Millisecond), w.writePoints(i))
	}
	for range 6 {
		w.at(0, w.poll)
	}
	checkers := 8
	if w.options.perfect {
		checkers = 2
	}
	for range checkers {
		w.at(0, w.checkKeys)
	}
	for i := range simulatedKeys {
		w.at(w.between(2*time.Second, max(w.options.lasts-5*time.Second, 3*time.Second)), func() { w.revoke(i) })
	}
	for i := range simulatedDevices {
		w.at(w.between(time.Second, max(w.options.lasts-5*time.Second, 3*time.Second)), func() { w.create(i, 3) })
	}
	w.at(0, w.probe)
}

// aLeader is a process that takes itself for the leader, one of several by chance; nil if there is none. In a perfect world
// nobody asks one that is stopped.
func (w *world) aLeader() *process {
	var leaders []*process
	for _, m := range w.machines {
		if m.leads() && !(w.options.perfect && w.now < m.paused) {
			leaders = append(leaders, m.process)
		}
	}
	if len(leaders) == 0 {
		return nil
	}
	return leaders[w.random.IntN(len(leaders))]
}

// commit is what the service does with a request that changes something: is this the leader, then into the store, then
// to all.
func (p *process) commit(facts []fact, done func(ok bool)) {
	term := p.core.committable(p.clock())
	if term == 0 {
		done(false)
		return
	}
	p.insert(term, facts, func(ok bool) {
		if !ok {
			done(false)
			return
		}
		p.propose(term, encodeFacts(facts), func(err error) { done(err == nil) })
	})
}

// request lets a leader commit, and then calls once, with whether it was done. kept is called with whatever was acknowledged,
// however late.
func (w *world) request(ask func(p *process, done func(bool)), kept func(), then func(ok bool)) {
	p, over := w.aLeader(), false
	if p == nil {
		w.at(w.between(20*time.Millisecond, 200*time.Millisecond), func() { then(false) })
		return
	}
	end := func(ok bool) {
		if !over {
			over = true
			then(ok)
		}
	}
	began := w.now
	w.at(8*time.Second, func() { end(false) })
	p.later(w.between(100*time.Microsecond, time.Millisecond), func() {
		ask(p, func(ok bool) {
			if ok {
				w.did.longest = max(w.did.longest, w.now-began)
				kept()
			}
			end(ok)
		})
	})
}

func (w *world) writePoints(session int) func() {
	next := 0
	var write func()
	write = func() {
		next++
		v := next
		w.request(func(p *process, done func(bool)) { p.commit([]fact{{aPoint, session, v}}, done) },
			func() {
				w.did.acknowledged++
				w.promises.acknowledged[session] = max(w.promises.acknowledged[session], v)
			},
			func(bool) { w.at(w.between(5*time.Millisecond, 150*time.Millisecond), write) })
	}
	return write
}

func (w *world) revoke(key int) {
	w.request(func(p *process, done func(bool)) { p.commit([]fact{{aRevocation, key, 1}}, done) },
		func() {
			if !w.promises.revoked[key] {
				w.promises.revoked[key] = true
				w.did.revoked++
			}
		},
		func(ok bool) {
			if !ok {
				w.at(50*time.Millisecond, func() { w.revoke(key) })
			}
		})
}

// create asks that a device be made, some times: all must be told the same.
func (w *world) create(device, times int) {
	if times == 0 {
		return
	}
	told := 0
	w.request(func(p *process, done func(bool)) {
		p.create(device, func(id int, ok bool) {
			told = id
			done(ok)
		})
	},
		func() {
			before := w.promises.created[device]
			if before != 0 && before != told {
				w.fail("Once: device %d is %d after it was acknowledged as %d", device, told, before)
			}
			w.promises.created[device] = told
			w.did.created++
		},
		func(ok bool) {
			if ok {
				times--
			}
			w.at(w.between(50*time.Millisecond, 3*time.Second), func() { w.create(device, times) })
		})
}

// create decides what a device is: what it is already, or what was decided in this term, or anew.
func (p *process) create(device int, done func(id int, ok bool)) {
	term := p.core.committable(p.clock())
	if term == 0 {
		done(0, false)
		return
	}
	if id := p.state.created[device]; id != 0 {
		done(id, true)
		return
	}
	if p.writer.term != term {
		p.writer = writer{term, make([]int, simulatedDevices)}
	}
	if p.writer.reserved[device] == 0 {
		p.writer.reserved[device] = 1 + p.world.random.IntN(1<<30)
	}
	id := p.writer.reserved[device]
	p.commit([]fact{{aCreation, device, id}}, func(ok bool) { done(id, ok) })
}

// poll asks a node for a session again and again, as a client without a memory of nodes does.
func (w *world) poll() {
	session := w.random.IntN(simulatedSessions)
	p := w.machines[w.random.IntN(len(w.machines))].process
	if p == nil || p.dead {
		w.at(w.between(time.Millisecond, 10*time.Millisecond), w.poll)
		return
	}
	floor, began, over := max(w.promises.acknowledged[session], w.promises.seen[session]), w.now, false
	end := func() {
		if !over {
			over = true
			w.at(w.between(time.Millisecond, 9*time.Millisecond), w.poll)
		}
	}
	w.at(12*time.Second, end)
	var look func()
	look = func() {
		if !p.mayServe() {
			w.did.refused++
			end()
			return
		}
		generation, until := p.state.resets, w.between(0, 30*time.Microsecond)
		if w.once(500) {
			until = w.between(time.Millisecond, 3*time.Second) // others have the processor
		}
		if w.options.linger != nil {
			until += w.options.linger(p.machine)
		}
		p.later(until, func() {
			v := p.state.values[session]
			if p.state.resets != generation && !w.options.emptied {
				w.did.refused++
				end()
				return
			}
			if p.state.waits(session) {
				w.did.stalled++
				if w.now-began > time.Second {
					w.did.refused++
					end()
					return
				}
				p.waiters = append(p.waiters, look)
				return
			}
			p.later(w.between(100*time.Microsecond, 400*time.Microsecond), func() {
				w.did.polls++
				if v < floor {
					w.fail("Fresh: %s shows %d of session %d, of which %d was acknowledged and %d shown before the poll began at %.3f", p.id, v, session,
						w.promises.acknowledged[session], w.promises.seen[session], began.Seconds())
				}
				w.promises.seen[session] = max(w.promises.seen[session], v)
				end()
			})
		})
	}
	p.later(w.between(100*time.Microsecond, 400*time.Microsecond), look)
}

// checkKeys asks a node with a key again and again.
func (w *world) checkKeys() {
	key := w.random.IntN(simulatedKeys)
	revoked := w.promises.revoked[key]
	p, over := w.machines[w.random.IntN(len(w.machines))].process, false
	end := func() {
		if !over {
			over = true
			w.at(w.between(500*time.Microsecond, 5*time.Millisecond), w.checkKeys)
		}
	}
	if p == nil || p.dead {
		w.at(2*time.Millisecond, end)
		return
	}
	w.at(12*time.Second, end)
	accept := func() {
		w.did.accepted++
		if revoked {
			w.fail("Revoked: %s accepts key %d after its revocation was acknowledged", p.id, key)
		}
		end()
	}
	p.later(w.between(100*time.Microsecond, 400*time.Microsecond), func() {
		w.did.checks++
		switch s := p.state; {
		case !p.mayServe() || s.revoked[key]:
			end()
		case s.cache[key]:
			accept()
		case !w.reaches(p.index, theStore):
			end()
		default:
			back := w.between(time.Millisecond, 30*time.Millisecond)
			if w.once(4) {
				back = w.between(time.Second, 9*time.Second)
			}
			p.lookUp(key, back, accept, end)
		}
	})
}

// lookUp asks the store for a key, keeps it if it is good, and accepts it. The answer takes a time.
func (p *process) lookUp(key int, back time.Duration, accept, refuse func()) {
	w, began := p.world, p.state.lookups
	p.later(w.between(time.Millisecond, 10*time.Millisecond), func() {
		revoked := w.store.revoked[key]
		p.later(back, func() {
			if revoked || p.state.revoked[key] || p.state.lookups != began && !w.options.dirty {
				refuse()
				return
			}
			p.state.cache[key] = true
			accept()
		})
	})
}

// reign is when the first and the last commit of a term were decided.
type reign struct{ first, last time.Duration }

// committed looks at what no client may notice: that nobody commits any more when a later leader does.
func (w *world) committed(term uint64, decided time.Duration) {
	mine := w.reigns[term]
	if mine == nil {
		mine = &reign{first: decided}
		w.reigns[term] = mine
	}
	mine.first, mine.last = min(mine.first, decided), max(mine.last, decided)
	for other, r := range w.reigns {
		if other > term && r.first < mine.last || other < term && r.last > mine.first {
			w.fail("Single: commits of the terms %d and %d overlap", min(term, other), max(term, other))
		}
	}
}

// staysOutside looks that who has left does not take part again.
func (p *process) staysOutside() {
	leaves := p.core.out != nil && p.core.out.leaving
	if p.leaves && !leaves {
		p.world.fail("Left: %s takes part again after it has left", p.id)
	}
	p.leaves = leaves
}

// probe measures for how long nobody serves, and looks whether a device was made twice.
func (w *world) probe() {
	if !slices.ContainsFunc(w.machines, func(m *machine) bool { return m.alive() && w.now >= m.paused && m.process.mayServe() }) {
		w.did.unserved += 10 * time.Millisecond
	}
	for _, m := range w.machines {
		if m.alive() {
			m.process.staysOutside()
		}
	}
	for device, rows := range w.store.created {
		if len(rows) > 1 {
			w.fail("Once: device %d has %d rows", device, len(rows))
		}
	}
	for session, v := range w.promises.acknowledged {
		if w.store.values[session] < v {
			w.fail("Kept: the store has %d of session %d, of which %d was acknowledged", w.store.values[session], session, v)
		}
	}
	w.at(10*time.Millisecond, w.probe)
}
