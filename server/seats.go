package server

import (
	"hash/maphash"
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
// half; when nobody is refused any more the limit goes. It is safe for concurrent use.
type seats struct {
	longestWait time.Duration                  // for a processor, of nine of ten goroutines; 0: there is never a limit
	waited      func() (of9in10 time.Duration) // since the last call; called by one goroutine at a time
	crowd       int64                          // connections that poll between two looks; with more, waits may make a limit
	least       int
	seats       []seat // as many as there can ever be
	seed        maphash.Seed
	began       time.Time

	limit    atomic.Int64 // how many of the seats there are now; 0: no limit
	idle     atomic.Int64 // nanoseconds after which a seat is free that is not used
	lookedAt atomic.Int64 // nanoseconds since began, as all times here: clocks may be set back
	looks    atomic.Int64
	polling  atomic.Int64 // connections, since the last look
	refusals atomic.Uint64

	looking  sync.Mutex // held by who looks
	strained uint8      // a bit a look, the last one lowest: set when a crowd waited too long
	quiet    int        // looks in a row without a refusal
	refused  uint64     // by the last look
}

// seat is taken while its connection polls. Each has a cache line of its own.
type seat struct {
	connection   atomic.Uint64
	organisation atomic.Uint64 // a hash
	usedAt       atomic.Int64  // 0: never
	_            [40]byte
}

// CrowdPerProcessor is how many connections may poll last_seen at the same time, a processor, without a limit, however
// long they wait (see Config.PollWait).
const CrowdPerProcessor = 128

const (
	// seatsPerProcessor is how many connections with one request each keep a processor busy beyond doubt.
	seatsPerProcessor = 40
	// mostSeats is that many times as many: with more, the wait would not be short, and there is no limit.
	mostSeats = 32
	// leastIdle is how long a seat stays with a connection that does not poll, at least, and idleWaits how many times
	// as long as polls wait. Who polls as fast as it can comes back sooner.
	leastIdle = 4 * time.Millisecond
	idleWaits = 4

	lookInterval   = 100 * time.Millisecond
	looksOfStrain  = 3 // of the last lastLooks make a limit
	lastLooks      = 5
	looksOfQuiet   = 20 // in a row without a refusal end it: longer than a refused connection is held
	growth, shrink = 1.25, 0.7
)

func newSeats(longestWait time.Duration) *seats {
	processors := runtime.GOMAXPROCS(0)
	least := seatsPerProcessor * processors
	return &seats{
		longestWait: longestWait, waited: newSchedulerWaits().since, crowd: int64(CrowdPerProcessor * processors),
		least: least, seats: make([]seat, mostSeats*least), seed: maphash.MakeSeed(), began: time.Now(),
	}
}

var problemSeats = &problem{status: fasthttp.StatusServiceUnavailable, reason: reasonBusy, retryAfter: 1,
	detail: "More connections poll than the service keeps up with; try again in a second, and with fewer connections if you have many."}

// take reports whether a connection may poll now.
func (s *seats) take(c *conn, organisation string, now time.Time) bool {
	if s.keep(c, now) || !c.impatient && s.find(c, organisation, s.at(now)) {
		return true
	}
	s.refusals.Add(1)
	return false
}

// keep reports whether a connection may poll now without taking a seat.
func (s *seats) keep(c *conn, now time.Time) bool {
	if s.longestWait == 0 {
		return true
	}
	at := s.at(now)
	if last := s.lookedAt.Load(); at-last >= int64(lookInterval) && s.lookedAt.CompareAndSwap(last, at) {
		s.look()
	}
	if looks := s.looks.Load(); c.polledIn != looks {
		c.polledIn = looks
		s.polling.Add(1)
	}
	limit := s.limit.Load()
	if limit == 0 {
		return true
	}
	if c.seat >= limit {
		return false
	}
	own := &s.seats[c.seat]
	if own.connection.Load() != c.serial {
		return false
	}
	own.usedAt.Store(at)
	return true
}

func (s *seats) at(now time.Time) int64 { return int64(now.Sub(s.began)) }

// find gives a connection a seat that is free, or one of an organisation that has more than half of them.
func (s *seats) find(c *conn, organisation string, at int64) bool {
	limit := s.limit.Load()
	if limit == 0 {
		return true
	}
	own := maphash.String(s.seed, organisation)
	idle := s.idle.Load()
	majority, lead := uint64(0), 0 // the organisation that has more than half, if any has (Boyer and Moore's vote)
	for i := range limit {
		number := (int64(c.serial) + i) % limit // so that not all look at the same first
		seat := &s.seats[number]
		if used := seat.usedAt.Load(); (used == 0 || at-used >= idle) && seat.usedAt.CompareAndSwap(used, at) {
			s.sit(c, number, own)
			return true
		}
		switch holder := seat.organisation.Load(); {
		case holder == majority:
			lead++
		case lead == 0:
			majority, lead = holder, 1
		default:
			lead--
		}
	}
	if majority == own {
		return false
	}
	theirs, taken := int64(0), int64(0)
	for number := range limit {
		if seat := &s.seats[number]; seat.organisation.Load() == majority {
			theirs, taken = theirs+1, number
		}
	}
	if theirs <= (limit+1)/2 {
		return false
	}
	s.seats[taken].usedAt.Store(at)
	s.sit(c, taken, own)
	return true
}

func (s *seats) sit(c *conn, number int64, organisation uint64) {
	c.seat = number
	s.seats[number].organisation.Store(organisation)
	s.seats[number].connection.Store(c.serial)
}

// look sets the limit by what has happened since the last look.
func (s *seats) look() {
	if !s.looking.TryLock() {
		return
	}
	defer s.looking.Unlock()
	wait, polling := s.waited(), s.polling.Swap(0)
	s.looks.Add(1)
	limit := int(s.limit.Load())
	s.idle.Store(int64(max(leastIdle, idleWaits*wait)))
	if s.strained <<= 1; wait > s.longestWait && polling > s.crowd {
		s.strained |= 1
	}
	refused := s.refusals.Load()
	if s.quiet++; refused != s.refused {
		s.quiet = 0
	}
	s.refused = refused
	switch {
	case limit == 0 && bits.OnesCount8(s.strained<<(8-lastLooks)) >= looksOfStrain:
		limit, s.quiet = s.least, 0
	case limit == 0:
		return
	case wait > s.longestWait/2:
		limit = max(s.least, int(float64(limit)*shrink))
	case wait < s.longestWait/4:
		limit = int(float64(limit)*growth) + 1
	}
	if s.quiet >= looksOfQuiet || limit > len(s.seats) {
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

// stats counts who has a seat while there is a limit.
func (s *seats) stats(now time.Time) AdmissionStats {
	stats := AdmissionStats{Name: "poll_seats", Capacity: len(s.seats), Refused: s.refusals.Load()}
	if limit := s.limit.Load(); limit > 0 {
		stats.Capacity = int(limit)
		for i := range limit {
			if s.at(now)-s.seats[i].usedAt.Load() < s.idle.Load() {
				stats.InUse++
			}
		}
	}
	return stats
}
