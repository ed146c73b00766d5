package server

import (
	"context"
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// seats bound how many connections poll last_seen while more of them do than the processors keep up with. A poll costs
// as much to refuse as to answer, so what helps is not to read: those who have a seat keep it as long as they go on
// polling, which keeps their latency; the others are refused and not read for a while (see hold.go).
//
// There is no limit while polls do not wait for processors, whatever their number, or while few connections poll. Once
// a crowd has waited too long in most of the last looks there are seats, first for as many connections as surely keep
// the processors busy, then for more as long as the wait is under a quarter of that, and for fewer while it is over
// half. The limit goes after a round of looks in which nobody was refused, or no more than a few connections polled.
//
// Seats are shared evenly by the organisations that want them and, within that, by the age of the connections, so that
// those who were served before a crowd came are served on. It is safe for concurrent use.
type seats struct {
	longestWait time.Duration                  // for a processor, of nine of ten goroutines
	waited      func() (of9in10 time.Duration) // since the last call
	crowd       int64                          // connections; with no more of them there is no limit
	least       int
	all         []seat // as many as there can ever be
	began       time.Time

	limit     atomic.Int64 // how many of the seats there are now; 0: no limit
	looks     atomic.Int64
	polling   atomic.Int64 // connections, since the last look
	recurring atomic.Int64 // connections, in this round
	refusals  atomic.Uint64

	giving  sync.Mutex // held by who gives or takes away a seat
	holders map[string]int

	strained uint8  // a bit a look, the last one lowest: set when a crowd waited too long
	refused  uint64 // when this round began
}

// seat is a place for one connection that polls. Each has a cache line of its own.
type seat struct {
	connection   atomic.Uint64 // its serial number; 0: nobody's yet
	usedAt       atomic.Int64  // nanoseconds since seats.began: clocks may be set back
	organisation string        // guarded by seats.giving
	_            [32]byte
}

// CrowdPerProcessor is how many connections may poll last_seen at the same time, a processor, without a limit, however
// long they wait (see Config.PollWait).
const CrowdPerProcessor = 128

const (
	// seatsPerProcessor is how many connections with one request each keep a processor busy beyond doubt.
	seatsPerProcessor = 40
	// mostSeats is that many times as many: with more, the wait would not be short, and there is no limit.
	mostSeats = 32
	// idleSeat is how long a seat stays with a connection that does not poll. Who polls as fast as it can comes back
	// sooner, and who polls now and then needs none for longer.
	idleSeat = 5 * time.Millisecond

	lookInterval   = 100 * time.Millisecond
	looksOfStrain  = 5 // of the last lastLooks make a limit; bursts some times a second do not
	lastLooks      = 6
	looksOfRound   = 12 // longer than a refused connection is held, so that all who go on polling are counted
	growth, shrink = 1.25, 0.7
)

func newSeats(longestWait time.Duration) *seats {
	processors := runtime.GOMAXPROCS(0)
	least := seatsPerProcessor * processors
	s := &seats{
		longestWait: longestWait, waited: newSchedulerWaits().since, crowd: int64(CrowdPerProcessor * processors),
		least: least, all: make([]seat, mostSeats*least), began: time.Now(), holders: map[string]int{},
	}
	s.looks.Store(looksOfRound) // those of a connection that never polled are 0
	return s
}

var problemSeats = &problem{status: fasthttp.StatusServiceUnavailable, reason: reasonBusy, retryAfter: 1,
	detail: "More connections poll than the service keeps up with; try again in a second, and with fewer connections if you have many."}

// keep reports whether a connection may poll now without being given a seat.
func (s *seats) keep(c *conn, now time.Time) bool {
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
	if c.seat >= limit {
		return false
	}
	own := &s.all[c.seat]
	if own.connection.Load() != c.serial {
		return false
	}
	own.usedAt.Store(s.at(now))
	return true
}

func (s *seats) at(now time.Time) int64 { return int64(now.Sub(s.began)) }

// take reports whether a connection may poll now, and gives it a seat if it needs one and can have one.
func (s *seats) take(c *conn, organisation string, now time.Time) bool {
	if s.keep(c, now) || s.give(c, organisation, s.at(now)) {
		return true
	}
	s.refusals.Add(1)
	return false
}

// give gives a connection a seat that is not used, or one of the organisation that has most, if that leaves its own with
// no more, or one of a younger connection of an organisation that has no less than its own would have.
func (s *seats) give(c *conn, organisation string, at int64) bool {
	s.giving.Lock()
	defer s.giving.Unlock()
	limit := s.limit.Load()
	if limit == 0 {
		return true
	}
	clear(s.holders)
	for number := range limit {
		candidate := &s.all[number]
		if candidate.connection.Load() == 0 || at-candidate.usedAt.Load() >= int64(idleSeat) {
			s.sit(c, number, organisation, at)
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
	s.sit(c, of, organisation, at)
	return true
}

func (s *seats) sit(c *conn, number int64, organisation string, at int64) {
	taken := &s.all[number]
	taken.organisation = organisation
	taken.usedAt.Store(at)
	taken.connection.Store(c.serial)
	c.seat = number
}

// watch looks ten times a second until ctx ends.
func (s *seats) watch(ctx context.Context) {
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
func (s *seats) look() {
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

// takeSeat returns problemSeats for a poll of a connection that may not poll now. Those who ask without a credential
// count as one organisation.
func (c *call) takeSeat() error {
	connection, ours := c.http.Conn().(*conn)
	if !ours {
		return nil
	}
	organisation := ""
	if c.principal != nil {
		organisation = c.principal.OrgID
	}
	if !c.server.seats.take(connection, organisation, c.entry.began) {
		return problemSeats
	}
	return nil
}

// stats says how many have a seat and use it. The capacity is 0 while there is no limit.
func (s *seats) stats(now time.Time) AdmissionStats {
	limit := s.limit.Load()
	stats := AdmissionStats{Name: "poll_seats", Capacity: int(limit), Refused: s.refusals.Load()}
	for number := range limit {
		if used := &s.all[number]; used.connection.Load() != 0 && s.at(now)-used.usedAt.Load() < int64(idleSeat) {
			stats.InUse++
		}
	}
	return stats
}
