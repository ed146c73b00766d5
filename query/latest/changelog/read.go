package changelog

import "lastseen/schema"

// Place is how far somebody has read a Log.
type Place struct {
	// Read is the number of the last change that was read.
	Read uint64
	// Since is the number of the last change before the reading began: sessions that were gone by then were never
	// heard of.
	Since uint64
}

// Change is what a reader gets of one session: that it is gone, or that it may have changed.
type Change struct {
	number uint64
	Ref    Ref       // 0 when it is gone
	Gone   schema.ID // when it is gone
}

// Begin returns the place from which a reader gets every session.
func (l *Log) Begin() Place {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Place{Since: l.last}
}

// Holds reports whether the log remembers all that has happened since a place.
func (l *Log) Holds(at Place) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return at.Read <= l.last && at.Since <= l.last && max(at.Read, at.Since) >= l.gone.forgotten
}

// End returns the number of the last change.
func (l *Log) End() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// Read fills changes with what has happened from a place on to a change, the last of each session, and returns what it
// has filled and the place after that. As many as it could fill may not be all. It takes time for what it returns alone.
func (l *Log) Read(from Place, through uint64, changes []Change) ([]Change, Place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	gone := l.gone.after(max(from.Read, from.Since))
	for at := max(l.find(from.Read+1), 0); at < len(l.order) && n < len(changes); at++ {
		b := l.blocks[l.order[at].number]
		if b.first > through {
			break
		}
		for _, e := range b.changes {
			number := b.first + uint64(e.after)
			if e.ref == 0 || number <= from.Read {
				continue
			}
			if number > through {
				break
			}
			for n < len(changes) && len(gone) > 0 && gone[0].change < number {
				n, gone = l.readGone(changes, n, gone)
			}
			if n == len(changes) {
				break
			}
			changes[n] = Change{number: number, Ref: e.ref}
			n++
		}
	}
	for n < len(changes) && len(gone) > 0 && gone[0].change <= through {
		n, gone = l.readGone(changes, n, gone)
	}
	if n == len(changes) && n > 0 {
		from.Read = changes[n-1].number
	} else {
		from.Read = max(from.Read, through)
	}
	return changes[:n], from
}

// readGone adds the first of some departures, if it counts.
func (l *Log) readGone(changes []Change, n int, gone []departure) (int, []departure) {
	if first := gone[0]; l.gone.counts(first) {
		changes[n] = Change{number: first.change, Gone: first.id}
		n++
	}
	return n, gone[1:]
}
