package changelog

import (
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"lastseen/schema"
)

// Ref is a session's number in the table of sessions, never 0.
type Ref uint32

// Sessions are what a Log keeps the order of. It is called under the Log's lock.
type Sessions interface {
	// Live reports whether there is something to see of a session.
	Live(Ref) bool
	// ID returns a session's id.
	ID(Ref) schema.ID
	// Slot returns what SetSlot has last said of a session, 0 at first: where it stands in the Log.
	Slot(Ref) uint32
	SetSlot(Ref, uint32)
}

// Log is the order in which sessions have changed, each of them once, by the last of its changes. It is safe for
// concurrent use. It takes about 14 bytes a session beside what Sessions does.
//
// Changes are numbered from 1. They lie in blocks, the oldest block first, in the order of their numbers. A session that
// changes again leaves a gap in its block and goes to the end of the last one; a block without changes is dropped, and one
// that has become sparse is joined with a neighbour, so that a reader passes few gaps. Blocks are found by number of change
// by binary search.
type Log struct {
	sessions Sessions

	mu     sync.Mutex
	blocks []*block  // by number
	unused []uint32  // numbers of blocks
	order  []inOrder // the blocks in use
	last   uint64    // change
	length int       // sessions
	gone   departures

	watchers atomic.Int32
	watching map[*Watch]struct{} // under mu
	due      atomic.Bool         // somebody is about to wake the watchers
}

const (
	blockBits = 6
	blockLen  = 1 << blockBits
	sparse    = blockLen / 2 // changes in a block with so few are moved to a neighbour with room for them
	tryEvery  = 8            // gaps are made before a neighbour is looked at again
)

// inOrder is a block with the number of change with which it begins, by which it is found without looking at the block.
type inOrder struct {
	first  uint64
	number uint32
}

// block holds up to blockLen changes.
type block struct {
	first   uint64 // number of change from which the others are counted
	live    int
	changes []entry
}

// entry is a change; its session is 0 when that has changed again or has left.
type entry struct {
	after uint32 // block.first
	ref   Ref
}

// New returns an empty log.
func New(sessions Sessions) *Log { return &Log{sessions: sessions} }

// Len returns the number of sessions in the log.
func (l *Log) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.length
}

// Settle brings what is logged of a session in line with what there is to see of it. A session that has come is logged as
// changed, and so is one that was there if moved; one that has left becomes one that is gone. It reports whether
// somebody watches who has yet to be woken for it, by Wake.
func (l *Log) Settle(ref Ref, moved bool) (wake bool) {
	if !l.settle(ref, moved) {
		return false
	}
	return l.watchers.Load() > 0 && !l.due.Swap(true)
}

func (l *Log) settle(ref Ref, moved bool) (changed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	slot := l.sessions.Slot(ref)
	switch {
	case l.sessions.Live(ref):
		if slot != 0 && !moved {
			return false
		}
		if slot == 0 {
			l.length++
			l.gone.forget(l.sessions.ID(ref))
		}
		l.clear(slot)
		l.sessions.SetSlot(ref, l.append(ref))
	case slot == 0:
		return false
	default:
		l.length--
		l.sessions.SetSlot(ref, 0)
		l.clear(slot)
		l.last++
		l.gone.add(l.last, l.sessions.ID(ref))
	}
	return true
}

// append adds a change and returns its slot: one more than its block's number and its place in it.
func (l *Log) append(ref Ref) uint32 {
	l.last++
	var number uint32
	var tail *block
	if n := len(l.order); n > 0 {
		number = l.order[n-1].number
		tail = l.blocks[number]
	}
	if tail == nil || len(tail.changes) == blockLen || l.last-tail.first >= 1<<32 {
		l.tidyTail()
		number, tail = l.newBlock()
	}
	tail.changes = append(tail.changes, entry{uint32(l.last - tail.first), ref})
	tail.live++
	return number<<blockBits + uint32(len(tail.changes))
}

// tidyTail does for the last block, before another follows, what was not done while it was being filled.
func (l *Log) tidyTail() {
	at := len(l.order) - 1
	if at < 0 {
		return
	}
	switch tail := l.blocks[l.order[at].number]; {
	case tail.live == 0:
		l.drop(at)
	case tail.live <= sparse && at > 0:
		l.join(at - 1)
	}
}

func (l *Log) newBlock() (uint32, *block) {
	var number uint32
	if n := len(l.unused); n > 0 {
		number, l.unused = l.unused[n-1], l.unused[:n-1]
	} else {
		number = uint32(len(l.blocks))
		l.blocks = append(l.blocks, new(block))
	}
	b := l.blocks[number]
	b.first = l.last
	l.order = append(l.order, inOrder{l.last, number})
	return number, b
}

// clear makes a gap where a session was.
func (l *Log) clear(slot uint32) {
	if slot == 0 {
		return
	}
	number := (slot - 1) >> blockBits
	b := l.blocks[number]
	b.changes[(slot-1)%blockLen].ref = 0
	b.live--
	if b.live > sparse || b.live%tryEvery != 0 || number == l.order[len(l.order)-1].number {
		return
	}
	at := l.find(b.first)
	if b.live == 0 {
		l.drop(at)
		return
	}
	if at > 0 && l.join(at-1) {
		return
	}
	if at+2 < len(l.order) { // the last one is still being filled
		l.join(at)
	}
}

// find returns the place in order of the last block that begins with a change or before it, -1 when there is none.
func (l *Log) find(change uint64) int {
	return sort.Search(len(l.order), func(i int) bool { return l.order[i].first > change }) - 1
}

// drop takes an empty block out of use. The shorter side of the order moves.
func (l *Log) drop(at int) {
	number := l.order[at].number
	b := l.blocks[number]
	if cap(b.changes) > blockLen {
		b.changes = nil
	}
	b.changes, b.live = b.changes[:0], 0
	l.unused = append(l.unused, number)
	if at < len(l.order)/2 {
		copy(l.order[1:at+1], l.order[:at])
		l.order = l.order[1:]
		return
	}
	l.order = slices.Delete(l.order, at, at+1)
}

// join moves the changes of a block to the one before it, at a place in order, if they have room there.
func (l *Log) join(at int) bool {
	number := l.order[at].number
	to, from := l.blocks[number], l.blocks[l.order[at+1].number]
	if to.live+from.live > blockLen*3/4 || from.first-to.first+uint64(from.changes[len(from.changes)-1].after) >= 1<<32 {
		return false
	}
	kept := to.changes[:0]
	keep := func(e entry) {
		kept = append(kept, e)
		l.sessions.SetSlot(e.ref, number<<blockBits+uint32(len(kept)))
	}
	for _, e := range to.changes {
		if e.ref != 0 {
			keep(e)
		}
	}
	for _, e := range from.changes {
		if e.ref != 0 {
			keep(entry{e.after + uint32(from.first-to.first), e.ref})
		}
	}
	to.changes, to.live = kept, len(kept)
	l.drop(at + 1)
	return true
}
