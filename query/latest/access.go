package latest

import (
	"slices"
	"sync"
	"sync/atomic"

	"lastseen/schema"
)

// organisations numbers organisation ids from 1, so that records need no pointer to say who owns
// them. Comparing a number with a name takes no lock. Names are never removed: there are as many as
// organisations that own a session.
type organisations struct {
	mu      sync.Mutex // held by writers
	numbers map[string]uint32
	names   atomic.Pointer[[]string] // only ever appended to
}

func newOrganisations() *organisations {
	o := &organisations{numbers: make(map[string]uint32)}
	o.names.Store(&[]string{""})
	return o
}

// number returns the number of an organisation, a new one if it has none.
func (o *organisations) number(orgID string) uint32 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n, ok := o.numbers[orgID]; ok {
		return n
	}
	names := *o.names.Load()
	n := uint32(len(names))
	// Readers hold the shorter slice and never look past its end.
	names = append(names, orgID)
	o.names.Store(&names)
	o.numbers[orgID] = n
	return n
}

// name returns the organisation with a number, "" for 0.
func (o *organisations) name(number uint32) string {
	return (*o.names.Load())[number]
}

// shares says with which organisations sessions are shared, for the few that are.
type shares struct {
	shards [64]sharesShard
	ended  atomic.Uint64 // how often a session ceased to be shared with an organisation
}

type sharesShard struct {
	some     atomic.Bool // there is one, or was
	mu       sync.RWMutex
	sessions map[schema.ID][]string
}

// shard spreads by the id's last byte, which is random.
func (s *shares) shard(id schema.ID) *sharesShard {
	return &s.shards[int(id[len(id)-1])%len(s.shards)]
}

// set replaces a session's organisations, and returns those that it had; it keeps orgIDs. Calls for one session come one after the other.
func (s *shares) set(id schema.ID, orgIDs []string) (before []string) {
	shard := s.shard(id)
	if len(orgIDs) == 0 && !shard.some.Load() {
		return nil
	}
	shard.some.Store(true)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	before = shard.sessions[id]
	for _, org := range before {
		if !slices.Contains(orgIDs, org) {
			defer s.ended.Add(1) // when the session's are those
			break
		}
	}
	if len(orgIDs) == 0 {
		delete(shard.sessions, id)
		return before
	}
	if shard.sessions == nil {
		shard.sessions = make(map[schema.ID][]string)
	}
	shard.sessions[id] = orgIDs
	return before
}

// of returns the organisations that a session is shared with, which nobody changes.
func (s *shares) of(id schema.ID) []string {
	shard := s.shard(id)
	shard.mu.RLock()
	defer shard.mu.RUnlock()
	return shard.sessions[id]
}

// with returns the sessions that are shared with an organisation.
func (s *shares) with(orgID string) (sessions []schema.ID) {
	for i := range s.shards {
		shard := &s.shards[i]
		shard.mu.RLock()
		for id, orgIDs := range shard.sessions {
			if slices.Contains(orgIDs, orgID) {
				sessions = append(sessions, id)
			}
		}
		shard.mu.RUnlock()
	}
	return sessions
}

// has reports whether a session is shared with an organisation.
func (s *shares) has(id schema.ID, orgID string) bool {
	shard := s.shard(id)
	shard.mu.RLock()
	defer shard.mu.RUnlock()
	return slices.Contains(shard.sessions[id], orgID)
}
