package sessions

import (
	"slices"
	"sync"
	"sync/atomic"

	"lastseen/schema"
)

// Newest knows the newest point of every session, and who may see it. A *latest.Table does. It is safe for concurrent
// use. A spot is a number of the session that stays: what stands below its upper eight bits counts from 0 for each
// value of those.
type Newest interface {
	// Spots fills spots with the spot of each session, which it makes known if it was not. spots is as long as ids.
	Spots(ids []schema.ID, spots []uint32)
	// Find returns the spot and the organisation of a session, and false unless who may see it.
	Find(id schema.ID, who schema.Viewer) (spot uint32, orgID string, ok bool)
	// SeenAt fills at with the timestamp (Unix milliseconds) of what is shown of each session, the least int64 for
	// none.
	SeenAt(spots []uint32, at []int64)
	// Moved returns the spots of an organisation's own sessions of which SeenAt has come to say something else since
	// Moved last returned them. It has no other caller.
	Moved(orgID string) []uint32
	// Newest returns what is shown of a session to those who may see it, nil when that is nothing.
	Newest(id schema.ID) *schema.DataPoint
}

// Index holds what people say of every session in memory, by organisation, so that what a list costs depends on what
// its caller may see and on nothing else. It is safe for concurrent use. It takes about 120 bytes a session.
type Index struct {
	newest Newest

	mu     sync.RWMutex
	byOrg  map[string]*fleet
	fleets []*fleet // by number

	places [256]placesOfShard
}

// placesOfShard are the rows of the sessions whose spots have the same upper bits. Whose fleet it is follows from the
// session. Readers take no lock.
type placesOfShard struct {
	mu   sync.Mutex                      // held by writers
	rows atomic.Pointer[[]atomic.Uint32] // by the lower bits of the spot, the number of the row + 1; 0 where there is none
}

// NewIndex returns an empty index of sessions whose newest points are in newest. PutSession fills it.
func NewIndex(newest Newest) *Index {
	return &Index{newest: newest, byOrg: make(map[string]*fleet)}
}

// PutSession makes a session known, or takes over what is new of it. Calls for one session come one after the other,
// of which the later one counts. A list that begins after it returned knows of it.
func (x *Index) PutSession(s schema.Session) { x.PutSessions([]schema.Session{s}) }

// PutSessions is PutSession of each of some different sessions. It keeps nothing of the slice. New ones of one organisation
// that stand one after the other cost less.
func (x *Index) PutSessions(sessions []schema.Session) {
	b := additions.Get().(*addition)
	defer additions.Put(b)
	for some := range slices.Chunk(sessions, addedAtOnce) {
		for i := range some {
			b.ids[i] = some[i].ID
		}
		spots := b.spots[:len(some)]
		x.newest.Spots(b.ids[:len(some)], spots)
		for from := 0; from < len(some); {
			f := x.fleet(some[from].OrgID)
			if number, known := x.rowAt(spots[from]); known {
				x.share(f, number, &some[from], f.change(number, &some[from]))
				from++
				continue
			}
			to := from + 1
			for to < len(some) && some[to].OrgID == f.orgID {
				if _, known := x.rowAt(spots[to]); known {
					break
				}
				to++
			}
			x.add(f, some[from:to], spots[from:to], b.seen[:to-from])
			from = to
		}
	}
}

// addedAtOnce is of how many new sessions a fleet makes rows before others have their turn with it.
const addedAtOnce = 256

// addition is memory for what is asked about sessions that are being added.
type addition struct {
	ids   [addedAtOnce]schema.ID
	spots [addedAtOnce]uint32
	seen  [addedAtOnce]int64
}

var additions = sync.Pool{New: func() any { return new(addition) }}

// share takes over with which organisations a session of a row is shared, and with which it was before.
func (x *Index) share(f *fleet, number uint32, s *schema.Session, before []string) {
	for _, org := range before {
		if org != s.OrgID && !slices.Contains(s.SharedWithOrgIDs, org) {
			x.fleet(org).share(placeOf(f, number), false)
		}
	}
	for _, org := range s.SharedWithOrgIDs {
		if org != s.OrgID {
			x.fleet(org).share(placeOf(f, number), true)
		}
	}
}

// add takes over sessions of an organisation that are new, with when they were last seen, for which at has room.
func (x *Index) add(f *fleet, sessions []schema.Session, spots []uint32, at []int64) {
	f.seeing.Lock() // so that they are not seen anew meanwhile
	first := f.add(sessions, spots)
	for i, spot := range spots {
		x.setRow(spot, first+uint32(i))
	}
	x.newest.SeenAt(spots, at)
	for i := range spots {
		f.setSeen(first+uint32(i), at[i])
	}
	f.seeing.Unlock()
	for i := range sessions {
		x.share(f, first+uint32(i), &sessions[i], nil)
	}
}

// refresh takes over when a fleet's sessions were last seen. It costs a look at each that was seen anew since the last time.
func (x *Index) refresh(f *fleet) {
	f.seeing.Lock() // also against who would go on without what another is about to take over
	defer f.seeing.Unlock()
	x.see(f, x.newest.Moved(f.orgID))
}

// seenAtOnce is of how many sessions it is asked at a time when they were last seen.
const seenAtOnce = 256

// see takes over when some of a fleet's sessions were last seen. The caller holds the fleet's seeing.
func (x *Index) see(f *fleet, spots []uint32) {
	at := make([]int64, min(len(spots), seenAtOnce)) // no more than that, since nearly always it is one
	for some := range slices.Chunk(spots, seenAtOnce) {
		x.newest.SeenAt(some, at[:len(some)])
		for i, spot := range some {
			if number, known := x.rowAt(spot); known { // or it is about to be added, with when it was last seen
				f.setSeen(number, at[i])
			}
		}
	}
}

// fleet returns the fleet of an organisation, a new one if it has none.
func (x *Index) fleet(orgID string) *fleet {
	if f := x.known(orgID); f != nil {
		return f
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	f := x.byOrg[orgID]
	if f == nil {
		f = &fleet{orgID: orgID, number: uint32(len(x.fleets))}
		x.byOrg[orgID] = f
		x.fleets = append(x.fleets, f)
	}
	return f
}

// known returns the fleet of an organisation, nil when it has no sessions.
func (x *Index) known(orgID string) *fleet {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.byOrg[orgID]
}

// at returns a fleet by its number.
func (x *Index) at(number uint32) *fleet {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.fleets[number]
}

const spotBits = 24 // of a spot, below the shard

// rowAt returns the row of the session at a spot, and false when there is none.
func (x *Index) rowAt(spot uint32) (number uint32, known bool) {
	rows := x.places[spot>>spotBits].rows.Load()
	at := int(spot & (1<<spotBits - 1))
	if rows == nil || at >= len(*rows) {
		return 0, false
	}
	number = (*rows)[at].Load()
	return number - 1, number != 0
}

func (x *Index) setRow(spot, number uint32) {
	shard := &x.places[spot>>spotBits]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	at := int(spot & (1<<spotBits - 1))
	rows := shard.rows.Load()
	if rows == nil || at >= len(*rows) {
		rows = shard.grow(at + 1)
	}
	(*rows)[at].Store(number + 1)
}

const leastPlaces = 16

// grow makes room for so many rows, and half as many again as there were. The caller holds mu.
func (p *placesOfShard) grow(rows int) *[]atomic.Uint32 {
	var before []atomic.Uint32
	if was := p.rows.Load(); was != nil {
		before = *was
	}
	grown := make([]atomic.Uint32, max(rows, leastPlaces, len(before)+len(before)/2))
	for i := range before {
		grown[i].Store(before[i].Load())
	}
	p.rows.Store(&grown)
	return &grown
}
