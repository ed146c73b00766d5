package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"lastseen/cmd/lastseen/terminal"
	"lastseen/ingest/registry"
	"lastseen/keys/ratelimit"
	"lastseen/query/history"
	"lastseen/schema"
	"lastseen/server"
	"lastseen/server/console"
)

// serviceFlags are what serve and demo have in common.
type serviceFlags struct {
	Addr     string `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Where to listen; port 0 takes any free one (default ${default})."`
	MapTiles string `placeholder:"FILE.pmtiles" help:"A street map for the console, a PMTiles file of the Protomaps basemap; without one it shows land, tracks and no streets."`

	Outliers string `default:"flag" enum:"flag,off" help:"What becomes of points that cannot be true, such as 300 km from the one before within seconds: flag marks them as outliers, which last_seen, stays and buckets leave out; off believes them. A session may say otherwise (default ${default})."`

	ShutdownTimeout time.Duration `default:"30s" help:"How long requests in flight may take after SIGTERM (default ${default})."`
	DrainDelay      time.Duration `default:"0s" help:"How long to go on serving after SIGTERM with /readyz at 503, for load balancers to notice (default ${default})."`
	limitFlags      `embed:"" group:"Limits"`
}

// limitFlags bound what the service takes on.
type limitFlags struct {
	MaxConnections             int            `default:"16384" help:"Open connections; past it 503 (default ${default})."`
	MaxConnectionsPerAddress   int            `default:"0" help:"Open connections of one client address; past it 429; 0 for no limit, which is right behind a proxy (default ${default})."`
	DiskReserve                int            `default:"256" placeholder:"MIB" help:"Free space of ClickHouse's disk, in MiB, below which points are answered 503 instead of being written; a disk that is full can cost points that were acknowledged; 0 for none (default ${default})."`
	IngestMemory               int            `default:"256" placeholder:"MIB" help:"Memory for points in flight, in MiB; past it 503 (default ${default})."`
	ClockAhead                 time.Duration  `default:"60s" placeholder:"DURATION" help:"How far ahead of this machine's clock the timestamp of a point may lie; others are rejected (default ${default})."`
	IngestQueue                int            `default:"10000" placeholder:"POINTS" help:"Points that may wait for the next insert under overload; past it 503 (default ${default})."`
	IngestInterval             time.Duration  `default:"100ms" help:"Least time between the starts of two inserts of few points: at most 1s; longer gives ClickHouse less to do and acknowledgements more time; 0 to wait for two milliseconds at most (default ${default})."`
	DevicesPerOrganisation     int            `default:"200000" help:"Devices that one organisation may register; past it 409; 0 for no limit (default ${default})."`
	SessionsPerOrganisation    int            `default:"200000" help:"Active sessions that one organisation may have; past it 409; 0 for no limit (default ${default})."`
	AllSessionsPerOrganisation int            `default:"2000000" help:"Sessions that one organisation may have, those that have ended included; past it 409; 0 for no limit (default ${default})."`
	Queries                    int            `default:"0" help:"Requests that ask ClickHouse at the same time, histories aside; 0 for four times the processors (default ${default})."`
	LongPolls                  int            `default:"50000" help:"Requests that wait for a change at the same time, streams of events included; past it polls are answered at once and streams refused (default ${default})."`
	Histories                  int            `default:"8" help:"Histories that are streamed at the same time: of one organisation half as many, past it 429; without a credential a quarter (default ${default})."`
	HistoryMaxPoints           int64          `default:"50000000" help:"Points of one answer of a history; a longer one is cut, and must be asked for in pages; 0 for no limit (default ${default})."`
	HistoryMaxBytes            int64          `default:"17179869184" placeholder:"BYTES" help:"Bytes of one answer of a history, likewise (default ${default})."`
	HistoryMaxTime             time.Duration  `default:"10m" help:"How long one answer of a history may take, likewise (default ${default})."`
	PollWait                   time.Duration  `default:"1ms" help:"How long polls of last_seen from more than 128 connections a processor may wait for it before those past what keeps it busy get 503; 0 to answer all, each when its turn comes (default ${default})."`
	QueueWait                  time.Duration  `default:"1s" help:"How long a request waits for its turn before 503 (default ${default})."`
	CachedKeys                 int            `default:"100000" help:"API keys and device credentials kept in memory, about 750 bytes each (default ${default})."`
	KeysPerOrganisation        int            `default:"10000" help:"API keys of one organisation that are good at the same time, and as many device credentials; past it 409; 0 for no limit (default ${default})."`
	RequestRate                ratelimit.Rate `default:"1000000/10s" placeholder:"N/DURATION" help:"Requests of one key or one person: so many at once, and as many again in that time; past it 429; 0 for no limit (default ${default})."`
	FailureRate                ratelimit.Rate `default:"300/1m" placeholder:"N/DURATION" help:"Bad credentials from one client address; past it 429 for credentials that are not known to be good; 0 for no limit (default ${default})."`
	KeyLookUpRate              ratelimit.Rate `default:"100/1s" placeholder:"N/DURATION" help:"Queries for keys, each of up to 1,000; what cannot wait for one gets 503; 0 for no limit (default ${default})."`
	TrustedProxies             []netip.Prefix `placeholder:"CIDR" help:"Proxies in front of the service whose X-Forwarded-For names the client's address; none by default."`
	ClickHouseConnections      int            `name:"clickhouse-connections" default:"0" help:"Statements that run at the same time; 0 for as many as the limits above need (default ${default})."`
}

// Validate refuses limits that make no sense.
func (f *serviceFlags) Validate() error {
	for _, span := range f.spans() {
		if span.value < span.least || span.value > span.most {
			return fmt.Errorf("--%s must be from %s to %s", span.flag, span.least, span.most)
		}
	}
	for _, limit := range f.limits() {
		if limit.value < limit.least {
			return fmt.Errorf("--%s must be %d or more", limit.flag, limit.least)
		}
	}
	return nil
}

// span is the value of a flag and the range that makes sense.
type span struct {
	flag               string
	value, least, most time.Duration
}

// spans are the flags that say how long. Past the most of each, what was meant is another unit.
func (f *serviceFlags) spans() []span {
	const short = time.Minute // a request that waits for longer has lost its client
	return []span{
		{"shutdown-timeout", f.ShutdownTimeout, 0, time.Hour},
		{"drain-delay", f.DrainDelay, 0, time.Hour},
		{"ingest-interval", f.IngestInterval, 0, time.Second},
		{"history-max-time", f.HistoryMaxTime, 0, 24 * time.Hour},
		{"clock-ahead", f.ClockAhead, time.Millisecond, 24 * time.Hour},
		{"queue-wait", f.QueueWait, 0, short},
		{"poll-wait", f.PollWait, 0, time.Second},
	}
}

// limit is the value of a flag and the least that makes sense.
type limit struct {
	flag         string
	value, least int64
}

// limits are the flags that count something: at least 1, or 0 where their help says what 0 means.
func (f *limitFlags) limits() []limit {
	return []limit{
		{"max-connections", int64(f.MaxConnections), 1},
		{"max-connections-per-address", int64(f.MaxConnectionsPerAddress), 0},
		{"disk-reserve", int64(f.DiskReserve), 0},
		{"ingest-memory", int64(f.IngestMemory), 1},
		{"ingest-queue", int64(f.IngestQueue), 1},
		{"queries", int64(f.Queries), 0},
		{"devices-per-organisation", int64(f.DevicesPerOrganisation), 0},
		{"sessions-per-organisation", int64(f.SessionsPerOrganisation), 0},
		{"all-sessions-per-organisation", int64(f.AllSessionsPerOrganisation), 0},
		{"long-polls", int64(f.LongPolls), 1},
		{"histories", int64(f.Histories), 1},
		{"history-max-points", f.HistoryMaxPoints, 0},
		{"history-max-bytes", f.HistoryMaxBytes, 0},
		{"cached-keys", int64(f.CachedKeys), 1},
		{"keys-per-organisation", int64(f.KeysPerOrganisation), 0},
		{"clickhouse-connections", int64(f.ClickHouseConnections), 0},
	}
}

// config makes an App's configuration.
func (f *serviceFlags) config(log *slog.Logger, accessLog string, storage schema.Options) (appConfig, error) {
	access, ok := server.ParseAccessLog(accessLog)
	if !ok {
		return appConfig{}, fmt.Errorf("there is no access log %q", accessLog)
	}
	queries := f.Queries
	if queries == 0 {
		queries = 4 * runtime.GOMAXPROCS(0)
	}
	storage.DiskReserve = int64(f.DiskReserve) << 20
	storage.Connections, storage.Log = f.ClickHouseConnections, log
	if storage.Connections == 0 {
		const others = 14 // the writer, the checkpoint, look-ups of keys and their uses, revocations, /readyz, two feeds that wait, and some to spare
		storage.Connections = queries + f.Histories + others
	}
	return appConfig{
		addr: f.Addr, mapTiles: f.MapTiles, schema: storage, log: log,
		server: server.Config{
			Retention: storage.Retention, AccessLog: access, MaxConnections: boundConnections(f.MaxConnections, descriptorLimit(), log), MaxConnectionsPerAddress: f.MaxConnectionsPerAddress,
			Queries: queries, Histories: f.Histories, LongPolls: f.LongPolls, QueueWait: f.QueueWait, PollWait: f.PollWait,
			RequestRate: f.RequestRate, FailureRate: f.FailureRate, TrustedProxies: f.TrustedProxies,
		},
		quotas:        registry.Quotas{Devices: f.DevicesPerOrganisation, Sessions: f.SessionsPerOrganisation, AllSessions: f.AllSessionsPerOrganisation},
		historyLimits: history.Limits{Points: f.HistoryMaxPoints, Bytes: f.HistoryMaxBytes, Time: f.HistoryMaxTime},
		ingestBytes:   int64(f.IngestMemory) << 20, ingestQueue: f.IngestQueue, clockAhead: f.ClockAhead, flagOutliers: f.Outliers == schema.WordFlagOutliers,
		ingestInterval: f.IngestInterval, cachedKeys: f.CachedKeys, maxKeys: f.KeysPerOrganisation, keyLookUpRate: f.KeyLookUpRate,
		drainDelay: f.DrainDelay, drainTimeout: f.ShutdownTimeout,
	}, nil
}

// serveCommand runs the service until a signal.
type serveCommand struct {
	serviceFlags
	signInFlags `embed:"" group:"Sign-in"`
	tlsFlags    `embed:"" group:"TLS"`
	adminFlags
	tracingFlags    `embed:"" group:"Traces"`
	clickhouseFlags `embed:"" group:"ClickHouse server"`
	nodesFlags      `embed:"" group:"Several nodes"`
	DataDir         string     `default:"lastseen-data" placeholder:"DIR" help:"Where the embedded ClickHouse keeps its data and the local issuer its key; made when absent (default ${default})."`
	ClickHouse      string     `name:"clickhouse" default:"embedded" placeholder:"embedded|URL" help:"Which ClickHouse: embedded, or the HTTP address of a server such as http://user:password@host:8123/database, several hosts separated by commas; put a password into the environment variable, not on the command line (default ${default})."`
	Database        string     `default:"lastseen" placeholder:"NAME" help:"Database for the tables, made when absent; one that the address names goes before it (default ${default})."`
	Cluster         string     `placeholder:"NAME" help:"ClickHouse cluster over which to lay the tables out; none by default."`
	Replicated      *bool      `help:"Whether a cluster's tables are Replicated ones; by default where its servers have a Keeper and the macros shard and replica. Counts when the tables are made."`
	LogLevel        slog.Level `default:"info" placeholder:"LEVEL" help:"Least level that is logged: debug, info, warn or error (default ${default})."`
	AccessLog       string     `default:"usual" enum:"usual,all,errors,off" help:"Which requests are logged: usual leaves out successful polls of last_seen and of the probes; all; errors; off (default ${default})."`
	Retention       retention  `default:"0d" placeholder:"DAYSd" help:"How long data points are kept after their timestamp, in days such as 400d; ClickHouse drops older ones within hours, and ingest rejects them; 0d for ever (default ${default})."`
	NoFsync         bool       `help:"Acknowledge points before the disk has them: they survive the death of the process but not the loss of power. Off by default."`
	AcceptDamage    bool       `help:"Go on although ClickHouse has set damaged parts of tables aside: what they held stays missing, revocations of keys too. Off by default: keys are then refused."`
}

// retention is a time in whole days.
type retention time.Duration

// UnmarshalText reads a number of days, such as 400d.
func (r *retention) UnmarshalText(text []byte) error {
	const day = 24 * time.Hour
	number, found := strings.CutSuffix(string(text), "d")
	days, err := strconv.ParseUint(number, 10, 32)
	if err != nil || !found && number != "0" || days > uint64(schema.LongestRetention/day) {
		return fmt.Errorf("%q is no retention: give whole days, such as 400d, up to %dd, or 0d to keep points for ever", text, schema.LongestRetention/day)
	}
	*r = retention(time.Duration(days) * day)
	return nil
}

// Validate refuses flags that do not go together.
func (c *serveCommand) Validate() error {
	err := errors.Join(c.serviceFlags.Validate(), c.signInFlags.Validate(), c.tlsFlags.Validate(), c.tracingFlags.Validate(), c.nodesConfig().check(c.ClickHouse))
	if c.on() && strings.HasPrefix(c.PublicURL, "http://") {
		err = errors.Join(err, errors.New("--public-url must begin with https:// where the service speaks TLS itself"))
	}
	return err
}

// Run implements the command.
func (c *serveCommand) Run(ctx context.Context, std streams) error {
	log := terminal.NewLogger(std.err, c.LogLevel)
	config, err := c.config(log, c.AccessLog, schema.Options{
		ClickHouse: c.ClickHouse, DataDir: c.DataDir, Database: c.Database, Cluster: c.Cluster, Replicated: c.Replicated, NoFsync: c.NoFsync,
		Retention: time.Duration(c.Retention), Security: c.security(),
	})
	if err != nil {
		return err
	}
	log.Info("starting", "version", version(), "data_dir", c.DataDir)
	config.admin, config.acceptDamage, config.tracing = c.adminConfig(), c.AcceptDamage, c.tracing()
	if len(c.ACMEDomain) > 0 {
		c.PublicURL = cmp.Or(c.PublicURL, "https://"+c.ACMEDomain[0])
	}
	config.signIn, config.server.PublicURL, config.nodes = c.signInConfig(), c.PublicURL, c.nodesConfig()
	if config.listener, err = inheritedListener(); err != nil {
		return err
	}
	if config.certificates, err = c.source(c.DataDir, log); err != nil {
		return err
	}
	app, err := StartApp(ctx, config)
	if err != nil {
		return startFailed(ctx, err)
	}
	log.Info("listening", "address", app.Addr(), "console", strings.TrimRight(cmp.Or(c.PublicURL, app.base()), "/")+console.Path)
	tellSystemd(log, daemon.SdNotifyReady)
	err = app.serveUntil(ctx, func() {
		log.Info("stopping")
		tellSystemd(log, daemon.SdNotifyStopping)
	})
	if err == nil {
		log.Info("stopped")
	}
	return err
}

// startFailed leaves out the failures that a signal during the start brings about.
func startFailed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("start the service: %w", err)
}

// serveUntil serves until ctx ends, calls stopping, and stops.
func (a *App) serveUntil(ctx context.Context, stopping func()) error {
	var failed error
	select {
	case <-ctx.Done():
	case failed = <-a.Served():
		a.config.log.Error("serving has ended", "error", failed)
	}
	stopping()
	return errors.Join(failed, a.Stop(context.WithoutCancel(ctx)))
}
