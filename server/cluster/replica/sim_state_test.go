package replica

import (
	"context"
	"encoding/binary"
	"errors"
)

// fact is what the simulated service knows: the newest value of a session, that a key is revoked, or who is the device.
type fact struct {
	kind  uint8
	of    int
	value int
}

const (
	aPoint uint8 = iota + 1
	aRevocation
	aCreation
)

func encodeFacts(facts []fact) []Change {
	var changes []Change
	for _, f := range facts {
		changes = append(changes, Change{Kind: f.kind, Data: binary.AppendUvarint(binary.AppendUvarint(nil, uint64(f.of)), uint64(f.value))})
	}
	return changes
}

func decodeFact(c Change) fact {
	of, n := binary.Uvarint(c.Data)
	value, _ := binary.Uvarint(c.Data[n:])
	return fact{c.Kind, int(of), int(value)}
}

// replicated is the simulated service's State. What is pending is kept apart until it is opened. In some worlds Reset
// leaves what was committed, which the pieces of a snapshot are merged into; in the others it empties the state.
type replicated struct {
	world   *world
	process *process
	values  []int
	revoked []bool
	created []int
	pending []batch
	cache   []bool // keys that were looked up and found good
	lookups int    // numbers the times between which look-ups must not be carried over
	resets  int    // numbers the generations of the state
}

// batch is what one PUT brought.
type batch struct {
	sequence uint64
	facts    []fact
}

func newReplicated(w *world, p *process) *replicated {
	r := &replicated{world: w, process: p, cache: make([]bool, simulatedKeys)}
	r.empty()
	return r
}

func (r *replicated) empty() {
	r.values, r.revoked, r.created = make([]int, simulatedSessions), make([]bool, simulatedKeys), make([]int, simulatedDevices)
}

func (r *replicated) Reset() {
	r.resets++
	r.pending = nil
	if !r.world.options.keeps {
		r.empty()
	}
}

func (r *replicated) Apply(sequence uint64, changes []Change, pending bool) {
	b := batch{sequence: sequence}
	for _, c := range changes {
		b.facts = append(b.facts, decodeFact(c))
	}
	if !pending {
		if r.process.core.lead != nil {
			r.world.committed(sequence>>sequenceBits, r.process.decided)
		}
		r.Open(sequence)
		r.merge(b.facts)
		return
	}
	for _, f := range b.facts {
		if f.kind == aRevocation { // at once
			r.merge([]fact{f})
		}
	}
	r.pending = append(r.pending, b)
}

// merge merges what may be shown.
func (r *replicated) merge(facts []fact) {
	for _, f := range facts {
		switch f.kind {
		case aPoint:
			r.values[f.of] = max(r.values[f.of], f.value)
		case aRevocation:
			r.revoked[f.of], r.cache[f.of] = true, false
		case aCreation:
			if r.created[f.of] == 0 {
				r.created[f.of] = f.value
			}
		}
	}
}

// waits says whether something of a session is pending.
func (r *replicated) waits(session int) bool {
	for _, b := range r.pending {
		for _, f := range b.facts {
			if f.kind == aPoint && f.of == session {
				return true
			}
		}
	}
	return false
}

// missing are the stored facts that others may not have, and those that are pending.
func (r *replicated) missing(stored []fact) []fact {
	var missing []fact
	for _, f := range stored {
		if f.kind != aPoint || f.value > r.values[f.of] {
			missing = append(missing, f)
		}
	}
	for _, b := range r.pending {
		missing = append(missing, b.facts...)
	}
	return missing
}

func (r *replicated) Open(sequence uint64) {
	for len(r.pending) > 0 && r.pending[0].sequence <= sequence {
		r.merge(r.pending[0].facts)
		r.pending = r.pending[1:]
	}
	r.process.wake()
}

func (r *replicated) Joined() {
	r.cache = make([]bool, simulatedKeys)
	r.lookups++
}

func (r *replicated) Serving(bool) { r.process.wake() }

func (r *replicated) Recover(context.Context, uint64, bool) ([]Change, error) {
	return nil, errors.New("the simulator recovers by itself")
}

func (r *replicated) Snapshot() Snapshot { return &pieces{state: r} }

// pieces reads the state piece by piece, each as it is when it is read.
type pieces struct {
	state *replicated
	next  int
}

const (
	simulatedFacts = simulatedSessions + simulatedKeys + simulatedDevices
	pieceFacts     = 4 // in a piece, at most
)

func (p *pieces) Next() ([]byte, bool, error) {
	var piece []byte
	for end := min(p.next+pieceFacts, simulatedFacts); p.next < end; p.next++ {
		if f, is := p.state.fact(p.next); is {
			c := encodeFacts([]fact{f})[0]
			piece = append(append(piece, c.Kind, byte(len(c.Data))), c.Data...)
		}
	}
	return piece, p.next < simulatedFacts, nil
}

// fact returns one of all that a snapshot may have; false where there is none.
func (r *replicated) fact(i int) (fact, bool) {
	if i < simulatedSessions {
		return fact{aPoint, i, r.values[i]}, true
	}
	if i -= simulatedSessions; i < simulatedKeys {
		return fact{aRevocation, i, 1}, r.revoked[i] && !r.world.options.unnamed
	}
	i -= simulatedKeys
	return fact{aCreation, i, r.created[i]}, r.created[i] != 0
}

func (p *pieces) Close() {}

func (r *replicated) Load(piece []byte) error {
	for len(piece) > 0 {
		end := 2 + int(piece[1])
		r.merge([]fact{decodeFact(Change{Kind: piece[0], Data: piece[2:end]})})
		piece = piece[end:]
	}
	return nil
}
