package sessions

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"lastseen/schema"
)

// rank is the place of a session in an order: by key, and by the id where keys are equal. Keys are such that the
// least comes first, whichever way the list is sorted.
type rank struct {
	key   int64
	high  uint64 // the first eight bytes of the id
	low   uint32 // the last four
	row   uint32
	fleet uint32 // by number
}

const (
	// lastKey is the key of sessions whose sort value is unknown.
	lastKey = math.MaxInt64 - 1
	// movedKey is the key of sessions of which it is unknown whether they were given: they are kept for the end.
	movedKey = math.MaxInt64
)

func (r *rank) setID(id schema.ID) {
	r.high, r.low = binary.BigEndian.Uint64(id[:8]), binary.BigEndian.Uint32(id[8:])
}

func (r *rank) id() (id schema.ID) {
	binary.BigEndian.PutUint64(id[:8], r.high)
	binary.BigEndian.PutUint32(id[8:], r.low)
	return id
}

func (r *rank) place() place { return place(r.fleet)<<32 | place(r.row) }

func (r *rank) before(other *rank) bool {
	if r.key != other.key {
		return r.key < other.key
	}
	if r.high != other.high {
		return r.high < other.high
	}
	return r.low < other.low
}

func compareRanks(a, b rank) int {
	return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.high, b.high), cmp.Compare(a.low, b.low))
}

// ranking finds the first of many sessions. Beside twice as many as are wanted it keeps none, so that a page near the
// front costs a look at each session, however many there are.
type ranking struct {
	wanted int
	kept   []rank
	worst  rank // with full, nothing after it is wanted
	full   bool
}

// leastKept is how many are kept at least before the worst of them are dropped.
const leastKept = 1024

// add takes note of a session.
func (r *ranking) add(one *rank) {
	if r.full && !one.before(&r.worst) {
		return
	}
	r.kept = append(r.kept, *one)
	if len(r.kept) >= max(2*r.wanted, leastKept) {
		divide(r.kept, r.wanted)
		r.kept = r.kept[:r.wanted]
		r.worst, r.full = slices.MaxFunc(r.kept, compareRanks), true
	}
}

// page returns those from one place in the order to another, in order, and those before them in no order.
func (r *ranking) page(from, to int) (before, page []rank) {
	if len(r.kept) > to {
		divide(r.kept, to)
		r.kept = r.kept[:to]
	}
	if from >= len(r.kept) {
		return r.kept, nil
	}
	divide(r.kept, from)
	slices.SortFunc(r.kept[from:], compareRanks)
	return r.kept[:from], r.kept[from:]
}

// divide reorders ranks so that the first n are before all others (Hoare's selection).
func divide(ranks []rank, n int) {
	low, high := 0, len(ranks)
	for n > low && n < high && high-low > 1 {
		pivot := middle(&ranks[low], &ranks[(low+high)/2], &ranks[high-1])
		i, j := low, high-1
		for i <= j {
			for ranks[i].before(&pivot) {
				i++
			}
			for pivot.before(&ranks[j]) {
				j--
			}
			if i <= j {
				ranks[i], ranks[j] = ranks[j], ranks[i]
				i++
				j--
			}
		}
		switch { // up to j all are before the pivot or it, and from i on after it or it
		case n <= j:
			high = j + 1
		case n >= i:
			low = i
		default:
			return
		}
	}
}

// middle returns a copy of the middle one of three.
func middle(a, b, c *rank) rank {
	if b.before(a) {
		a, b = b, a
	}
	if c.before(b) {
		b = c
		if b.before(a) {
			b = a
		}
	}
	return *b
}
