package latest

import (
	"encoding/binary"
	"hash/maphash"
	"runtime"
	"sync"
	"sync/atomic"

	"lastseen/query/latest/changelog"
	"lastseen/schema"
	"lastseen/schema/pages"
)

// records maps sessions to records. Readers take no lock and share no written cache line: a record is
// a seqlock over atomic words, and the hash index over the records is replaced, never changed, when
// it grows. Writers lock the shard of the session. Nothing in it is a pointer that the garbage
// collector must follow, but for one a chunk of records.
type records struct {
	seed   maphash.Seed
	shards [shardCount]shard
	moves  moves
}

const (
	shardBits  = 8
	shardCount = 1 << shardBits
	chunkLen   = 64
)

// shard holds the sessions whose hash begins with the shard's number.
type shard struct {
	mu       sync.Mutex // held by writers
	index    atomic.Pointer[index]
	used     atomic.Uint32     // records in use; set under mu
	_        [40]byte          // keeps the shards' locks on cache lines of their own
	spare    [][chunkLen]entry // that no index has yet, under mu
	changing record            // what update works on, under mu
}

// index finds the records of a shard. Free slots and absent chunks are filled in place; for more of
// them a larger index takes its place.
type index struct {
	slots  []atomic.Uint64 // open addressing: tag of the hash in the high half, number of the record + 1 in the low one
	chunks []atomic.Pointer[[chunkLen]entry]
}

// newIndex returns an index of slots, a power of two, three quarters of which may be taken.
func newIndex(slots int) *index {
	return &index{
		slots:  pages.Written(make([]atomic.Uint64, slots)),
		chunks: make([]atomic.Pointer[[chunkLen]entry], (slots*3/4+chunkLen-1)/chunkLen),
	}
}

// entry is a record as readers and a writer share it. The sequence number is odd while a writer is at work.
type entry struct {
	sequence atomic.Uint32
	slot     uint32 // in its owner's log of changes, by whose lock it is guarded
	words    [recordWords]atomic.Uint64
}

func newRecords() *records {
	return &records{seed: maphash.MakeSeed()}
}

// find returns the entry of a session, or nil.
func (t *records) find(id schema.ID) *entry {
	hash := maphash.Bytes(t.seed, id[:])
	index := t.shards[hash>>(64-shardBits)].index.Load()
	if index == nil {
		return nil
	}
	e, _ := index.find(id, hash)
	return e
}

// findOrAnother returns the entry of a session, or that of another one where it is not there: reading that takes as long, so that
// who asks cannot tell by the time whether a session that is not his is there. It returns nil where there is no other.
func (t *records) findOrAnother(id schema.ID) (e *entry, is bool) {
	hash := maphash.Bytes(t.seed, id[:])
	x := t.shards[hash>>(64-shardBits)].index.Load()
	if x == nil {
		return nil, false
	}
	if e, _ := x.find(id, hash); e != nil {
		return e, true
	}
	return x.another(hash), false
}

// another returns a record by a hash that leads to none, nil where there is none.
func (x *index) another(hash uint64) *entry {
	chunk := x.chunks[int(tag(hash))%len(x.chunks)].Load()
	if chunk == nil {
		chunk = x.chunks[0].Load()
	}
	if chunk == nil {
		return nil
	}
	return &chunk[hash%chunkLen]
}

// prefetchLen is how many sessions are located at a time: more than the misses that a processor
// works on at once, and few enough to stay in its nearest cache.
const prefetchLen = 16

// located is where up to prefetchLen sessions are to be looked for. Each look-up in a large table waits for memory twice, for the slot
// and for the record; here no wait depends on another's end, so they run side by side.
type located struct {
	hashes  [prefetchLen]uint64
	indexes [prefetchLen]*index // nil where the shard is empty
}

// locate fills l for some sessions, and has their slots loaded. It hashes all of them first: what a processor has under way at a time is so
// many instructions, and with hashes in between these would be few loads.
func (t *records) locate(ids []schema.ID, l *located) {
	for i := range ids {
		l.hashes[i] = maphash.Bytes(t.seed, ids[i][:])
	}
	for i, hash := range l.hashes[:len(ids)] {
		if x := t.shards[hash>>(64-shardBits)].index.Load(); x != nil {
			x.slots[hash&uint64(len(x.slots)-1)].Load()
			l.indexes[i] = x
		}
	}
}

// prefetch is locate, and brings the records of these sessions into the processor's cache, for who asks find for them.
func (t *records) prefetch(ids []schema.ID, l *located) {
	t.locate(ids, l)
	t.fetch(len(ids), l)
}

// fetch brings the records of so many located sessions into the processor's cache, and of those that have none what the next ones of
// their shards will be.
func (t *records) fetch(n int, l *located) {
	for i, x := range l.indexes[:n] {
		if x == nil {
			continue
		}
		e := x.tagged(l.hashes[i])
		if e == nil {
			e = x.unused(t.shards[l.hashes[i]>>(64-shardBits)].used.Load())
		}
		if e != nil {
			e.touch()
		}
	}
}

// unused returns the record with a number where there is memory for it, or nil.
func (x *index) unused(number uint32) *entry {
	if at := int(number / chunkLen); at < len(x.chunks) {
		if chunk := x.chunks[at].Load(); chunk != nil {
			return &chunk[number%chunkLen]
		}
	}
	return nil
}

// findEach is findOrAnother for up to prefetchLen sessions at a time. A bit of theirs says of each whether what was found is its own.
func (t *records) findEach(ids []schema.ID, found *[prefetchLen]*entry) (theirs uint32) {
	var l located
	t.locate(ids, &l)
	for i := range ids {
		found[i] = nil
		x := l.indexes[i]
		if x == nil {
			continue
		}
		e := x.tagged(l.hashes[i])
		if e != nil {
			theirs |= 1 << i
		} else if e = x.another(l.hashes[i]); e == nil {
			continue
		}
		found[i] = e
	}
	for _, e := range found[:len(ids)] {
		if e != nil {
			e.touch()
		}
	}
	for i := range ids {
		if theirs>>i&1 == 0 || found[i].id() == ids[i] {
			continue
		}
		var is bool // one tag stands for several sessions, which is rare
		if found[i], is = t.findOrAnother(ids[i]); !is {
			theirs &^= 1 << i
		}
	}
	return theirs
}

// tagged returns the first record whose slot has a hash's tag, or nil.
func (x *index) tagged(hash uint64) *entry {
	mask := uint64(len(x.slots) - 1)
	for at := hash & mask; ; at = (at + 1) & mask {
		slot := x.slots[at].Load()
		if slot == 0 {
			return nil
		}
		if slot>>32 == tag(hash) {
			return x.entry(uint32(slot) - 1)
		}
	}
}

// touch loads the ends of the record.
func (e *entry) touch() {
	e.words[0].Load()
	e.words[recordWords-1].Load()
}

// find returns the entry of a session and its slot, or nil and the free slot where it belongs.
func (x *index) find(id schema.ID, hash uint64) (*entry, *atomic.Uint64) {
	mask := uint64(len(x.slots) - 1)
	first, last := idWords(id)
	for at := hash & mask; ; at = (at + 1) & mask {
		slot := x.slots[at].Load()
		if slot == 0 {
			return nil, &x.slots[at]
		}
		if slot>>32 != tag(hash) {
			continue
		}
		e := x.entry(uint32(slot) - 1)
		// An entry keeps its session for good, so these words need no sequence check.
		if e.words[0].Load() == first && uint32(e.words[1].Load()) == last {
			return e, &x.slots[at]
		}
	}
}

// entry returns a record by its number; its chunk must be there.
func (x *index) entry(number uint32) *entry {
	return &x.chunks[number/chunkLen].Load()[number%chunkLen]
}

// tag is the part of a hash that a slot repeats, so that probing seldom touches other records. It
// overlaps neither the shard's bits nor, below 16 million slots, those of the slot's place.
func tag(hash uint64) uint64 {
	return hash >> 24 & 0xffffffff
}

// load copies the words of one moment.
func (e *entry) load(words *[recordWords]uint64) {
	for {
		before := e.sequence.Load()
		if before&1 == 0 {
			for i := range words {
				words[i] = e.words[i].Load()
			}
			if e.sequence.Load() == before {
				return
			}
		}
		runtime.Gosched() // the writer may have been preempted
	}
}

// get copies the record of a session and reports whether there is one.
func (t *records) get(id schema.ID, r *record) bool {
	e := t.find(id)
	if e == nil {
		return false
	}
	var words [recordWords]uint64
	e.load(&words)
	r.unpack(&words)
	return true
}

// refBits is how many bits of a Ref say which record of a shard is meant: one shard holds at most so many sessions.
const refBits = 32 - shardBits

func refOf(shard uint64, number uint32) changelog.Ref {
	return changelog.Ref(shard<<refBits | uint64(number+1))
}

// at returns the entry of a number.
func (t *records) at(ref changelog.Ref) *entry {
	return t.shards[ref>>refBits].index.Load().entry(uint32(ref)&(1<<refBits-1) - 1)
}

// each calls f for every record that is there.
func (t *records) each(f func(changelog.Ref, *entry)) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		used := s.used.Load()
		s.mu.Unlock()
		for number := range used {
			f(refOf(uint64(i), number), s.index.Load().entry(number))
		}
	}
}

// id returns the entry's session, which never changes.
func (e *entry) id() schema.ID { return wordsID(e.words[0].Load(), e.words[1].Load()) }

// reserve returns the entry of a session and its number in the shard, or an unused one and the slot that is to lead to
// it. The caller holds the shard's lock.
func (t *records) reserve(s *shard, id schema.ID, hash uint64) (*entry, uint32, *atomic.Uint64) {
	x := s.index.Load()
	if x == nil {
		x = newIndex(16)
		s.index.Store(x)
	}
	e, slot := x.find(id, hash)
	if e != nil {
		return e, uint32(slot.Load()) - 1, nil
	}
	number := s.used.Load()
	if 4*(int(number)+1) > 3*len(x.slots) {
		x = t.grow(s, x, 2*len(x.slots))
		_, slot = x.find(id, hash)
	}
	if chunk := &x.chunks[number/chunkLen]; chunk.Load() == nil {
		chunk.Store(s.newChunk(number))
	}
	return x.entry(number), number, slot
}

// newChunk returns unused records, of which the first has a number. A shard that has many gets memory for several chunks at a time. The
// caller holds the shard's lock.
func (s *shard) newChunk(number uint32) *[chunkLen]entry {
	const several, many = 4, 32 * chunkLen
	if len(s.spare) == 0 {
		chunks := 1
		if number >= many {
			chunks = several
		}
		s.spare = pages.Written(make([][chunkLen]entry, chunks))
	}
	chunk := &s.spare[0]
	s.spare = s.spare[1:]
	return chunk
}

// expect makes room for so many sessions in all, which are about evenly spread over the shards.
func (t *records) expect(sessions int) {
	slots := 16
	for 3*slots < 4*(sessions/shardCount+1) {
		slots *= 2
	}
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		if x := s.index.Load(); x == nil {
			s.index.Store(newIndex(slots))
		} else if len(x.slots) < slots {
			t.grow(s, x, slots)
		}
		s.mu.Unlock()
	}
}

// grow replaces a shard's index by one with more slots; readers of the old one go on undisturbed. The caller holds the
// shard's lock.
func (t *records) grow(s *shard, x *index, slots int) *index {
	grown := newIndex(slots)
	for i := range x.chunks {
		grown.chunks[i].Store(x.chunks[i].Load())
	}
	for i := range x.slots {
		slot := x.slots[i].Load()
		if slot == 0 {
			continue
		}
		e := x.entry(uint32(slot) - 1)
		id := wordsID(e.words[0].Load(), e.words[1].Load())
		_, free := grown.find(id, maphash.Bytes(t.seed, id[:]))
		free.Store(slot)
	}
	s.index.Store(grown)
	return grown
}

// len counts the records.
func (t *records) len() (n int) {
	for i := range t.shards {
		n += int(t.shards[i].used.Load())
	}
	return n
}

// idWords returns an id as it stands in a record's words.
func idWords(id schema.ID) (first uint64, last uint32) {
	return binary.LittleEndian.Uint64(id[:8]), binary.LittleEndian.Uint32(id[8:])
}

// wordsID is the reverse of idWords.
func wordsID(first, second uint64) (id schema.ID) {
	binary.LittleEndian.PutUint64(id[:8], first)
	binary.LittleEndian.PutUint32(id[8:], uint32(second))
	return id
}

// seenAt is SeenAt of one record. It reads two words of it.
func (e *entry) seenAt() int64 {
	before := e.sequence.Load()
	facts, timestamp := e.words[2].Load(), e.words[4].Load()
	if before&1 != 0 || e.sequence.Load() != before {
		var words [recordWords]uint64
		e.load(&words)
		facts, timestamp = words[2], words[4]
	}
	if recordFlags(facts>>56)&hasPoint == 0 || schema.Outlier(facts>>48&0xff) != schema.NotOutlier {
		return NotSeen
	}
	return int64(timestamp)
}

// ref returns the number of a session's record, and false when there is none.
func (t *records) ref(id schema.ID) (changelog.Ref, bool) {
	return t.refHashed(id, maphash.Bytes(t.seed, id[:]))
}

// refHashed is ref for who has located the session.
func (t *records) refHashed(id schema.ID, hash uint64) (changelog.Ref, bool) {
	x := t.shards[hash>>(64-shardBits)].index.Load()
	if x == nil {
		return 0, false
	}
	e, slot := x.find(id, hash)
	if e == nil {
		return 0, false
	}
	return refOf(hash>>(64-shardBits), uint32(slot.Load())-1), true
}
