package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fasthttp/router"
	"github.com/valyala/fasthttp"
	"go.opentelemetry.io/otel/trace"

	"lastseen/ingest"
	"lastseen/ingest/registry"
	"lastseen/keys/apikey"
	"lastseen/keys/people"
	"lastseen/keys/people/oidc"
	"lastseen/keys/ratelimit"
	"lastseen/query/changes"
	"lastseen/query/history"
	"lastseen/query/latest"
	"lastseen/query/sessions"
	"lastseen/server/caller"
	"lastseen/server/cluster"
	"lastseen/server/limit"
	"lastseen/server/problem"
	"lastseen/server/transport"
)

// Config sets the limits of a Server. Zero values mean the defaults, except where a field says
// otherwise.
type Config struct {
	// Logger gets the access log and what goes wrong; nil means slog.Default.
	Logger *slog.Logger
	// AccessLog says which requests are logged.
	AccessLog AccessLog
	// Tracer makes the spans of requests, those of polls aside; nil for none.
	Tracer trace.Tracer
	// PublicURL is where browsers reach the service, such as https://tracking.example; with https,
	// cookies are sent over TLS only. Empty means that it is reached without TLS.
	PublicURL string
	// TLS, when set, is with what the service speaks TLS itself, which is then all that it speaks, and cookies go over TLS only.
	TLS *tls.Config
	// MapTiles is the street map that the pages draw; nil for none. It is the caller's to close.
	MapTiles *MapTiles

	// Retention is how long points are kept, in whole days, as clients are told; 0 means for ever.
	Retention time.Duration

	// MaxConnections bounds the open connections; past it a connection is answered 503 and closed.
	// Default 16,384; each costs about 30 KB.
	MaxConnections int
	// MaxConnectionsPerAddress bounds the open connections of one client address (of an IPv6 /64);
	// past it 429. 0 means no limit, which is right behind a proxy.
	MaxConnectionsPerAddress int
	// RequestRate bounds the requests of one key or one person, and FailureRate the credentials that
	// are not good from one client address (of an IPv6 /64); past them 429. The zero values are no
	// limits.
	RequestRate, FailureRate ratelimit.Rate
	// TrustedProxies are proxies whose X-Forwarded-For says which address a request comes from.
	TrustedProxies []netip.Prefix
	// Now is the clock of these rates; nil means the time of each request.
	Now func() time.Time
	// MaxHeaderBytes bounds the request line and the headers; past it 431. Default 16 KiB.
	MaxHeaderBytes int
	// MaxURIBytes bounds the request's path and parameters; past it 414. Default 8 KiB.
	MaxURIBytes int

	// HeaderTimeout is the time from a request's first byte to the end of its headers. Default 10 s.
	HeaderTimeout time.Duration
	// BodyTimeout is the time for the body of an ingest. Default 60 s.
	BodyTimeout time.Duration
	// WriteTimeout is the time that a client may take to accept the answer, or 16 KB of a streamed one.
	// Default 20 s.
	WriteTimeout time.Duration
	// IdleTimeout is how long a connection may wait for its next request. Default 2 min.
	IdleTimeout time.Duration

	// Queries bounds the requests that ask ClickHouse at the same time, streamed histories aside, and
	// Histories those that stream a history. Of histories one organisation may have half, of the others a quarter, as those
	// without a credential of either. Eight times as many histories may be open, of which those without a credential have three
	// eighths: those that are not being read wait for clients that are slow to take what was. Defaults: four times the processors, and 8.
	Queries, Histories int
	// LongPolls bounds the requests that wait for a change (Prefer: wait, or streams of events), in the same shares;
	// past it polls are answered at once, and streams refused. Default 50,000; each also counts as one of MaxConnections.
	LongPolls int
	// PollWait is how long nine of ten goroutines may wait for a processor while more than limit.CrowdPerProcessor connections
	// a processor poll last_seen. When they have waited longer for some tenths of a second, only as many connections as
	// keep the processors busy go on; polls of the others are answered 503 and they are not read for up to a second.
	// 0 means that all are answered, each when its turn comes.
	PollWait time.Duration
	// QueueWait is how long a request waits for Queries or Histories before it is refused. Default 1 s. At most ten times as
	// many requests wait as may run, and five times as many histories.
	QueueWait time.Duration
}

func (c *Config) setDefaults() {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	for _, number := range []struct {
		value    *int
		standard int
	}{
		{&c.MaxConnections, 16_384}, {&c.MaxHeaderBytes, 16 << 10}, {&c.MaxURIBytes, 8 << 10},
		{&c.Queries, 4 * runtime.GOMAXPROCS(0)}, {&c.Histories, 8}, {&c.LongPolls, 50_000},
	} {
		if *number.value <= 0 {
			*number.value = number.standard
		}
	}
	for _, span := range []struct {
		value    *time.Duration
		standard time.Duration
	}{
		{&c.HeaderTimeout, 10 * time.Second}, {&c.BodyTimeout, 60 * time.Second}, {&c.WriteTimeout, 20 * time.Second},
		{&c.IdleTimeout, 2 * time.Minute}, {&c.QueueWait, time.Second},
	} {
		if *span.value <= 0 {
			*span.value = span.standard
		}
	}
}

// Services are what the routes are made of. All are required but Provider, Owner and StoreDown; the
// Server does not close them.
type Services struct {
	Authenticator *apikey.Authenticator
	Keys          *apikey.Service
	Registry      *registry.Registry
	Writer        *ingest.Writer
	LastSeen      *latest.Table
	History       *history.Reader
	Sessions      *sessions.Reader
	Changes       *changes.Reader
	// Nodes are those of the service; nil where there is one.
	Nodes cluster.Nodes
	// Owner knows which sessions this node answers polls of; nil means all.
	Owner cluster.Owner
	// SignIn signs browsers in. Provider is where they go for it, nil when there are only sign-in links.
	SignIn   *people.SignIn
	Provider *oidc.Provider
	// Ready says why the service cannot serve yet, in a sentence for the public, or nil when it
	// can. It is called for /readyz, at most twice a second and never twice at a time, and must end
	// with its context.
	Ready func(ctx context.Context) error
	// StoreDown reports whether it is known, and logged, that ClickHouse does not serve: then requests that
	// fail because of that are not logged one by one. Nil means never.
	StoreDown func() bool
}

const (
	// reservedQueries is how many revocations run although everything else that asks ClickHouse is at its limit.
	reservedQueries = 2
	// openHistories is how many histories may be open for each that may be read: the others wait for clients that
	// are slow to read, and hold no query.
	openHistories = 8
	// openToPublic is how many of these those without a credential may have together, half of which from one address, and three
	// eighths of sessions of one organisation: slow readers of one leave room even to others at their own address.
	openToPublic = 3
	// waitingLists is how many lists from memory wait for a place, which they do in turns.
	waitingLists = 1024
	// shortShare is the part of the processors' time, one in so many, in which one owner's lists, its changes, and its answers that
	// take no time, begin while others have requests.
	shortShare = 6
	// mostOfChange is how long a change is taken to be in the way of others, at most. What it waits for on the disk counts: others
	// wait for that as well.
	mostOfChange = 100 * time.Millisecond
	// mostOfRevocations is how far an owner's revocations, however many, put its next change off.
	mostOfRevocations = 500 * time.Millisecond
	// waitingBatches is how many large batches wait for a place: half a second's worth on a small machine.
	waitingBatches = 1024
)

// publicFiles is how many files are read at once without a credential: half of the public's places for histories.
func publicFiles(histories int) limit.GateConfig {
	places := max(1, int64(histories+3)/4/2)
	return limit.GateConfig{Capacity: places, PublicShare: places}
}

// openGates are for the histories that are open and, by whose session is shown, for those of them without a credential.
func openGates(histories int) (open, ofPublic *limit.Gate) {
	public := openToPublic * int64(histories)
	open = limit.NewGate(limit.GateConfig{Capacity: openHistories * int64(histories), PublicShare: public, FromShare: (public + 1) / 2})
	return open, limit.NewGate(limit.GateConfig{Capacity: public, OwnerShare: public * 3 / 8})
}

// Server answers HTTP requests. Its methods are safe for concurrent use.
type Server struct {
	config       Config
	services     Services
	http         *fasthttp.Server
	routes       []route
	byPath       map[string][]*route // for refusals, Expect and the direct way; the router does the rest
	calls        sync.Pool           // of *call
	direct       *directPolls        // nil when every request is logged
	ids          *idSource
	queries      *limit.Gate
	changes      *limit.Gate               // requests that make something in ClickHouse, before queries
	lists        *limit.Gate               // requests that are answered from memory and may take some time
	streams      *limit.Gate               // histories that are read
	open         *limit.Gate               // histories, those included that wait for a slow client
	openOf       *limit.Gate               // of open, those without a credential, by whose session they show
	publicFiles  *limit.Gate               // histories without a credential that keep their place while a client is slow
	waiting      *limit.Gate               // requests that wait for a change
	fileWanted   atomic.Pointer[time.Time] // when one of those was last refused; nil for never
	batches      *limit.Gate               // requests for many newest points that are looked up
	lane         *limit.Lane               // where they are
	eventPace    *limit.EventPace
	listTurns    *limit.Turns                 // of lists
	changeTurns  *limit.Turns                 // of what makes something in ClickHouse, and of revocations, which wait for none
	shortTurns   *limit.Turns                 // of what takes no time and is asked for all the time
	refusalTurns *limit.Turns                 // of refusals of who is not known
	slots        *limit.Slots                 // connections that poll under overload
	thinned      map[string]*ratelimit.Bucket // by reason: refusals of which not all are logged
	stopping     chan struct{}
	counts       *serverCounts
	rates        *limit.Rates
	proxies      caller.Proxies
	browsers     *caller.Browsers
	identifier   *caller.Identifier
	rateProblems rateProblems
	readiness    readiness
	arrivals     arrivals // what came with device credentials
	draining     atomic.Bool
	refusing     atomic.Pointer[problem.Problem] // what everything is answered that is asked of what is stored; nil while nothing is
	others       nodeClients

	work     context.Context // ends when a shutdown's time is up
	stopWork context.CancelFunc

	mu       sync.Mutex
	listener *transport.Listener
	peers    *transport.Listener // connections of other nodes; nil without them
	stopped  bool
}

// New returns a Server that does not listen yet.
func New(config Config, services Services) *Server {
	config.setDefaults()
	if services.Nodes != nil {
		services.Owner = services.Nodes
	}
	if services.Owner == nil {
		services.Owner = cluster.Local().Owner
	}
	batching := max(1, runtime.GOMAXPROCS(0)/2) // the other half of the processors stays for those who poll
	s := &Server{
		config: config, services: services, routes: routes(), byPath: map[string][]*route{}, ids: newIDSource(),
		queries: limit.NewGate(limit.GateConfig{
			Capacity: int64(config.Queries), OwnerShare: int64(max(1, config.Queries/4)), Reserved: reservedQueries, Waiting: 10 * config.Queries, Wait: config.QueueWait,
		}),
		changes: limit.NewGate(limit.GateConfig{Capacity: int64(config.Queries), OwnerShare: 1, Waiting: 10 * config.Queries, Wait: config.QueueWait}),
		lists:   limit.NewGate(limit.GateConfig{Capacity: int64(runtime.GOMAXPROCS(0)), Waiting: waitingLists, Wait: config.QueueWait}),
		streams: limit.NewGate(limit.GateConfig{Capacity: int64(config.Histories), Waiting: 5 * config.Histories, Wait: config.QueueWait}),
		batches: limit.NewGate(limit.GateConfig{
			Capacity: int64(batching), OwnerShare: int64(batching), Waiting: waitingBatches, Wait: config.QueueWait,
		}),
		lane:    limit.NewLane(batching),
		waiting: limit.NewGate(limit.GateConfig{Capacity: int64(config.LongPolls)}), stopping: make(chan struct{}),
		thinned: map[string]*ratelimit.Bucket{
			problem.ReasonBusy: {}, problem.ReasonRate: {}, problem.ReasonUnavailable: {}, problem.ReasonDiskFull: {},
		},
	}
	s.open, s.openOf = openGates(config.Histories)
	s.publicFiles = limit.NewGate(publicFiles(config.Histories))
	s.counts = newServerCounts(s.routes)
	s.slots = limit.NewSlots(config.PollWait)
	s.eventPace = limit.NewEventPace(&s.ids.count)
	for _, turns := range []**limit.Turns{&s.listTurns, &s.changeTurns, &s.shortTurns, &s.refusalTurns} {
		*turns = limit.NewTurns(&s.ids.count, shortShare)
	}
	s.rates, s.rateProblems = limit.NewRates(config.RequestRate, config.FailureRate, config.Now), newRateProblems(&config)
	s.proxies, s.browsers = config.TrustedProxies, caller.NewBrowsers(services.SignIn, config.PublicURL, config.TLS != nil)
	s.identifier = caller.NewIdentifier(services.Authenticator, s.browsers, s.rates, s.proxies)
	s.work, s.stopWork = context.WithCancel(context.Background())
	s.others = nodeClients{nodes: services.Nodes, work: s.work, log: config.Logger, clients: map[handFor]*nodeClient{}}
	s.calls.New = func() any { return &call{server: s} }
	s.http = &fasthttp.Server{
		Handler:            s.router().Handler,
		ExpectHandler:      s.expect,
		ErrorHandler:       s.unreadable,
		ConnState:          func(c net.Conn, state fasthttp.ConnState) { transport.Idle(c, state == fasthttp.StateIdle) },
		Logger:             connectionLog{config.Logger},
		Concurrency:        2 * config.MaxConnections, // ours is the limit that counts; see transport.Listener
		ReadBufferSize:     config.MaxHeaderBytes,
		WriteBufferSize:    transport.ShortPart,
		ReadTimeout:        config.HeaderTimeout,
		WriteTimeout:       config.WriteTimeout,
		IdleTimeout:        config.IdleTimeout,
		MaxRequestBodySize: 1 << 30, // each route has its own limit; see body.go

		StreamRequestBody:            true,
		DisablePreParseMultipartForm: true,
		NoDefaultServerHeader:        true,
		CloseOnShutdown:              true,
		SecureErrorLogMessage:        true,
	}
	if config.AccessLog != LogAll {
		s.direct = newDirectPolls(s)
	}
	return s
}

// router builds the router from the route table. It answers exact paths only.
func (s *Server) router() *router.Router {
	r := router.New()
	r.RedirectTrailingSlash, r.RedirectFixedPath = false, false
	r.HandleMethodNotAllowed, r.HandleOPTIONS = false, false
	for i := range s.routes {
		route := &s.routes[i]
		s.byPath[route.path] = append(s.byPath[route.path], route)
		handler := func(ctx *fasthttp.RequestCtx) { s.serve(route, ctx) }
		r.Handle(route.method, route.path, handler)
		if route.method == fasthttp.MethodGet {
			r.Handle(fasthttp.MethodHead, route.path, handler) // fasthttp leaves the body out
		}
	}
	r.NotFound = func(ctx *fasthttp.RequestCtx) { s.serve(s.refusal(ctx), ctx) }
	return r
}

// refusal returns the route that stands for a request that no route is for: a path that does not
// exist, or a method that its path does not have. Both go the way of all requests, so that a
// credential is treated as everywhere.
func (s *Server) refusal(ctx *fasthttp.RequestCtx) *route {
	known := s.routesOf(ctx)
	if meant := misspelled[string(ctx.Request.URI().PathOriginal())]; meant != "" {
		return leadTo(meant)
	}
	if len(known) == 0 {
		return &noRoute
	}
	refused := &route{Access: caller.Access{Public: true}, timeout: refusalTimeout, path: known[0].path, handle: notAllowed, counts: known[0].counts}
	var methods []string
	for _, r := range known {
		methods = append(methods, r.method)
		if r.method == fasthttp.MethodGet {
			methods = append(methods, fasthttp.MethodHead)
		}
		refused.APIKeys = refused.APIKeys || r.APIKeys
	}
	refused.allow = strings.Join(methods, ", ")
	return refused
}

// routesOf returns the routes of a request's path.
func (s *Server) routesOf(ctx *fasthttp.RequestCtx) []*route {
	path := string(ctx.Request.URI().PathOriginal())
	if known := s.byPath[path]; known != nil {
		return known
	}
	return s.byPath[withoutCredential(path)]
}

// find returns the route of a request.
func (s *Server) find(ctx *fasthttp.RequestCtx) *route {
	method := string(ctx.Method())
	if method == fasthttp.MethodHead {
		method = fasthttp.MethodGet
	}
	for _, r := range s.routesOf(ctx) {
		if r.method == method {
			return r
		}
	}
	return s.refusal(ctx)
}

// Serve answers the connections of a listener, which it closes, until Shutdown; then it returns nil.
// It may be called once.
func (s *Server) Serve(inner net.Listener) error {
	s.mu.Lock()
	if s.stopped || s.listener != nil {
		s.mu.Unlock()
		return errors.Join(errors.New("serve: the server was started or stopped before"), inner.Close())
	}
	s.listener = transport.Listen(inner, transport.Options{
		MaxConnections: s.config.MaxConnections, MaxPerAddress: s.config.MaxConnectionsPerAddress,
		Refuse: s.refuseConnection, Direct: s.direct.way(), Stopping: s.stopping, TLS: s.config.TLS, HandshakeTime: s.config.HeaderTimeout,
	})
	s.mu.Unlock()
	watching, stop := context.WithCancel(s.work)
	var watchers sync.WaitGroup
	defer watchers.Wait()
	defer stop()
	if s.config.PollWait > 0 {
		watchers.Go(func() { s.slots.Watch(watching) })
	}
	if s.services.Nodes != nil {
		watchers.Go(func() { s.others.watch(watching) })
	}
	if err := s.http.Serve(s.listener); err != nil {
		return fmt.Errorf("serve HTTP: %w", err)
	}
	return nil
}

// ServePeers answers the requests that other nodes hand over, on a listener of their connections, which it closes, until Shutdown.
func (s *Server) ServePeers(inner net.Listener) error {
	s.mu.Lock()
	s.peers = transport.Listen(peerListener{inner}, transport.Options{
		MaxConnections: 16 * handConnections, Refuse: s.refuseConnection, Stopping: s.stopping, ExactWrites: true, // TLS below
	})
	peers := s.peers
	s.mu.Unlock()
	if err := s.http.Serve(peers); err != nil {
		return fmt.Errorf("serve the other nodes: %w", err)
	}
	return nil
}

// Drain makes /readyz answer 503 from now on, so that load balancers stop sending requests. The
// server goes on serving.
func (s *Server) Drain() { s.draining.Store(true) }

// Refuse makes the server answer every request with a problem from now on, but for those that anybody may make whatever is stored: probes and
// pages. Who waits for a change is to be woken afterwards.
func (s *Server) Refuse(with *problem.Problem) { s.refusing.Store(with) }

// Shutdown stops accepting connections, answers the polls that wait, lets the requests that are being
// served finish, and returns when all are done. When ctx ends first, it cancels what is left, cuts the
// connections, waits for that, and returns the context's error. Once it has returned, no request is
// being served.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain()
	s.mu.Lock()
	if !s.stopped {
		close(s.stopping)
	}
	s.stopped = true
	listener, peers := s.listener, s.peers
	s.mu.Unlock()
	defer s.lane.Stop()
	defer s.stopWork()
	if listener == nil {
		return nil
	}
	listener.Settle(ctx)
	err := s.http.ShutdownWithContext(ctx)
	if err == nil {
		err = listener.Wait(ctx)
	}
	if err == nil && peers != nil {
		err = peers.Wait(ctx)
	}
	if err == nil {
		return nil
	}
	s.stopWork()
	listener.Cut()
	if peers != nil {
		peers.Cut()
	}
	// Every request's work ends with s.work and every connection has failed, so this is short.
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.WriteTimeout)
	defer cancel()
	return fmt.Errorf("stop serving HTTP: %w", errors.Join(err, listener.Wait(cleanup)))
}

// refuseConnection answers a connection past a limit, or one that does not speak TLS where it must.
func (s *Server) refuseConnection(c net.Conn, why error) {
	p := problem.From(why, problem.Query)
	var id requestID
	s.ids.next(&id)
	response := fasthttp.AcquireResponse()
	defer fasthttp.ReleaseResponse(response)
	p.SetHeaders(response)
	response.Header.SetBytesV(headerRequestID, id.bytes())
	response.SetConnectionClose()
	response.SetBody(p.Body(id.bytes()))
	w := bufio.NewWriter(c)
	if response.Write(w) == nil {
		_ = w.Flush() // the client is cut off in any case
	}
}

// connectionLog takes what fasthttp has to say of connections that broke. It may quote what clients
// sent, so only the format is logged.
type connectionLog struct{ logger *slog.Logger }

// Printf logs the format of a message.
func (l connectionLog) Printf(format string, _ ...any) {
	l.logger.Debug("connection", "message", format)
}
