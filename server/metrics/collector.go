package metrics

import (
	"math"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lastseen/schema"
	"lastseen/schema/measure"
)

// describe makes the description of a metric of ours.
func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("lastseen_"+name, help, labels, nil)
}

// The metrics. docs/operating.md explains them.
var (
	requestDuration  = describe("http_request_duration_seconds", "Time from the end of a request's headers to the end of its answer.", "method", "route", "status")
	requestsInFlight = describe("http_requests_in_flight", "Requests that are being served.")
	requestsRefused  = describe("http_requests_refused_total", "Requests that were not answered as they wished, by reason, and answers that broke off.", "reason")
	longPolls        = describe("long_polls_total", "Polls of last_seen that had something to wait for and have ended, by outcome.", "outcome")
	introduced       = describe("devices_introduced_total", "Devices that nobody knew and that an app's first position registered, with a session.")
	suspensions      = describe("history_suspensions_total", "Queries of histories that were given up for a while because the client was slow to read.")

	admissionCapacity = describe("admission_capacity", "How much of a resource there is.", "resource")
	admissionInUse    = describe("admission_in_use", "How much of a resource is in use.", "resource")
	admissionWaiting  = describe("admission_waiting", "Requests that wait for a resource.", "resource")
	admissionRefused  = describe("admission_limit_reached_total", "Requests that did not get a resource in time.", "resource")

	keyChecks        = describe("key_checks_total", "Checks of API keys and device credentials: hit, miss (looked up in ClickHouse), unknown (remembered not to exist).", "result")
	keyLoads         = describe("key_loads_total", "Queries for keys in ClickHouse, each for all that were missed meanwhile.")
	keyLoadKeys      = describe("key_load_keys_total", "Keys that the queries for keys in ClickHouse asked for.")
	keyLoadFailures  = describe("key_load_failures_total", "Queries for keys in ClickHouse that failed.")
	keyLoadsTooFast  = describe("key_loads_too_fast_total", "Checks of keys that got no look-up in time because of the limit on their rate.")
	tokenChecks      = describe("token_checks_total", "Checks of user tokens: hit (verified lately) or miss (verified now).", "result")
	revokedKeys      = describe("revoked_keys", "Keys in the revoked set.")
	propagation      = describe("revocation_propagation_seconds", "Time until every cache of keys had applied a revocation.")
	propagationFails = describe("revocation_propagation_failures_total", "Revocations that could not be announced to every cache.")

	expiringKeys = describe("keys_expiring", "Good keys, of all organisations, that expire within so many days; counted every ten minutes.", "kind", "days")

	lookups          = describe("last_seen_lookups_total", "Look-ups of last_seen: hit, empty (no point to show), miss (no such session for the caller).", "result")
	sessions         = describe("last_seen_sessions", "Sessions in the table in memory.")
	dirtySessions    = describe("last_seen_dirty_sessions", "Sessions that changed since the checkpoint was last saved.")
	loadedRows       = describe("last_seen_loaded_rows", "Rows that the last load of the table brought.", "kind")
	loadTime         = describe("last_seen_load_seconds", "Time that the last load of the table took.")
	checkpointSaves  = describe("last_seen_checkpoint_saves_total", "Saves of the checkpoint.", "result")
	freshnessLag     = describe("freshness_lag_seconds", "How old points were by their own timestamp when they came on show as their session's newest.")
	groupPoints      = describe("ingest_group_points", "New points in an insert.")
	groupRequests    = describe("ingest_group_requests", "Requests that shared an insert.")
	insertTime       = describe("ingest_insert_seconds", "Time that an insert of points took.")
	insertFailures   = describe("ingest_insert_failures_total", "Inserts of points that failed.")
	pointsWritten    = describe("ingest_points_total", "Points that were accepted: written, or repeated (stored already).", "result")
	pointsRejected   = describe("ingest_rejected_total", "Points that were rejected, by reason.", "reason")
	pointsFlagged    = describe("ingest_outliers_total", "Points that were marked as outliers because they cannot be true, by reason, and such marks that were taken away (lifted).", "reason")
	statements       = describe("clickhouse_statements_total", "Statements sent to ClickHouse.", "kind")
	statementsFailed = describe("clickhouse_errors_total", "Statements that ClickHouse failed at.", "kind")
	storeUp          = describe("store_up", "Whether nothing is known that keeps ClickHouse from serving: 1 or 0.")
	mayWrite         = describe("writer", "Whether this process may write to the database: 1, or 0 while it has no lease.")
	storeSetBack     = describe("store_set_back", "Whether ClickHouse was set back to an earlier state while this process ran, which answers nothing since: 1 or 0.")
	diskFree         = describe("store_disk_free_bytes", "Free space of ClickHouse's disk.")
	diskSize         = describe("store_disk_size_bytes", "Size of ClickHouse's disk.")
	diskReserve      = describe("store_disk_reserve_bytes", "Free space of ClickHouse's disk below which no points are written.")
	storeParts       = describe("store_parts", "Active parts of the partition that has most of them.")
	storePartsLimit  = describe("store_parts_limit", "Parts of a partition past which ClickHouse slows inserts down.")
	damagedParts     = describe("store_damaged_parts", "Parts of tables that ClickHouse has set aside because it cannot read them.")
	clockDifference  = describe("store_clock_difference_seconds", "How far ClickHouse's clock is ahead of this machine's.")
	storeInfo        = describe("store_info", "What the store is; always 1.", "version", "schema", "fsync", "retention_days")
	buildInfo        = describe("build_info", "What runs; always 1.", "version", "goversion")
)

// all are the metrics, for Describe.
var all = []*prometheus.Desc{
	requestDuration, requestsInFlight, requestsRefused, longPolls, introduced, suspensions, admissionCapacity, admissionInUse, admissionWaiting, admissionRefused,
	keyChecks, keyLoads, keyLoadKeys, keyLoadFailures, keyLoadsTooFast, tokenChecks, revokedKeys, propagation, propagationFails, expiringKeys,
	lookups, sessions, dirtySessions, loadedRows, loadTime, checkpointSaves, freshnessLag,
	groupPoints, groupRequests, insertTime, insertFailures, pointsWritten, pointsRejected, pointsFlagged, statements, statementsFailed,
	storeUp, mayWrite, storeSetBack, diskFree, diskSize, diskReserve, storeParts, storePartsLimit, damagedParts, clockDifference, storeInfo, buildInfo,
}

// collector reads the sources whenever it is asked. It is safe for concurrent use.
type collector struct{ sources Sources }

// Describe implements prometheus.Collector.
func (c *collector) Describe(descriptions chan<- *prometheus.Desc) {
	for _, d := range all {
		descriptions <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(metrics chan<- prometheus.Metric) {
	out := sink(metrics)
	c.collectServer(out)
	c.collectKeys(out)
	c.collectLastSeen(out)
	c.collectIngest(out)
	for _, s := range c.sources.Statements.Stats() {
		out.counter(statements, s.Begun, s.Kind)
		out.counter(statementsFailed, s.Failed, s.Kind)
	}
	c.collectStore(out)
	out.gauge(buildInfo, 1, c.sources.Version, goVersion())
}

func (c *collector) collectServer(out sink) {
	stats := c.sources.Server.Stats()
	for i := range stats.Requests {
		r := &stats.Requests[i]
		out.histogram(requestDuration, r.Duration, time.Second, r.Method, r.Route, r.Class)
	}
	out.gauge(requestsInFlight, float64(stats.InFlight))
	for reason, n := range stats.Refused {
		out.counter(requestsRefused, n, reason)
	}
	for outcome, n := range stats.LongPolls {
		out.counter(longPolls, n, outcome)
	}
	out.counter(introduced, stats.Introduced)
	out.counter(suspensions, stats.Suspensions)
	for _, a := range stats.Admissions {
		out.admission(a.Name, float64(a.Capacity), float64(a.InUse), float64(a.Waiting), a.Refused)
	}
}

func (c *collector) collectKeys(out sink) {
	stats := c.sources.Authenticator.Stats()
	out.counter(keyChecks, stats.Hits, "hit")
	out.counter(keyChecks, stats.Misses-min(stats.Misses, stats.Unknown), "miss")
	out.counter(keyChecks, stats.Unknown, "unknown")
	out.counter(keyLoads, stats.Loads)
	out.counter(keyLoadKeys, stats.KeysLoaded)
	out.counter(keyLoadFailures, stats.LoadFailures)
	out.counter(keyLoadsTooFast, stats.LoadsTooFast)
	out.counter(tokenChecks, stats.TokenHits, "hit")
	out.counter(tokenChecks, stats.TokenMisses, "miss")
	out.gauge(revokedKeys, float64(stats.RevokedKeys))
	out.admission("key_loads", float64(stats.LoadCapacity), float64(stats.LoadsRunning), float64(stats.LoadsWaiting), stats.LoadsRefused)
	service := c.sources.Keys.Stats()
	out.histogram(propagation, service.Propagation, time.Second)
	out.counter(propagationFails, service.PropagationFailures)
	for _, expiring := range service.Expiring {
		out.gauge(expiringKeys, float64(expiring.Week), string(expiring.Kind), "7")
		out.gauge(expiringKeys, float64(expiring.Days30), string(expiring.Kind), "30")
	}
}

func (c *collector) collectLastSeen(out sink) {
	stats := c.sources.LastSeen.Stats()
	out.counter(lookups, stats.Hits, "hit")
	out.counter(lookups, stats.Empty, "empty")
	out.counter(lookups, stats.Misses, "miss")
	out.gauge(sessions, float64(stats.Sessions))
	out.gauge(dirtySessions, float64(stats.Dirty))
	out.gauge(loadedRows, float64(stats.Loaded.Checkpoints), "checkpoint")
	out.gauge(loadedRows, float64(stats.Loaded.Replayed), "replayed_point")
	out.gauge(loadedRows, float64(stats.Loaded.Recomputed), "recomputed_session")
	out.gauge(loadTime, stats.LoadTime.Seconds())
	out.counter(checkpointSaves, stats.CheckpointsSaved, "saved")
	out.counter(checkpointSaves, stats.SaveFaults, "failed")
	out.histogram(freshnessLag, stats.Lag, time.Second)
}

func (c *collector) collectIngest(out sink) {
	stats := c.sources.Writer.Stats()
	out.histogram(groupPoints, stats.GroupPoints, 1)
	out.histogram(groupRequests, stats.GroupRequests, 1)
	out.histogram(insertTime, stats.InsertTime, time.Second)
	out.counter(insertFailures, stats.InsertFailures)
	out.counter(pointsWritten, uint64(stats.GroupPoints.Sum), "written")
	out.counter(pointsWritten, stats.Repeated, "repeated")
	for reason, n := range stats.Rejected {
		out.counter(pointsRejected, n, reason)
	}
	for reason, n := range stats.Flagged {
		out.counter(pointsFlagged, n, reason)
	}
	out.counter(pointsFlagged, stats.Lifted, "lifted")
	out.admission("ingest_bytes", float64(stats.BudgetBytes), float64(stats.BudgetInUse), 0, stats.BudgetRefused)
	out.admission("ingest_queue", float64(stats.QueueLimit), float64(stats.QueueInUse), float64(stats.Waiting), stats.QueueRefused)
}

// collectStore shows what is known of the store. What is not known is no number, which no alert takes for one.
func (c *collector) collectStore(out sink) {
	stats := c.sources.Store.Stats()
	out.gauge(storeUp, truth(stats.Up))
	out.gauge(mayWrite, truth(stats.Writes))
	out.gauge(storeSetBack, truth(stats.SetBack))
	condition, unknown := stats.Condition, math.NaN()
	if condition == nil {
		for _, d := range []*prometheus.Desc{diskFree, diskSize, diskReserve, storeParts, storePartsLimit, damagedParts, clockDifference} {
			out.gauge(d, unknown)
		}
		out.gauge(storeInfo, 1, "", "", "", "")
		return
	}
	known := func(of uint64, is bool) float64 {
		if !is {
			return unknown
		}
		return float64(of)
	}
	disk, parts := condition.DiskSize > 0, condition.PartsLimit > 0
	out.gauge(diskFree, known(condition.DiskFree, disk))
	out.gauge(diskSize, known(condition.DiskSize, disk))
	settings, migrated := condition.Knows(schema.OfSettings), condition.Knows(schema.OfSchema)
	out.gauge(diskReserve, known(condition.DiskReserve, settings))
	out.gauge(storeParts, known(condition.Parts, parts))
	out.gauge(storePartsLimit, known(condition.PartsLimit, parts))
	out.gauge(damagedParts, known(uint64(len(condition.Damaged)), condition.Knows(schema.OfDamage)))
	out.gauge(clockDifference, condition.ClockAhead.Seconds())
	tables, fsync, days := "", "", ""
	if migrated {
		tables = strconv.FormatUint(uint64(condition.Migrated), 10)
	}
	if settings {
		const day = 24 * time.Hour
		fsync, days = onOrOff(condition.Synced), strconv.FormatInt(int64(condition.Retention/day), 10)
	}
	out.gauge(storeInfo, 1, condition.Version, tables, fsync, days)
}

func onOrOff(is bool) string {
	if is {
		return "on"
	}
	return "off"
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// sink takes metrics. Their descriptions are fixed, so that a failure is a mistake in this file.
type sink chan<- prometheus.Metric

func (s sink) counter(d *prometheus.Desc, n uint64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
}

func (s sink) gauge(d *prometheus.Desc, value float64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

// histogram shows a distribution whose values are in parts of a unit, such as nanoseconds of a second.
func (s sink) histogram(d *prometheus.Desc, of measure.Distribution, unit time.Duration, labels ...string) {
	buckets := make(map[float64]uint64, len(of.Bounds))
	total := uint64(0)
	for i, bound := range of.Bounds {
		total += of.Counts[i]
		buckets[float64(bound)/float64(unit)] = total
	}
	s <- prometheus.MustNewConstHistogram(d, of.Count(), float64(of.Sum)/float64(unit), buckets, labels...)
}

func (s sink) admission(resource string, capacity, inUse, waiting float64, refused uint64) {
	s.gauge(admissionCapacity, capacity, resource)
	s.gauge(admissionInUse, inUse, resource)
	s.gauge(admissionWaiting, waiting, resource)
	s.counter(admissionRefused, refused, resource)
}
