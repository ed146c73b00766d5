package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"lastseen/ingest"
	"lastseen/ingest/decode"
	"lastseen/ingest/registry"
	"lastseen/keys/apikey"
	"lastseen/keys/people/oidc"
	"lastseen/keys/ratelimit"
	"lastseen/query/changes"
	"lastseen/query/history"
	"lastseen/query/latest"
	"lastseen/query/sessions"
	"lastseen/schema"
	"lastseen/schema/lease"
	"lastseen/schema/witness"
	"lastseen/server"
	"lastseen/server/certificate"
	"lastseen/server/cluster"
	"lastseen/server/cluster/replicated"
	"lastseen/server/console"
	"lastseen/server/metrics"
	"lastseen/server/problem"
)

// appConfig says how an App is put together.
type appConfig struct {
	addr     string           // HOST:PORT to listen on; port 0 takes any
	listener *net.TCPListener // to serve on in place of addr, held open by whoever started the process; nil for none
	mapTiles string           // a PMTiles file, or empty
	schema   schema.Options
	server   server.Config
	admin    adminConfig
	tracing  tracingConfig

	certificates certificate.Source // with which the service speaks TLS itself; nil for not at all

	ingestBytes    int64         // of memory for points in flight
	flagOutliers   bool          // unless a session says otherwise
	clockAhead     time.Duration // by which a point's timestamp may be ahead
	ingestQueue    int           // points that may wait for the next insert
	ingestInterval time.Duration // between inserts of few points; 0 for none
	historyLimits  history.Limits
	cachedKeys     int // API keys and device credentials
	keyLookUpRate  ratelimit.Rate
	quotas         registry.Quotas
	signIn         signInConfig
	nodes          nodesConfig
	lease          time.Duration // the length of the one to write to a server; 0 for the usual one
	maxKeys        int           // of an organisation and a kind that are good at the same time; 0 for no bound
	acceptDamage   bool          // go on although parts of tables are missing
	drainDelay     time.Duration // from /readyz's 503 to the refusal of connections
	drainTimeout   time.Duration // for requests in flight at the end
	log            *slog.Logger
}

// App is a running service. The tests run the same one on port 0.
type App struct {
	config   appConfig
	listener net.Listener
	admin    net.Listener // nil without metrics
	server   *server.Server
	db       *schema.DB
	lease    *lease.Lease   // to write; nil with the embedded engine, and with several nodes
	nodes    *several       // nil where the node is alone
	watch    *witness.Watch // of what ClickHouse must have; nil with the embedded engine, which nobody else can change
	loading  loading
	stops    []stopStep
	served   chan error // what Serve returned, or why to stop
}

// stopStep undoes one step of the start.
type stopStep struct {
	name string
	stop func(context.Context) error
}

// saveTimeout bounds each write of the shutdown that follows the last request.
const saveTimeout = 10 * time.Second

// StartApp starts a service and returns when it serves. From its first moment until then it answers
// only the probes, /healthz with 200. ctx bounds the start alone; on an error nothing is left running.
func StartApp(ctx context.Context, config appConfig) (*App, error) {
	a := &App{config: config, served: make(chan error, 2)}
	defer collectSeldom()()
	if err := a.start(ctx); err != nil {
		return nil, errors.Join(err, a.Stop(context.WithoutCancel(ctx)))
	}
	return a, nil
}

// Addr is the address that the service listens on.
func (a *App) Addr() string {
	return a.listener.Addr().String()
}

// base returns the URL under which this machine reaches the service, also when it listens on every address.
func (a *App) base() string {
	addr, scheme := a.Addr(), "http://"
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		addr = net.JoinHostPort("127.0.0.1", port)
	}
	if a.config.certificates != nil {
		scheme = "https://"
	}
	return scheme + addr
}

// Served gets what ended the serving: nil after Stop. Before that it gets why to stop, should this process lose the right to write.
func (a *App) Served() <-chan error {
	return a.served
}

// Stop ends the service in the reverse order of its start: no new connections, the requests in flight,
// the points that were admitted, the checkpoint of last_seen, the uses of keys, the storage. It goes on
// after a step that fails. It may be called more than once, but not at the same time.
func (a *App) Stop(ctx context.Context) error {
	var failed error
	for _, step := range slices.Backward(a.stops) {
		began := time.Now()
		if err := step.stop(ctx); err != nil && !errors.Is(err, witness.ErrSetBack) { // what may not be written then is lost
			failed = errors.Join(failed, fmt.Errorf("stop %s: %w", step.name, err))
		}
		a.config.log.Debug("stopped", "what", step.name, "after", time.Since(began).Round(time.Millisecond))
	}
	a.stops = nil
	return failed
}

func (a *App) onStop(name string, stop func(context.Context) error) {
	a.stops = append(a.stops, stopStep{name, stop})
}

// openMap opens the street map, if there is to be one.
func (a *App) openMap() error {
	if a.config.mapTiles == "" {
		return nil
	}
	tiles, err := server.OpenMapTiles(a.config.mapTiles)
	if err != nil {
		return err
	}
	a.config.server.MapTiles = tiles
	a.onStop("the street map", func(context.Context) error { return tiles.Close() })
	return nil
}

// start builds the service from the bottom up. Every step says how it is undone.
func (a *App) start(ctx context.Context) error {
	if err := a.openMap(); err != nil {
		return err
	}
	listener, err := a.listen(ctx)
	if err != nil {
		return err
	}
	a.listener = listener
	a.onStop("listening", func(context.Context) error {
		if err := listener.Close(); !errors.Is(err, net.ErrClosed) { // serving closes it too
			return err
		}
		return nil
	})
	admin, err := a.listenAdmin(ctx)
	if err != nil {
		return err
	}
	if err := startTracing(ctx, a); err != nil {
		return err
	}
	if a.config.certificates != nil {
		a.config.server.TLS = a.config.certificates.Config()
	}
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { console.Files() }) // which takes some hundredths of a second, in which opening the engine keeps one processor busy
	services, err := a.startServicesWhileAnswering(ctx, listener, admin)
	if err != nil {
		return err
	}
	a.config.server.Logger = a.config.log
	a.server = server.New(a.config.server, services)
	watchSetBack(a, services.LastSeen)
	store := watchStore(a)
	sources := metrics.Sources{ // stopped after the HTTP server, to show how it drains
		Server: a.server, Authenticator: services.Authenticator, Keys: services.Keys, Writer: services.Writer,
		LastSeen: services.LastSeen, Statements: a.db, Store: store, Version: version(),
	}
	if a.nodes != nil {
		sources.Nodes = a.nodes
	}
	a.serveAdmin(admin, sources)
	go func() { a.served <- a.server.Serve(listener) }()
	if a.nodes != nil {
		go func() {
			if err := a.server.ServePeers(a.nodes.member.Load().Peers.Requests()); err != nil {
				a.served <- err
			}
		}()
	}
	a.onStop("the HTTP server", a.drain)
	keepCertificates(a)
	serveControl(a)
	a.watchLease()
	return nil
}

// listen takes the address to serve on, or the socket that was handed over.
func (a *App) listen(ctx context.Context) (*net.TCPListener, error) {
	if a.config.listener != nil {
		return a.config.listener, nil
	}
	listener, err := listen(ctx, a.config.addr)
	if err != nil {
		return nil, err
	}
	return listener.(*net.TCPListener), nil
}

// startServicesWhileAnswering starts the services while probes are answered, and others told to come again. On a socket that
// was handed over nobody is answered yet: there they wait.
func (a *App) startServicesWhileAnswering(ctx context.Context, listener *net.TCPListener, admin net.Listener) (server.Services, error) {
	var answering []*loadingServer
	if a.config.listener == nil {
		answering = append(answering, answerWhileLoading(listener, a.config.server.TLS, a.loading.answer))
	}
	if tcp, is := admin.(*net.TCPListener); is {
		answering = append(answering, answerWhileLoading(tcp, nil, a.loading.answerAdmin))
	}
	services, err := a.startServices(ctx)
	for _, s := range answering {
		if stopErr := s.stop(); err == nil {
			err = stopErr
		}
	}
	return services, err
}

// startServices opens the storage and loads what is kept in memory.
func (a *App) startServices(ctx context.Context) (services server.Services, err error) {
	db, err := a.openStorage(ctx)
	if err != nil {
		return services, err
	}
	lastSeen := latest.New(db, time.Now)
	index := sessions.NewIndex(lastSeen)
	registry := registry.New(db, sessionWatchers(a, index, lastSeen), a.config.quotas, time.Now)
	loaded := beginLoad(ctx, a, lastSeen, registry)
	issuer, err := openIssuer(a.config.schema.DataDir)
	if err != nil {
		return services, err
	}
	signIn, provider, err := a.startSignIn(ctx, issuer)
	if err != nil {
		return services, err
	}
	nodes := cluster.Local()
	if a.lease != nil {
		nodes.Owner = leaseOwner{a.lease}
	}
	if a.nodes != nil {
		nodes.Notices.Keys = a.nodes.Keys()
	}
	authenticator, keyService, err := a.startKeys(oidc.Users{Local: issuer, Provider: provider}, apikey.ServiceConfig{
		DB: db, Channel: nodes.Notices.Keys, Devices: registry, MaxKeys: a.config.maxKeys, CursorKey: issuer.DeriveKey("key list cursors"), Logger: a.config.log,
	})
	if err != nil {
		return services, err
	}
	if err := a.watchDamage(ctx, authenticator, keyService, signIn); err != nil {
		return services, err
	}
	countExpiring(ctx, a, keyService.CountExpiring)
	received, err := db.NewestReceipt(ctx, time.Now())
	if err = cmp.Or(err, loaded()); err != nil {
		return services, err
	}
	if err := beginWatch(ctx, a, nodes.Notices.Keys, received); err != nil {
		return services, err
	}
	a.startCheckpoints(lastSeen)
	notices, watermark := seams(a, lastSeen)
	writer := ingest.NewWriter(db, registry, lastSeen, notices, ingest.WriterOptions{
		Budget: decode.NewBudget(a.config.ingestBytes), Queue: a.config.ingestQueue, ClockAhead: a.config.clockAhead, FlagOutliers: a.config.flagOutliers,
		Interval: cmp.Or(a.config.ingestInterval, -1), Retention: a.config.schema.Retention,
		// The embedded engine goes with its process, a server may finish what a dead process began.
		ReceivedThrough: received, Unsettled: a.config.schema.ClickHouse != schema.Embedded,
	})
	a.onStop("the writer", func(context.Context) error {
		writer.Close()
		return nil
	})
	if watermark == nil {
		watermark = writer
	}
	histories := history.New(db, lastSeen, history.Options{
		CursorKey: issuer.DeriveKey("history cursors"), Watermark: watermark, Limits: a.config.historyLimits,
		Retention: a.config.schema.Retention, Folder: a.config.schema.DataDir, Reserve: a.config.schema.DiskReserve,
	})
	a.onStop("the feeds that wait", func(context.Context) error { return histories.Close() })
	joined, err := joinNodes(ctx, a, db, issuer, replicated.Parts{
		DB: db, LastSeen: lastSeen, Index: index, Registry: registry, Authenticator: authenticator, SignIn: signIn, Writer: writer, Told: told(a), Log: a.config.log,
	})
	if err != nil {
		return services, err
	}
	return server.Services{
		Nodes:         joined,
		Authenticator: authenticator, Keys: keyService, SignIn: signIn, Provider: provider,
		Registry: registry, Writer: writer, Owner: nodes.Owner,
		LastSeen: lastSeen, History: histories,
		Sessions:  sessions.NewReader(index, issuer.DeriveKey("session cursors"), time.Now),
		Changes:   changes.New(lastSeen, issuer.DeriveKey("changes cursors")),
		Ready:     func(ctx context.Context) error { return a.ready(ctx, authenticator) },
		StoreDown: func() bool { return db.Trouble() != nil },
	}, nil
}

func (a *App) openStorage(ctx context.Context) (*schema.DB, error) {
	if err := os.MkdirAll(a.config.schema.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	if err := checkRestored(a.config.schema.DataDir); err != nil {
		return nil, err
	}
	db, err := schema.Open(ctx, a.config.schema)
	if err != nil {
		return nil, err
	}
	a.db = db
	a.onStop("the storage", func(context.Context) error { return db.Close() })
	if err := a.takeLease(ctx, db); err != nil {
		return nil, err
	}
	makeWatch(a, db)
	if err := db.Migrate(ctx); err != nil {
		return nil, err
	}
	return db, nil
}

// takeLease makes this process the one that writes to the database, or fails with a sentence that says which one does.
// From then on nothing is written without the lease. The embedded engine has a lock of its own on the data directory.
func (a *App) takeLease(ctx context.Context, db *schema.DB) error {
	if a.config.schema.ClickHouse == schema.Embedded {
		return nil
	}
	if a.config.nodes.peerAddr != "" {
		return openNodes(ctx, a, db)
	}
	if err := refuseNodes(ctx, a, db); err != nil {
		return err
	}
	n, err := openNode(a.config.schema.DataDir)
	if err != nil {
		return err
	}
	a.onStop("the data directory", func(context.Context) error { return n.close() })
	register, err := db.OpenWriterRegister(ctx)
	if err != nil {
		return err
	}
	a.onStop("the register of who writes", func(context.Context) error { return register.Close() })
	a.lease, err = lease.Acquire(ctx, register, n.holder(), lease.Options{Length: a.config.lease, Log: a.config.log})
	if err != nil {
		return err
	}
	a.onStop("the lease", a.lease.Close)
	return nil
}

// leaseLost reports whether another process has taken the lease.
func (a *App) leaseLost() bool { return a.lease != nil && leaseOwner{a.lease}.Own(schema.ID{}) != nil }

// watchLease ends the serving when another process has taken the lease: what this one has in memory is out of date for good.
func (a *App) watchLease() {
	if a.lease == nil {
		return
	}
	stopped := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-a.lease.Lost():
			a.served <- lease.ErrLost
		case <-stopped:
		}
	})
	a.onStop("watching the lease", func(context.Context) error {
		close(stopped)
		watching.Wait()
		return nil
	})
}

func (a *App) startKeys(users apikey.TokenVerifier, service apikey.ServiceConfig) (*apikey.Authenticator, *apikey.Service, error) {
	authenticator, err := apikey.NewAuthenticator(apikey.AuthenticatorConfig{
		Store: service.DB, Users: users, Channel: service.Channel, CachedKeys: a.config.cachedKeys, LoadRate: a.config.keyLookUpRate, Logger: a.config.log, Routes: server.KeyRoutes(),
	})
	if err != nil {
		return nil, nil, err
	}
	a.onStop("the key cache", func(context.Context) error { return authenticator.Close() })
	return authenticator, apikey.NewService(service), nil
}

// startCheckpoints writes last_seen behind, and once more at the end.
func (a *App) startCheckpoints(lastSeen *latest.Table) {
	running, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		lastSeen.Run(running)
	}()
	a.onStop("the checkpoint of last_seen", func(ctx context.Context) error {
		cancel()
		<-done
		ctx, cancel := context.WithTimeout(ctx, saveTimeout)
		defer cancel()
		return lastSeen.Flush(ctx)
	})
}

// drain lets load balancers know, then stops accepting connections and waits for requests in flight.
func (a *App) drain(ctx context.Context) error {
	a.server.Drain()
	if a.config.drainDelay > 0 && !a.leaseLost() {
		delay := time.NewTimer(a.config.drainDelay)
		defer delay.Stop()
		select {
		case <-delay.C:
		case <-ctx.Done():
		}
	}
	ctx, cancel := context.WithTimeout(ctx, a.config.drainTimeout)
	defer cancel()
	return a.server.Shutdown(ctx)
}

// ready says in a sentence for the public why the service cannot serve. What is wrong is logged by the
// storage's monitor, once.
func (a *App) ready(ctx context.Context, authenticator *apikey.Authenticator) error {
	if wasSetBack(a) {
		return publicError(problem.StoreSetBack.Detail)
	}
	if trouble := a.db.Trouble(); trouble != nil {
		return publicError(trouble.Sentence)
	}
	if a.db.Ping(ctx) != nil {
		return errNotReady
	}
	if a.lease != nil && a.lease.Held() != nil {
		return errNoLease
	}
	if a.nodes != nil && !a.nodes.member.Load().MayServe() {
		return errNotInTouch
	}
	if authenticator.Denies() {
		return errKeysDenied
	}
	return nil
}
