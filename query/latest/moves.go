package latest

import (
	"sync"
	"sync/atomic"

	"lastseen/query/latest/changelog"
)

// moves are, for each owner, the sessions that have come to be seen at another time since they were last taken, each
// once. While nobody takes them that costs a session that goes on moving nothing but a look at its record, and four
// bytes.
type moves struct {
	mu    sync.Mutex                    // held by who adds an owner
	owned atomic.Pointer[[]*ownedMoves] // by the owner's number
}

type ownedMoves struct {
	mu   sync.Mutex
	list []uint32 // refs
}

func (m *moves) of(owner uint32) *ownedMoves {
	if all := m.owned.Load(); all != nil && int(owner) < len(*all) {
		return (*all)[owner]
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []*ownedMoves
	if before := m.owned.Load(); before != nil {
		all = *before
	}
	for int(owner) >= len(all) { // readers hold the shorter slice and never look past its end
		all = append(all, new(ownedMoves))
	}
	m.owned.Store(&all)
	return all[owner]
}

func (m *ownedMoves) add(ref changelog.Ref) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list = append(m.list, uint32(ref))
}

func (m *ownedMoves) take() []uint32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	taken := m.list
	m.list = nil
	return taken
}

// takeMoves returns the refs of an owner's sessions that have moved. One that moves after it began is among those that it
// returns the next time.
func (t *records) takeMoves(owner uint32) []uint32 {
	refs := t.moves.of(owner).take()
	var entries [2 * prefetchLen]*entry
	for rest := refs; len(rest) > 0; {
		n := min(len(rest), len(entries))
		for i, ref := range rest[:n] {
			entries[i] = t.at(changelog.Ref(ref))
		}
		for _, e := range entries[:n] {
			e.words[2].Load() // side by side, the waits for memory are as one
		}
		for i, e := range entries[:n] {
			s := &t.shards[rest[i]>>refBits]
			s.mu.Lock() // against a writer that has read the word and is about to store it
			e.words[2].And(^(uint64(hasMoved) << 56))
			s.mu.Unlock()
		}
		rest = rest[n:]
	}
	return refs
}
