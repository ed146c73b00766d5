package server

import (
	"strings"
	"time"

	"lastseen/keys"
	"lastseen/schema/measure"
	"lastseen/server/console"
	"lastseen/server/limit"
	"lastseen/server/problem"
)

const (
	statusClasses = 5 // 1xx to 5xx
	successes     = 1 // the place of 2xx among them
)

// routeCounts are what is counted of the requests of one route.
type routeCounts struct {
	method, route string
	durations     [statusClasses]*measure.Histogram
	takesPoints   bool // its successes are shown also where there are none, for alerts
}

func newRouteCounts(method, route string) *routeCounts {
	c := &routeCounts{method: method, route: route}
	for class := range c.durations {
		c.durations[class] = measure.NewHistogram(measure.DurationBounds())
	}
	return c
}

// done counts a request that began at a time.
func (c *routeCounts) done(status int, began time.Time) {
	if class := status/100 - 1; class >= 0 && class < statusClasses {
		c.durations[class].ObserveSince(began)
	}
}

// countUse counts a request of an API key that was answered with a status, or whose answer broke off.
func countUse(r *route, principal *keys.Principal, status int, cut bool) {
	if principal == nil || principal.Uses == nil {
		return
	}
	outcome := keys.OutcomeOK
	switch {
	case cut || status >= 499: // who has left before the answer is not refused
		outcome = keys.OutcomeFailed
	case status >= 400:
		outcome = keys.OutcomeRefused
	case status == 304:
		outcome = keys.OutcomeNotModified
	}
	principal.Uses.Count(r.use, outcome)
}

// serverCounts are what a Server counts.
type serverCounts struct {
	inFlight measure.Counter
	routes   []*routeCounts
	nowhere  *routeCounts                // of paths that no route is for
	refused  map[string]*measure.Counter // by reason; the map is never changed
	waits    map[string]*measure.Counter // long polls by outcome; the map is never changed
	suspends measure.Counter             // of sources of streamed answers
}

// newServerCounts makes the counts of a table of routes and ties each route to its own.
func newServerCounts(table []route) *serverCounts {
	c := &serverCounts{nowhere: newRouteCounts("", "(none)"), refused: map[string]*measure.Counter{}, waits: map[string]*measure.Counter{}}
	c.routes = append(c.routes, c.nowhere)
	byName := map[string]*routeCounts{}
	for i := range table {
		r := &table[i]
		name := countedAs(r.path)
		if byName[r.method+name] == nil {
			byName[r.method+name] = newRouteCounts(r.method, name)
			c.routes = append(c.routes, byName[r.method+name])
		}
		r.counts = byName[r.method+name]
		r.counts.takesPoints = r.body == pointsBody
	}
	for _, reason := range problem.Reasons {
		c.refused[reason] = new(measure.Counter)
	}
	for _, outcome := range waitOutcomes {
		c.waits[outcome] = new(measure.Counter)
	}
	return c
}

// countedAs is the name of a path in the counts: the console's many files share one.
func countedAs(path string) string {
	if strings.HasPrefix(path, console.Path) {
		return console.Path
	}
	return path
}

// of returns the counts of a route.
func (c *serverCounts) of(r *route) *routeCounts {
	if r.counts == nil {
		return c.nowhere
	}
	return r.counts
}

func (c *serverCounts) refuse(p *problem.Problem) { c.refused[p.CountedAs()].Add(1) }

// Stats counts what a Server has done since it was made.
type Stats struct {
	InFlight int            // requests that are being served
	Requests []RequestStats // those with a count of 0 are left out, but for points that were taken
	// Refused counts the requests that were not answered as they wished, by reason, and answers that
	// broke off.
	Refused map[string]uint64
	// LongPolls counts the polls that had something to wait for and have ended, by outcome: changed,
	// timed_out, departed, refused, stopped, or no_place for one that was answered without waiting.
	LongPolls map[string]uint64
	// Suspensions counts how often the query of a history was given up because its client was slow to read.
	Suspensions uint64
	// Introduced counts the devices that came with an app's first position.
	Introduced uint64
	// Admissions are the limits on what runs at the same time.
	Admissions []limit.Stats
}

// RequestStats are the requests of one route with one class of status.
type RequestStats struct {
	Method, Route string // "" and "(none)" for requests that no route is for
	Class         string // 1xx to 5xx
	// Duration is the time from the end of the headers to the end of the handler, or of the streamed
	// answer, in nanoseconds.
	Duration measure.Distribution
}

// Stats returns the counts, which may be off against each other by what happens meanwhile. It is safe
// for concurrent use.
func (s *Server) Stats() Stats {
	stats := Stats{
		InFlight: int(s.counts.inFlight.Value()), Refused: make(map[string]uint64, len(problem.Reasons)),
		LongPolls:   make(map[string]uint64, len(waitOutcomes)),
		Suspensions: uint64(s.counts.suspends.Value()),
		Introduced:  s.services.Registry.Introduced(),
		Admissions: []limit.Stats{
			s.queries.Stats("queries"), s.streams.Stats("histories"), s.connectionStats(), s.waiting.Stats("long_polls"), s.batches.Stats("batches"), s.slots.Stats(time.Now()),
			s.open.Stats("open_histories"), s.openOf.Stats("public_histories"), s.publicFiles.Stats("public_files"), s.lists.Stats("lists"), s.changes.Stats("changes"),
		},
	}
	for _, r := range s.counts.routes {
		for class, histogram := range r.durations {
			d := histogram.Distribution()
			if d.Count() > 0 || r.takesPoints && class == successes {
				stats.Requests = append(stats.Requests, RequestStats{r.method, r.route, string('1'+rune(class)) + "xx", d})
			}
		}
	}
	for reason, count := range s.counts.refused {
		stats.Refused[reason] = uint64(count.Value())
	}
	for outcome, count := range s.counts.waits {
		stats.LongPolls[outcome] = uint64(count.Value())
	}
	stats.Refused[problem.ReasonConnections] = stats.Admissions[2].Refused
	return stats
}

// connectionStats are the limit on open connections.
func (s *Server) connectionStats() limit.Stats {
	s.mu.Lock()
	listener := s.listener
	s.mu.Unlock()
	if listener == nil {
		return limit.Stats{Name: "connections", Capacity: s.config.MaxConnections}
	}
	return listener.Stats()
}
