package server

import (
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/schema/measure"
	"lastseen/server/console"
)

// statusClasses are 1xx to 5xx.
const statusClasses = 5

// routeCounts are what is counted of the requests of one route.
type routeCounts struct {
	method, route string
	durations     [statusClasses]*measure.Histogram
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
	}
	for _, reason := range refusalReasons {
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

func (c *serverCounts) refuse(p *problem) { c.refused[p.countedAs()].Add(1) }

// The words by which refusals are counted.
const (
	reasonNoCredential = "no_credential"
	reasonInvalid      = "invalid_credential"
	reasonExpired      = "expired_credential"
	reasonRevoked      = "revoked_credential"
	reasonSecretInURL  = "credential_in_url"
	reasonAPIKey       = "api_key_not_accepted"
	reasonDevice       = "device_credential_not_accepted"
	reasonRole         = "role_too_low"
	reasonCrossSite    = "cross_site"
	reasonForbidden    = "forbidden"
	reasonNotFound     = "not_found"
	reasonNoRoute      = "no_route"
	reasonConflict     = "conflict"
	reasonInput        = "invalid_input"
	reasonTooLarge     = "too_large"
	reasonMalformed    = "malformed"
	reasonSlow         = "too_slow"
	reasonConnections  = "connections"
	reasonRate         = "rate"
	reasonBusy         = "busy"
	reasonUnavailable  = "unavailable"
	reasonDiskFull     = "disk_full"
	reasonTimeout      = "timeout"
	reasonInternal     = "internal"
	reasonCut          = "cut" // an answer that broke off
)

var refusalReasons = []string{
	reasonNoCredential, reasonInvalid, reasonExpired, reasonRevoked, reasonSecretInURL, reasonAPIKey, reasonDevice, reasonRole,
	reasonCrossSite, reasonForbidden, reasonNotFound, reasonNoRoute, reasonConflict, reasonInput, reasonTooLarge, reasonMalformed, reasonSlow,
	reasonConnections, reasonRate, reasonBusy, reasonUnavailable, reasonDiskFull, reasonTimeout, reasonInternal, reasonCut,
}

// countedAs is the word by which a problem is counted: its own, or the usual one of its status.
func (p *problem) countedAs() string {
	if p.reason != "" {
		return p.reason
	}
	switch p.status {
	case fasthttp.StatusUnauthorized:
		return reasonInvalid
	case fasthttp.StatusForbidden:
		return reasonForbidden
	case fasthttp.StatusNotFound:
		return reasonNotFound
	case fasthttp.StatusMethodNotAllowed:
		return reasonNoRoute
	case fasthttp.StatusConflict:
		return reasonConflict
	case fasthttp.StatusUnprocessableEntity, fasthttp.StatusUnsupportedMediaType:
		return reasonInput
	case fasthttp.StatusRequestEntityTooLarge, fasthttp.StatusRequestURITooLong, fasthttp.StatusRequestHeaderFieldsTooLarge:
		return reasonTooLarge
	case fasthttp.StatusRequestTimeout:
		return reasonSlow
	case fasthttp.StatusTooManyRequests:
		return reasonRate
	case fasthttp.StatusServiceUnavailable:
		return reasonUnavailable
	case fasthttp.StatusInternalServerError:
		return reasonInternal
	}
	return reasonMalformed
}

// Stats counts what a Server has done since it was made.
type Stats struct {
	InFlight int            // requests that are being served
	Requests []RequestStats // those with a count of 0 are left out
	// Refused counts the requests that were not answered as they wished, by reason, and answers that
	// broke off.
	Refused map[string]uint64
	// LongPolls counts the polls that had something to wait for and have ended, by outcome: changed,
	// timed_out, departed, refused, stopped, or no_place for one that was answered without waiting.
	LongPolls map[string]uint64
	// Suspensions counts how often the query of a history was given up because its client was slow to read.
	Suspensions uint64
	// Admissions are the limits on what runs at the same time.
	Admissions []AdmissionStats
}

// RequestStats are the requests of one route with one class of status.
type RequestStats struct {
	Method, Route string // "" and "(none)" for requests that no route is for
	Class         string // 1xx to 5xx
	// Duration is the time from the end of the headers to the end of the handler, or of the streamed
	// answer, in nanoseconds.
	Duration measure.Distribution
}

// AdmissionStats are a limit on what runs at the same time.
type AdmissionStats struct {
	Name            string
	Capacity, InUse int
	Waiting         int    // for a place
	Refused         uint64 // that found no place in time
}

// Stats returns the counts, which may be off against each other by what happens meanwhile. It is safe
// for concurrent use.
func (s *Server) Stats() Stats {
	stats := Stats{
		InFlight: int(s.counts.inFlight.Value()), Refused: make(map[string]uint64, len(refusalReasons)),
		LongPolls:   make(map[string]uint64, len(waitOutcomes)),
		Suspensions: uint64(s.counts.suspends.Value()),
		Admissions:  []AdmissionStats{s.queries.stats("queries"), s.streams.stats("histories"), s.connectionStats(), s.waiting.stats("long_polls"), s.seats.stats(time.Now())},
	}
	for _, r := range s.counts.routes {
		for class, histogram := range r.durations {
			d := histogram.Distribution()
			if d.Count() > 0 {
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
	stats.Refused[reasonConnections] = stats.Admissions[2].Refused
	return stats
}

// connectionStats are the limit on open connections.
func (s *Server) connectionStats() AdmissionStats {
	stats := AdmissionStats{Name: "connections", Capacity: s.config.MaxConnections}
	s.mu.Lock()
	listener := s.listener
	s.mu.Unlock()
	if listener != nil {
		stats.InUse, stats.Refused = listener.size(), listener.refused.Load()
	}
	return stats
}

func (a *admission) stats(name string) AdmissionStats {
	return AdmissionStats{Name: name, Capacity: cap(a.running), InUse: len(a.running), Waiting: len(a.waiting), Refused: a.refused.Load()}
}
