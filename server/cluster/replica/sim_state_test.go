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

// replicated is the simulated service's State.
type replicated struct {
	world   *world
	process *process
	values  []value
	revoked []bool
	created []int
	cache   []bool // keys that were looked up and found good
	lookups int    // numbers the times between which look-ups must not be carried over
	resets  int    // numbers the generations of the state
}

type value struct {
	newest  int
	pending uint64
}

func newReplicated(w *world, p *process) *replicated {
	r := &replicated{world: w, process: p, cache: make([]bool, simulatedKeys)}
	r.Reset()
	return r
}

func (r *replicated) Reset() {
	r.resets++
	r.values, r.revoked, r.created = make([]value, simulatedSessions), make([]bool, simulatedKeys), make([]int, simulatedDevices)
}

func (r *replicated) Apply(sequence uint64, changes []Change, pending bool) {
	var facts []fact
	for _, c := range changes {
		facts = append(facts, decodeFact(c))
	}
	if !pending {
		r.world.committed(sequence>>sequenceBits, r.process.decided)
		sequence = 0
	}
	r.merge(facts, sequence)
}

// merge merges facts, pending with a sequence if that is not 0.
func (r *replicated) merge(facts []fact, pending uint64) {
	for _, f := range facts {
		switch f.kind {
		case aPoint:
			switch v := &r.values[f.of]; {
			case f.value > v.newest:
				v.newest, v.pending = f.value, pending
			case f.value == v.newest && (pending == 0 || v.pending != 0):
				v.pending = pending
			}
		case aRevocation:
			r.revoked[f.of], r.cache[f.of] = true, false
		case aCreation:
			if r.created[f.of] == 0 {
				r.created[f.of] = f.value
			}
		}
	}
}

// missing are the stored facts that others may not have.
func (r *replicated) missing(stored []fact) []fact {
	var missing []fact
	for _, f := range stored {
		switch f.kind {
		case aPoint:
			if v := r.values[f.of]; f.value > v.newest || v.pending != 0 {
				missing = append(missing, fact{aPoint, f.of, max(f.value, v.newest)})
			}
		default:
			missing = append(missing, f) // few; who has them merges them again
		}
	}
	return missing
}

func (r *replicated) Open(sequence uint64) {
	for i := range r.values {
		if r.values[i].pending <= sequence {
			r.values[i].pending = 0
		}
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

// pieces reads the state in three pieces, each as it is when it is read.
type pieces struct {
	state *replicated
	next  int
}

func (p *pieces) Next() ([]byte, bool, error) {
	var facts []fact
	half := simulatedSessions / 2
	for i, v := range p.state.values {
		if i/half == p.next {
			facts = append(facts, fact{aPoint, i, v.newest})
		}
	}
	if p.next == 2 {
		for i, is := range p.state.revoked {
			if is && !p.state.world.options.unnamed {
				facts = append(facts, fact{aRevocation, i, 1})
			}
		}
		for i, id := range p.state.created {
			if id != 0 {
				facts = append(facts, fact{aCreation, i, id})
			}
		}
	}
	p.next++
	var piece []byte
	for _, c := range encodeFacts(facts) {
		piece = append(append(piece, c.Kind, byte(len(c.Data))), c.Data...)
	}
	return piece, p.next < 3, nil
}

func (p *pieces) Close() {}

func (r *replicated) Load(piece []byte) error {
	for len(piece) > 0 {
		end := 2 + int(piece[1])
		r.merge([]fact{decodeFact(Change{Kind: piece[0], Data: piece[2:end]})}, 0)
		piece = piece[end:]
	}
	return nil
}
