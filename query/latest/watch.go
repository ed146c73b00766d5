package latest

import (
	"sync"
	"sync/atomic"

	"lastseen/schema"
)

// watches are who waits for which session to change. Writers look at nothing but one number while
// nobody waits.
//
// No change is missed: a watch is counted before its owner looks at the session (again), and a writer
// looks at the count after it has changed the session. So either the owner sees the change or the
// writer sees the watch.
type watches struct {
	count  atomic.Int64
	shards [watchShards]watchShard
}

const watchShards = 64

type watchShard struct {
	mu        sync.Mutex
	bySession map[schema.ID]map[*Watch]struct{}
	_         [48]byte // keeps the shards' locks on cache lines of their own
}

// Watch tells its owner when a session may have changed. It belongs to one goroutine, which stops it.
type Watch struct {
	all     *watches
	session schema.ID
	changed chan struct{} // has room for one
}

// Watch begins to watch a session, given by the text of its id, and returns nil for a text that is no
// id. What changed before it returned is not told: look the session up after that. It checks no
// access; a look-up does.
func (t *Table) Watch(sessionID []byte) *Watch {
	id, ok := schema.ParseID(sessionID)
	if !ok {
		return nil
	}
	w := &Watch{all: &t.watches, session: id, changed: make(chan struct{}, 1)}
	t.watches.count.Add(1)
	shard := t.watches.shard(id)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if shard.bySession == nil {
		shard.bySession = make(map[schema.ID]map[*Watch]struct{})
	}
	if shard.bySession[id] == nil {
		shard.bySession[id] = make(map[*Watch]struct{}, 1)
	}
	shard.bySession[id][w] = struct{}{}
	return w
}

// Changed receives when what is shown of the session, or who may see it, may have changed since the
// last receive.
func (w *Watch) Changed() <-chan struct{} { return w.changed }

// Stop ends the watch. It may be called once.
func (w *Watch) Stop() {
	shard := w.all.shard(w.session)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	of := shard.bySession[w.session]
	if delete(of, w); len(of) == 0 {
		delete(shard.bySession, w.session)
	}
	w.all.count.Add(-1)
}

// shard spreads by the id's last byte, which is random.
func (w *watches) shard(id schema.ID) *watchShard {
	return &w.shards[id[len(id)-1]%watchShards]
}

// wakeEach is wake for sessions, each once though it may be among them several times: however many points of a
// session come together, who watches it looks once.
func (w *watches) wakeEach(sessions []schema.ID) {
	if w.count.Load() == 0 {
		return
	}
	woken := make(map[schema.ID]struct{}, len(sessions))
	for _, id := range sessions {
		if _, again := woken[id]; !again {
			woken[id] = struct{}{}
			w.wake(id)
		}
	}
}

// wakeAll tells everybody who watches anything.
func (w *watches) wakeAll() {
	if w.count.Load() == 0 {
		return
	}
	for i := range w.shards {
		shard := &w.shards[i]
		shard.mu.Lock()
		for _, of := range shard.bySession {
			for watch := range of {
				watch.tell()
			}
		}
		shard.mu.Unlock()
	}
}

// wake tells everybody who watches a session that it has changed, which it has by now.
func (w *watches) wake(id schema.ID) {
	if w.count.Load() == 0 {
		return
	}
	shard := w.shard(id)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	for watch := range shard.bySession[id] {
		watch.tell()
	}
}

// tell has the owner look again. One that has yet to look at an earlier change will see this one too.
func (w *Watch) tell() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// SetRun says what tells places in this table from those in tables of other processes, where others must know it too. It is
// called before anybody follows.
func (t *Table) SetRun(run uint64) { t.run = run }

// Holds reports whether a place is one in this table.
func (t *Table) Holds(place Place) bool { return place.Run == t.run }

// Follow begins to follow what an organisation sees within a scope: from a place of an earlier Follower of the same
// organisation and scope, or, without one, from where every session is given first. Where the table does not remember
// what has happened since that place it begins anew too, and reset is set.
func (t *Table) Follow(orgID string, scope schema.OrgScope, from *Place) (f *Follower, reset bool) {
	f = &Follower{table: t, orgID: orgID}
	if scope != schema.Shared {
		f.parts = append(f.parts, followed{t.changes.ownedBy(t.orgs.number(orgID)), &f.place.Owned})
	}
	if scope != schema.Owned {
		f.parts = append(f.parts, followed{t.changes.followShared(orgID), &f.place.Shared})
	}
	t.endDue()
	if from != nil && t.Holds(*from) {
		f.place = *from
		held := true
		for _, part := range f.parts {
			held = held && part.log.Holds(*part.place)
		}
		if held {
			return f, false
		}
	}
	f.place = Place{Run: t.run}
	for _, part := range f.parts {
		*part.place = part.log.Begin()
	}
	return f, from != nil
}

// WakeAll tells everybody who watches a session to look at it again.
func (t *Table) WakeAll() { t.watches.wakeAll() }
