package server

import (
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/ingest/decode"
	"lastseen/keys"
	"lastseen/schema"
	"lastseen/server/caller"
	"lastseen/server/problem"
)

// route is one row of the table from which the router, the authorisation, the limits and the
// description of the API follow.
type route struct {
	method, path string // method is empty for what stands for a request that no row is for
	summary      string

	caller.Access
	quiet     bool // its successes are not logged unless all is
	anywhere  bool // it shows nothing that other nodes may know better
	atLeader  bool // it shows what the node knows alone that takes changes
	codeInURL bool // its parameters hold what may look like a token and is none

	body      bodyKind
	bodyLimit int64         // bytes on the wire
	timeout   time.Duration // of the work; reading and writing have their own
	queue     queue
	urgent    bool // it has a reserve beside what the queue lets in; see limit.Request

	handle func(*call) error
	allow  string       // the methods of the path, where handle is notAllowed
	counts *routeCounts // of a Server; nil where no route is for the request
	use    uint8        // the route's number in KeyRoutes
}

// bodyKind is what a route reads.
type bodyKind uint8

const (
	noBody bodyKind = iota
	jsonBody
	pointsBody
	appBody // whatever an app sends, on a route of its own
)

// input returns where the route's requests have what they ask for.
func (r *route) input() problem.Place {
	if r.body == noBody {
		return problem.Query
	}
	return problem.Body
}

// queue says at which gate of the Server a request waits before it runs.
type queue uint8

const (
	noQueue     queue = iota // answered from memory, or with a limit of its own
	queryQueue               // asks ClickHouse for little
	changeQueue              // makes something in ClickHouse, one thing after the other
	memoryQueue              // answered from memory, which may take some time, in turns
	turnQueue                // answered at once, in turns
	streamQueue              // streams a history
)

const (
	maxJSONBody    = 64 << 10
	refusalTimeout = 10 * time.Second

	pathLastSeen          = "/tracking/timeseries/session_by_device/last_seen/v1"
	pathLastSeenBatch     = "/tracking/timeseries/session_by_device/last_seen_batch/v1"
	pathLastSeenChanges   = "/tracking/timeseries/session_by_device/last_seen_changes/v1"
	pathDataPoints        = "/tracking/timeseries/session_by_device/data_points/v1"
	pathFeed              = "/tracking/timeseries/session_by_device/data_points_feed/v1"
	pathLastSeenPublic    = "/tracking/timeseries/session_by_device/last_seen_public/v1"
	pathPointsPublic      = "/tracking/timeseries/session_by_device/data_points_public/v1"
	pathOutlier           = "/tracking/timeseries/session_by_device/outlier/v1"
	pathIngest            = "/tracking/timeseries/session_by_device/ingest/v1"
	pathSessionsList      = "/tracking/sessions/list/v1"
	pathSessionsGet       = "/tracking/sessions/get/v1"
	pathTypeahead         = "/tracking/sessions/typeahead/v1"
	pathRegister          = "/tracking/devices/register_to_org/v1"
	pathCreateSession     = "/tracking/sessions/create_session/v1"
	pathUpdateSession     = "/tracking/sessions/update/v1"
	pathTerminate         = "/tracking/sessions/terminate/v1"
	pathSharedOrgs        = "/tracking/sessions/update_shared_orgs/v1"
	pathAPIKeys           = "/orgs/api_keys"
	pathDeviceCredentials = "/orgs/device_credentials"
)

// routes returns the table.
func routes() []route {
	table := []route{
		scoped(schema.ScopeLastSeen, quiet(read(pathLastSeen, "The newest data point of a session", noQueue, 5*time.Second, lastSeen))),
		scoped(schema.ScopeHistory, read(pathDataPoints, "The data points of a session in a range of time, and its stationary clusters", streamQueue, 10*time.Minute, dataPoints)),
		scoped(schema.ScopeHistory, read(pathFeed, "The data points of all sessions by their arrival, from one cursor to the next", streamQueue, 10*time.Minute, dataPointsFeed)),
		scoped(schema.ScopeSessions, read(pathSessionsList, "A page of the sessions that the organisation may see", memoryQueue, 20*time.Second, listSessions)),
		scoped(schema.ScopeSessions, read(pathSessionsGet, "One session", turnQueue, 5*time.Second, getSession)),
		scoped(schema.ScopeSessions, read(pathTypeahead, "Suggestions for a text that is being typed", memoryQueue, 20*time.Second, typeahead)),

		quiet(route{
			method: fasthttp.MethodPost, path: pathLastSeenBatch, summary: "The newest data points of many sessions",
			Access: caller.Access{Role: keys.RoleOperator, APIKeys: true, Scope: schema.ScopeLastSeen},
			body:   jsonBody, bodyLimit: batchBody, timeout: 5 * time.Second, handle: lastSeenBatch,
		}),

		scoped(schema.ScopeLastSeen, quiet(read(pathLastSeenChanges, "What has changed of the newest data points of all sessions", noQueue, 5*time.Second, lastSeenChanges))),

		quiet(public(pathLastSeenPublic, "The newest data point of a public session", noQueue, 5*time.Second, lastSeen)),
		public(pathPointsPublic, "The data points of a public session in a range of time, and its stationary clusters", streamQueue, 10*time.Minute, dataPointsPublic),

		making(write(pathRegister, "Register a device to the organisation", keys.RoleOperator, registerDevice)),
		making(write(pathCreateSession, "Begin a session of a device", keys.RoleOperator, createSession)),
		write(pathUpdateSession, "Change what is said of a session", keys.RoleOperator, updateSession),
		bodiless(write(pathTerminate, "End a session", keys.RoleOperator, terminateSession)),
		write(pathSharedOrgs, "Change which other organisations may see a session", keys.RoleAdministrator, updateSharedOrgs),
		large(write(pathOutlier, "Mark data points as outliers or take the mark away", keys.RoleOperator, markOutliers)),

		{
			method: fasthttp.MethodPost, path: pathIngest, summary: "Send data points",
			Access: caller.Access{Role: keys.RoleDriver, DeviceCredentials: true},
			body:   pointsBody, bodyLimit: decode.MaxBytes, timeout: 2 * time.Minute, handle: ingestPoints,
		},

		probe("/healthz", "Whether the process lives", health),
		probe("/readyz", "Whether the service can serve", ready),
		public("/", "Where to look", turnQueue, 5*time.Second, index),
	}
	table = append(table, appRoutes()...)
	table = append(table, keyRoutes(pathAPIKeys, apiKeys)...)
	table = append(table, keyRoutes(pathDeviceCredentials, deviceCredentials)...)
	table = append(table, signInRoutes()...)
	table = append(table, anywhere(mapRoutes())...)
	return numbered(describedRoutes(append(table, anywhere(pageRoutes())...)))
}

// KeyRoutes are the routes by which the requests of API keys are counted: those that API keys may call, after one that
// stands for all others. A route's place is its number.
func KeyRoutes() []string {
	names := []string{"other"}
	for _, r := range routes() {
		if r.use > 0 {
			names = append(names, r.path)
		}
	}
	return names
}

// numbered gives the routes that API keys may call their numbers.
func numbered(table []route) []route {
	number := uint8(0)
	for i := range table {
		if table[i].APIKeys {
			number++
			table[i].use = number
		}
	}
	return table
}

// noRoute stands for every path that is not in the table.
var noRoute = route{Access: caller.Access{Public: true}, queue: turnQueue, timeout: refusalTimeout, handle: func(*call) error { return problem.NoRoute }}

// read is a route that an API key may call.
func read(path, summary string, queue queue, timeout time.Duration, handle func(*call) error) route {
	return route{
		method: fasthttp.MethodGet, path: path, summary: summary, Access: caller.Access{Role: keys.RoleOperator, APIKeys: true},
		timeout: timeout, queue: queue, handle: handle,
	}
}

// anywhere are routes that every node answers by itself.
func anywhere(table []route) []route {
	for i := range table {
		table[i].anywhere = true
	}
	return table
}

// changes reports whether a route may change something.
func (r *route) changes() bool {
	return r.method != "" && r.path != pathLastSeenBatch && (r.method != fasthttp.MethodGet || r.takesPoints())
}

// scoped is a route that an API key may call that has a scope.
func scoped(scope schema.KeyScopes, r route) route {
	r.Scope = scope
	return r
}

// public is a route that needs no credential.
func public(path, summary string, queue queue, timeout time.Duration, handle func(*call) error) route {
	return route{method: fasthttp.MethodGet, path: path, summary: summary, Access: caller.Access{Public: true}, timeout: timeout, queue: queue, handle: handle}
}

// probe is a route that tells a machine how the service is.
func probe(path, summary string, handle func(*call) error) route {
	r := quiet(public(path, summary, turnQueue, 5*time.Second, handle))
	r.Probe, r.anywhere = true, true
	return r
}

// quiet is a route that is polled so often that its successes would drown the log.
func quiet(r route) route {
	r.quiet = true
	return r
}

// write is a route for user tokens that changes something.
func write(path, summary string, role keys.Role, handle func(*call) error) route {
	return route{
		method: fasthttp.MethodPost, path: path, summary: summary, Access: caller.Access{Role: role},
		body: jsonBody, bodyLimit: maxJSONBody, timeout: 30 * time.Second, queue: queryQueue, handle: handle,
	}
}

// bodiless is a route whose body, should there be one, is not looked at.
func bodiless(r route) route {
	r.body, r.bodyLimit = noBody, 0
	return r
}

// urgent is a route that no load may keep waiting.
func urgent(r route) route {
	r.urgent = true
	return r
}

// making is a route that makes something which its organisation may make at any time, so that it can wait for its turn.
func making(r route) route {
	r.queue = changeQueue
	return r
}

// large is a route with a body that holds a list of as many ids as ingest.MaxMarks.
func large(r route) route {
	r.bodyLimit = 1 << 20
	return r
}

// keyRoutes are the routes of API keys, or of device credentials.
func keyRoutes(prefix string, kind keyKind) []route {
	admin := keys.RoleAdministrator
	query := func(path, summary string, handle func(*call) error) route {
		return route{
			method: fasthttp.MethodGet, path: prefix + path, summary: summary, Access: caller.Access{Role: admin},
			timeout: 20 * time.Second, queue: queryQueue, handle: handle,
		}
	}
	table := []route{
		making(write(prefix+"/create/v1", "Make "+kind.indefinite, admin, kind.create)),
		query("/list/v1", "The organisation's "+kind.plural, kind.list),
		urgent(bodiless(write(prefix+"/revoke/v1", "Revoke "+kind.indefinite, admin, kind.revoke))),
		making(write(prefix+"/rotate/v1", "Replace "+kind.indefinite+" by a new one", admin, kind.rotate)),
		query("/events/v1", "Who made, rotated and revoked "+kind.plural, kind.events),
	}
	if kind.kind == schema.KindAPIKey {
		table = append(table, write(prefix+"/update/v1", "Rename "+kind.indefinite+", or narrow what it may do", admin, kind.update),
			query("/usage/v1", "What "+kind.plural+" are used for", keyUsage))
	}
	if kind.kind == schema.KindDeviceCredential {
		arrivals := query("/arrivals/v1", "What came with "+kind.indefinite, credentialArrivals)
		arrivals.queue = noQueue // it asks nothing of ClickHouse
		arrivals.atLeader = true // which takes what comes
		table = append(table, arrivals)
	}
	return table
}

// notAllowed answers a method that the path does not have.
func notAllowed(c *call) error {
	return &problem.Problem{
		Status: fasthttp.StatusMethodNotAllowed, Allow: c.route.allow,
		Detail: "This path does not have that method; use one of " + c.route.allow + ".",
	}
}
