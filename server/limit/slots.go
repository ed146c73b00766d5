package limit

import (
	"context"
	"math"
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Slots bound how many connections poll last_seen while more of them do than the processors keep up with. A poll costs
// as much to refuse as to answer, so what helps is not to read: those who have a slot keep it as long as they go on
// polling, which keeps their latency; the others are refused and not read for a while (see transport.Conn.Hold).
//
// There is no limit while polls do not wait for processors, whatever their number, or while few connections poll. Once
// a crowd has waited too long in most of the last looks there are slots, first for as many connections as surely keep
// the processors busy, then for more as long as the wait is under a quarter of that, and for fewer while it is over
// half. The limit goes after a round of looks in which nobody was refused, or no more than a few connections polled.
//
// Slots are shared evenly by the organisations that want them and, within that, by the age of the connections, so that
// those who were served before a crowd came are served on. Slots are safe for concurrent use.
type Slots struct {
	longestWait time.Duration                  // for a processor, of nine of ten goroutines
	waited      func() (of9in10 time.Duration) // since the last call
	crowd       int64                          // connections; with no more of them there is no limit
	least       int
	all         []slot // as many as there can ever be
	began       time.Time

	limit     atomic.Int64 // how many of the slots there are now; 0: no limit
	looks     atomic.Int64
	polling   atomic.Int64 // connections, since the last look
	recurring atomic.Int64 // connections, in this round
	refusals  atomic.Uint64

	idle atomic.Int64 // idleSlot, in nanoseconds

	giving  sync.Mutex // held by who gives or takes away a slot
	holders map[string]int

	strained uint8  // a bit a look, the last one lowest: set when a crowd waited too long
	refused  uint64 // when this round began
}

// slot is a place for one connection that polls. Each has a cache line of its own.
type slot struct {
	connection   atomic.Uint64 // its serial number; 0: nobody's yet
	usedAt       atomic.Int64  // nanoseconds since Slots.began: clocks may be set back
	organisation string        // guarded by Slots.giving
	_            [32]byte
}

// Holder is what a connection remembers of the slots. Only the goroutine that serves the connection uses it. The zero value
// is none: see NewHolder.
type Holder struct {
	serial       uint64 // no other connection has it
	slot         int64  // number of the one it had last
	organisation string // whose that was: a proxy's connection has one for each organisation that polls over it
	polledIn     int64  // the number of looks of Slots when it did last
}

// NewHolder returns the Holder of a new connection. The serial number is greater than those of older connections, and
// not 0.
func NewHolder(serial uint64) Holder { return Holder{serial: serial} }

// CrowdPerProcessor is how many connections may poll last_seen at the same time, a processor, without a limit, however
// long they wait (see NewSlots).
const CrowdPerProcessor = 128

const (
	// slotsPerProcessor is how many connections with one request each keep a processor busy beyond doubt.
	slotsPerProcessor = 40
	// mostSlots is how many times slotsPerProcessor there can be: with more, the wait would not be short, and there is no
	// limit.
	mostSlots = 32
	// idleSlot is how long a slot stays with a connection that does not poll. Who polls as fast as it can comes back
	// sooner, and who polls now and then needs none for longer.
	idleSlot = 5 * time.Millisecond

	lookInterval   = 100 * time.Millisecond
	looksOfStrain  = 5 // of the last lastLooks make a limit; bursts some times a second do not
	lastLooks      = 6
	looksOfRound   = 12 // longer than a refused connection is held, so that all who go on polling are counted
	growth, shrink = 1.25, 0.7
)

// NewSlots makes slots that become fewer than those who want them when nine of ten goroutines have waited for a processor
// for longer than longestWait. Somebody must Watch.
func NewSlots(longestWait time.Duration) *Slots {
	processors := runtime.GOMAXPROCS(0)
	least := slotsPerProcessor * processors
	s := &Slots{
		longestWait: longestWait, waited: newSchedulerWaits().since, crowd: int64(CrowdPerProcessor * processors),
		least: least, all: make([]slot, mostSlots*least), began: time.Now(), holders: map[string]int{},
	}
	s.idle.Store(int64(idleSlot))
	s.looks.Store(looksOfRound) // those of a connection that never polled are 0
	return s
}

// Keep reports whether an organisation may poll over a connection now without being given a slot.
func (s *Slots) Keep(c *Holder, organisation string, now time.Time) bool {
	if look := s.looks.Load(); c.polledIn != look {
		if c.polledIn/looksOfRound != look/looksOfRound {
			s.recurring.Add(1)
		}
		c.polledIn = look
		s.polling.Add(1)
	}
	limit := s.limit.Load()
	if limit == 0 {
		return true
	}
	if c.slot >= limit || c.organisation != organisation {
		return false
	}
	own := &s.all[c.slot]
	if own.connection.Load() != c.serial {
		return false
	}
	own.usedAt.Store(s.at(now))
	return true
}

func (s *Slots) at(now time.Time) int64 { return int64(now.Sub(s.began)) }

// Enter returns nil when an organisation may poll over a connection now, and gives it a slot if it needs one and can have one; otherwise it
// returns ErrSlots. A nil connection is one of a kind to which slots do not apply.
func (s *Slots) Enter(c *Holder, organisation string, now time.Time) error {
	if c == nil || s.Keep(c, organisation, now) || s.give(c, organisation, s.at(now)) {
		return nil
	}
	s.refusals.Add(1)
	return ErrSlots
}

// give gives a connection a slot that is not used, or one of the organisation that has most, if that leaves its own with
// no more, or one of a younger connection of an organisation that has no less than its own would have.
func (s *Slots) give(c *Holder, organisation string, at int64) bool {
	s.giving.Lock()
	defer s.giving.Unlock()
	limit := s.limit.Load()
	if limit == 0 {
		return true
	}
	if s.regain(c, organisation, at, limit) {
		return true
	}
	clear(s.holders)
	for number := range limit {
		candidate := &s.all[number]
		if candidate.connection.Load() == 0 || at-candidate.usedAt.Load() >= s.idle.Load() {
			s.assign(c, number, organisation, at)
			return true
		}
		s.holders[candidate.organisation]++
	}
	most, share := 0, s.holders[organisation]+1
	for _, held := range s.holders {
		most = max(most, held)
	}
	youngest, of := uint64(0), int64(0)
	for number := range limit {
		candidate := &s.all[number]
		held := s.holders[candidate.organisation]
		if most > share && held < most || held < share && candidate.organisation != organisation {
			continue
		}
		if serial := candidate.connection.Load(); serial > youngest {
			youngest, of = serial, number
		}
	}
	if most <= share && youngest < c.serial {
		return false
	}
	s.assign(c, of, organisation, at)
	return true
}

// regain finds the slot that an organisation has on a connection over which another has polled since.
func (s *Slots) regain(c *Holder, organisation string, at, limit int64) bool {
	if c.organisation == organisation {
		return false // it was looked at, and is somebody else's
	}
	for number := range limit {
		if own := &s.all[number]; own.connection.Load() == c.serial && own.organisation == organisation {
			s.assign(c, number, organisation, at)
			return true
		}
	}
	return false
}

func (s *Slots) assign(c *Holder, number int64, organisation string, at int64) {
	taken := &s.all[number]
	taken.organisation = organisation
	taken.usedAt.Store(at)
	taken.connection.Store(c.serial)
	c.slot, c.organisation = number, organisation
}

// Fix makes so many slots, which those who have them first keep for good: for tests of what becomes of the others.
// Nobody may Watch.
func (s *Slots) Fix(slots int) {
	s.idle.Store(math.MaxInt64)
	s.limit.Store(int64(slots))
}

// Watch looks ten times a second until ctx ends.
func (s *Slots) Watch(ctx context.Context) {
	ticks := time.NewTicker(lookInterval)
	defer ticks.Stop()
	for {
		select {
		case <-ticks.C:
			s.look()
		case <-ctx.Done():
			return
		}
	}
}

// look sets the limit by what has happened since the last look.
func (s *Slots) look() {
	wait, polling := s.waited(), s.polling.Swap(0)
	if s.strained <<= 1; wait > s.longestWait && polling > s.crowd {
		s.strained |= 1
	}
	limit, calm := int(s.limit.Load()), false
	if (s.looks.Load()+1)%looksOfRound == 0 {
		refused := s.refusals.Load()
		few := s.recurring.Swap(0) <= s.crowd
		calm = few || refused == s.refused
		s.refused = refused
	}
	s.looks.Add(1)
	switch {
	case limit == 0 && bits.OnesCount8(s.strained<<(8-lastLooks)) >= looksOfStrain:
		limit = s.least
	case limit == 0:
		return
	case calm:
		limit = 0
	case wait > s.longestWait/2:
		limit = max(s.least, int(float64(limit)*shrink))
	case wait < s.longestWait/4:
		limit = int(float64(limit)*growth) + 1
	}
	if limit > len(s.all) {
		limit = 0
	}
	s.limit.Store(int64(limit))
}

// Stats says how many have a slot and use it. The capacity is 0 while there is no limit.
func (s *Slots) Stats(now time.Time) Stats {
	limit := s.limit.Load()
	stats := Stats{Name: "poll_slots", Capacity: int(limit), Refused: s.refusals.Load()}
	for number := range limit {
		if used := &s.all[number]; used.connection.Load() != 0 && s.at(now)-used.usedAt.Load() < s.idle.Load() {
			stats.InUse++
		}
	}
	return stats
}
