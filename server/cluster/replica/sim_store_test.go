package replica

import (
	"slices"
	"strings"
	"time"
)

// simulatedRegister is a linearizable register.
type simulatedRegister struct {
	up   bool
	view View
	beat uint64
}

func (r *simulatedRegister) swap(old uint64, next View) View {
	if r.view.Epoch == old {
		r.view = next
	}
	return r.view
}

func (r *simulatedRegister) beatBy(epoch uint64) View {
	if r.view.Epoch == epoch {
		r.beat++
	}
	return r.view
}

// callRegister calls the register over a network that loses calls and answers.
func (p *process) callRegister(do func(*simulatedRegister) View, then func(View, uint64, error)) {
	w, answered := p.world, false
	reply := func(v View, beat uint64, err error) {
		if !answered {
			answered = true
			then(v, beat, err)
		}
	}
	p.later(w.between(300*time.Microsecond, 4*time.Millisecond), func() {
		if !w.register.up || !w.reaches(p.index, theRegister) {
			return
		}
		v := do(&w.register)
		beat := w.register.beat
		if w.once(200) || w.options.mute != nil && w.options.mute(p.machine) {
			return // what came of it is not known
		}
		p.later(w.between(300*time.Microsecond, 4*time.Millisecond), func() {
			if w.reaches(p.index, theRegister) {
				reply(v, beat, nil)
			}
		})
	})
	p.after(p.world.options.timing.Register, func() { reply(View{}, 0, errNoAnswer) })
}

// simulatedStore is a database without unique constraints, in which a write may land long after it was sent. It takes
// no write of a term below its fence.
type simulatedStore struct {
	values  []int
	revoked []bool
	created [][]int // the rows of each device: one, if all is well
	fence   uint64
	late    int // writes that were refused for their term
}

func (s *simulatedStore) init() {
	s.values, s.revoked, s.created = make([]int, simulatedSessions), make([]bool, simulatedKeys), make([][]int, simulatedDevices)
}

func (s *simulatedStore) write(changes []fact) {
	for _, f := range changes {
		switch f.kind {
		case aPoint:
			s.values[f.of] = max(s.values[f.of], f.value)
		case aRevocation:
			s.revoked[f.of] = true
		case aCreation:
			if !slices.Contains(s.created[f.of], f.value) {
				s.created[f.of] = append(s.created[f.of], f.value)
			}
		}
	}
}

// insert writes through the door of a term. It may land late, and its answer may be lost: then ok is false, as it is
// after three seconds.
func (p *process) insert(term uint64, facts []fact, then func(ok bool)) {
	w, answered := p.world, false
	reply := func(ok bool) {
		if !answered {
			answered = true
			then(ok)
		}
	}
	p.later(w.between(0, 300*time.Microsecond), func() {
		late := w.between(time.Millisecond, 15*time.Millisecond)
		if w.once(100) {
			late = w.between(100*time.Millisecond, 6*time.Second)
		}
		if w.options.late != nil {
			late += w.options.late(facts)
		}
		if !w.reaches(p.index, theStore) && w.random.IntN(2) == 0 {
			return
		}
		w.at(late, func() { // whatever happens to the process
			if term < w.store.fence && !w.options.noDoor {
				w.store.late++
				return
			}
			w.store.write(facts)
			if w.reaches(p.index, theStore) && !w.once(300) {
				p.later(200*time.Microsecond, func() { reply(true) })
			}
		})
	})
	p.after(3*time.Second, func() { reply(false) })
}

// recover is State.Recover: fence, then read.
func (p *process) recover(term uint64, whole bool) {
	w := p.world
	still := func() bool { return p.core.lead != nil && p.core.view.Term == term }
	p.later(w.between(5*time.Millisecond, 300*time.Millisecond), func() {
		if !still() {
			return
		}
		if !w.reaches(p.index, theStore) {
			p.after(100*time.Millisecond, func() { p.recover(term, whole) })
			return
		}
		if w.store.fence > term {
			return // a later leader has fenced this one
		}
		w.store.fence = term
		stored := w.store.facts()
		p.later(w.between(time.Millisecond, 20*time.Millisecond), func() {
			if !still() {
				return
			}
			var changes []Change
			if whole {
				p.state.merge(stored)
			} else {
				changes = encodeFacts(p.state.missing(stored))
			}
			p.take(recovered{term, changes})
		})
	})
}

// facts are all that is stored.
func (s *simulatedStore) facts() []fact {
	var all []fact
	for i, v := range s.values {
		all = append(all, fact{aPoint, i, v})
	}
	for i, is := range s.revoked {
		if is {
			all = append(all, fact{aRevocation, i, 1})
		}
	}
	for i, rows := range s.created {
		for _, id := range rows {
			all = append(all, fact{aCreation, i, id})
		}
	}
	return all
}

// count counts a transition.
func (p *process) count(text string) {
	did := &p.world.did
	for start, counter := range map[string]*int{"takes over": &did.takeovers, "begins alone": &did.alone} {
		if strings.HasPrefix(text, start) {
			*counter++
		}
	}
	if strings.HasPrefix(text, "leads epoch") && p.core.lead != nil {
		switch why := p.core.view.Why; {
		case strings.HasSuffix(why, " joined"):
			did.joined++
		case strings.Contains(why, "did not answer"):
			did.removed++
		case strings.HasSuffix(why, " left"):
			did.left++
		}
	}
}
