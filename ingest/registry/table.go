package registry

import (
	"hash/maphash"
	"math/bits"

	"lastseen/schema"
	"lastseen/schema/pages"
)

// table finds what is registered by a key that it holds itself: pointers by open addressing, with a byte of each one's hash
// beside it, which is 11 to 16 bytes an entry where a map with the key beside the pointer takes some 40. Nothing is ever
// taken out. The zero value is empty.
type table[T any] struct {
	tags  []uint8 // of each slot; 0 where it is free
	slots []*T
	used  int
	// numbers are what a loader notes of each slot's entry; nil but for its time.
	numbers []int64
}

const leastSlots = 64

// tagOf is the part of a hash that tells whether it is worth looking at a slot; that it is not 0 is what the upper bit is
// for. The place of a slot follows from the other end of the hash.
func tagOf(hash uint64) uint8 { return uint8(hash) | 0x80 }

// search returns the slot of the entry with a hash that is the one, or the free slot where it belongs. There must be slots.
func (t *table[T]) search(hash uint64, is func(*T) bool) int {
	place, _ := bits.Mul64(hash, uint64(len(t.slots)))
	for at := int(place); ; {
		if t.tags[at] == 0 || t.tags[at] == tagOf(hash) && is(t.slots[at]) {
			return at
		}
		if at++; at == len(t.slots) {
			at = 0
		}
	}
}

// get returns the entry with a hash that is the one, nil when there is none.
func (t *table[T]) get(hash uint64, is func(*T) bool) *T {
	if t.used == 0 {
		return nil
	}
	return t.slots[t.search(hash, is)]
}

// put adds an entry with a hash, in the place of the one that is the same, if there is one. hashOf tells the hash of each entry.
func (t *table[T]) put(e *T, hash uint64, is func(*T) bool, hashOf func(*T) uint64) {
	t.makeRoom(hashOf)
	t.set(t.search(hash, is), hash, e)
}

// set puts an entry with a hash into a slot that search returned.
func (t *table[T]) set(at int, hash uint64, e *T) {
	if t.slots[at] == nil {
		t.used++
	}
	t.tags[at], t.slots[at] = tagOf(hash), e
}

// makeRoom grows the table if one more would be too many.
func (t *table[T]) makeRoom(hashOf func(*T) uint64) {
	if t.used >= len(t.slots)/20*17 {
		t.grow(hashOf)
	}
}

// likely returns the first entry that a search for a hash would look at, which nearly always is the one, nil for none.
func (t *table[T]) likely(hash uint64) *T {
	return t.slots[t.search(hash, func(*T) bool { return true })]
}

// touch reads what a search for a hash begins with, and what a loader notes there. Many after one another wait for memory together.
func (t *table[T]) touch(hash uint64) (read byte) {
	place, _ := bits.Mul64(hash, uint64(len(t.slots)))
	read = t.tags[place]
	if t.slots[place] != nil {
		read++
	}
	if t.numbers != nil {
		read += byte(t.numbers[place])
	}
	return read
}

// reserve makes room in an empty table for so many entries and an eighth more, so that it need not grow soon.
func (t *table[T]) reserve(entries int) {
	slots := max(leastSlots, (entries+entries/8)/17*20)
	t.tags, t.slots = pages.Written(make([]uint8, slots)), pages.Written(make([]*T, slots))
}

// grow makes room for half as many again.
func (t *table[T]) grow(hashOf func(*T) uint64) {
	before, numbers := t.slots, t.numbers
	slots := max(leastSlots, len(before)+len(before)/2)
	t.tags, t.slots = pages.Written(make([]uint8, slots)), pages.Written(make([]*T, slots))
	if numbers != nil {
		t.numbers = make([]int64, slots)
	}
	for i, e := range before {
		if e == nil {
			continue
		}
		hash := hashOf(e)
		at := t.search(hash, func(*T) bool { return false })
		t.tags[at], t.slots[at] = tagOf(hash), e
		if numbers != nil {
			t.numbers[at] = numbers[i]
		}
	}
}

// known are the devices and sessions. Guarded by Registry.mu.
type known struct {
	seed     maphash.Seed
	devices  table[device]
	byMAC    table[device] // by identity
	sessions table[session]
}

// reserve makes room for what is about to be known.
func (k *known) reserve(devices, sessions int) {
	k.devices.reserve(devices)
	k.byMAC.reserve(devices)
	k.sessions.reserve(sessions)
}

func (k *known) hashOfID(id schema.ID) uint64 { return maphash.Bytes(k.seed, id[:]) }

// device returns a device by its id, nil when there is none.
func (k *known) device(id schema.ID) *device {
	return k.devices.get(k.hashOfID(id), func(d *device) bool { return d.id == id })
}

// slotOfDevice returns the slot of a device, or the free one where it belongs, given the hash of its id.
func (k *known) slotOfDevice(id schema.ID, hash uint64) int {
	k.devices.makeRoom(func(d *device) uint64 { return k.hashOfID(d.id) })
	return k.devices.search(hash, func(d *device) bool { return d.id == id })
}

// putDevice makes a device known, given the hash of its id.
func (k *known) putDevice(d *device, hash uint64) {
	k.devices.put(d, hash, func(other *device) bool { return other.id == d.id }, func(d *device) uint64 { return k.hashOfID(d.id) })
}

// session returns a session by its id, nil when there is none.
func (k *known) session(id schema.ID) *session {
	return k.sessions.get(k.hashOfID(id), func(s *session) bool { return s.id == id })
}

// putSession makes a session known, given the hash of its id.
func (k *known) putSession(s *session, hash uint64) {
	k.sessions.put(s, hash, func(other *session) bool { return other.id == s.id }, func(s *session) uint64 { return k.hashOfID(s.id) })
}

// deviceByMAC returns the device whose address has an identity, nil when there is none.
func (k *known) deviceByMAC(identity string) *device {
	return k.byMAC.get(maphash.String(k.seed, identity), func(d *device) bool { return d.hasIdentity(identity) })
}

// putMAC makes a device the one that is found by its address, which has an identity.
func (k *known) putMAC(d *device, identity string) {
	k.byMAC.put(d, k.hashOfMAC(d), func(other *device) bool { return other.hasIdentity(identity) }, k.hashOfMAC)
}

func (k *known) hashOfMAC(d *device) uint64 {
	var buffer [maxMACAddress]byte
	if identity, ok := AppendMACIdentity(buffer[:0], d.mac); ok {
		return maphash.Bytes(k.seed, identity)
	}
	return maphash.String(k.seed, d.mac)
}

// hasIdentity reports whether it is what identity returns, without making it.
func (d *device) hasIdentity(identity string) bool {
	var buffer [maxMACAddress]byte
	own, ok := AppendMACIdentity(buffer[:0], d.mac)
	return ok && string(own) == identity || !ok && d.mac == identity
}
