package latest

import (
	"hash/maphash"
	"sync/atomic"

	"lastseen/query/latest/changelog"
	"lastseen/schema"
)

// update changes the record of a session, a new one if there is none, and returns its number and its entry. change
// runs under the shard's lock and must not come back to the records.
func (t *records) update(id schema.ID, change func(*record)) (changelog.Ref, *entry) {
	return t.updateHashed(id, maphash.Bytes(t.seed, id[:]), change)
}

// updateHashed is update for who has located the session.
func (t *records) updateHashed(id schema.ID, hash uint64, change func(*record)) (changelog.Ref, *entry) {
	s := &t.shards[hash>>(64-shardBits)]
	s.mu.Lock()
	defer s.mu.Unlock()
	e, number, slot := t.reserve(s, id, hash)
	var words [recordWords]uint64
	for i := range words {
		words[i] = e.words[i].Load()
	}
	before := words
	r := &s.changing // and not a local one, which would be allocated for every point
	*r = record{}
	r.unpack(&words)
	r.point.SessionID = id
	owner, seen := r.owner, r.seenAt()
	change(r)
	moved := r.owner != 0 && !r.has(hasMoved) && (owner == 0 || r.seenAt() != seen)
	r.set(hasMoved, moved || r.has(hasMoved))
	r.pack(&words)
	e.sequence.Add(1)
	for i := range words {
		if words[i] != before[i] { // a store of what readers share costs more than all else here
			e.words[i].Store(words[i])
		}
	}
	e.sequence.Add(1)
	return t.note(s, hash, number, slot, r.owner, moved), e
}

// accessFlags are those that updateAccess sets.
const accessFlags = isPublic | isShared | hasEnded

// updateAccess is updateHashed of who may see a session and whether it has ended, which are two words of the record; the rest stays as it is.
func (t *records) updateAccess(id schema.ID, hash uint64, owner uint32, flags recordFlags) (changelog.Ref, *entry) {
	s := &t.shards[hash>>(64-shardBits)]
	s.mu.Lock()
	defer s.mu.Unlock()
	e, number, slot := t.reserve(s, id, hash)
	first, last := idWords(id)
	second, third := e.words[1].Load(), e.words[2].Load()
	before := recordFlags(third >> 56)
	flags |= before &^ accessFlags
	moved := owner != 0 && before&hasMoved == 0 && second>>32 == 0
	if moved {
		flags |= hasMoved
	}
	e.sequence.Add(1)
	if slot != nil {
		e.words[0].Store(first)
	}
	if with := uint64(last) | uint64(owner)<<32; with != second {
		e.words[1].Store(with)
	}
	if with := third&(1<<56-1) | uint64(flags)<<56; with != third {
		e.words[2].Store(with)
	}
	e.sequence.Add(1)
	return t.note(s, hash, number, slot, owner, moved), e
}

// note makes a record known that has been changed, by the slot that is to lead to it where it is new, and that it has moved. The caller holds the
// shard's lock, so that nobody takes another change of the session for one that is noted.
func (t *records) note(s *shard, hash uint64, number uint32, slot *atomic.Uint64, owner uint32, moved bool) changelog.Ref {
	if slot != nil {
		slot.Store(tag(hash)<<32 | uint64(number+1))
		s.used.Store(number + 1)
	}
	ref := refOf(hash>>(64-shardBits), number)
	if moved {
		t.moves.of(owner).add(ref)
	}
	return ref
}
