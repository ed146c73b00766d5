package ingest

import (
	"sync/atomic"
	"time"

	"lastseen/ingest/decode"
	"lastseen/ingest/registry"
	"lastseen/schema/measure"
)

// reasons are the words by which rejections of points are counted. Sentences that are not here count
// as "malformed".
var reasons = map[string]string{
	decode.DetailNoReference: "no_session", registry.DetailNoSession: "no_session", registry.DetailNoDevice: "no_session", registry.DetailNoMAC: "no_session", registry.DetailNoActive: "no_session",
	registry.DetailBound: "no_session", registry.DetailDisagree: "no_session", detailAfterEnd: "session_ended", detailFuture: "future", detailRollover: "week_rollover", decode.DetailTooOld: "too_old",
	decode.DetailLatitude: "out_of_range", decode.DetailLongitude: "out_of_range", decode.DetailAltitude: "out_of_range", decode.DetailAccuracy: "out_of_range",
	decode.DetailSpeed: "out_of_range", decode.DetailHeading: "out_of_range", decode.DetailTemperature: "out_of_range", decode.DetailBattery: "out_of_range",
}

const (
	reasonMalformed = "malformed"
	reasonExpired   = "expired" // Writer.expired, which is not the same sentence for every writer
)

// writerCounts are what a Writer counts.
type writerCounts struct {
	requests, points, duration *measure.Histogram // by insert
	repeated                   measure.Counter
	failures                   atomic.Uint64
	rejections                 map[string]*measure.Counter // by reason; the map is never changed
}

func newWriterCounts() *writerCounts {
	c := &writerCounts{
		requests: measure.NewHistogram(measure.SizeBounds()), points: measure.NewHistogram(measure.SizeBounds()),
		duration:   measure.NewHistogram(measure.DurationBounds()),
		rejections: map[string]*measure.Counter{reasonMalformed: {}, reasonExpired: {}},
	}
	for _, reason := range reasons {
		c.rejections[reason] = new(measure.Counter)
	}
	return c
}

// inserted counts a group of requests whose fresh points were inserted.
func (c *writerCounts) inserted(requests, fresh, repeated int, began time.Time) {
	c.repeated.Add(int64(repeated))
	if fresh == 0 {
		return // nothing was asked of ClickHouse
	}
	c.duration.ObserveSince(began)
	c.requests.Observe(int64(requests))
	c.points.Observe(int64(fresh))
}

// rejected counts rejections, of which expired is the sentence that counts as reasonExpired.
func (c *writerCounts) rejected(rejections []decode.Rejection, expired string) {
	for i := range rejections {
		reason, known := reasons[rejections[i].Detail]
		switch {
		case rejections[i].Detail == expired:
			reason = reasonExpired
		case !known:
			reason = reasonMalformed
		}
		c.rejections[reason].Add(1)
	}
}

// WriterStats counts what a Writer has done since it was made.
type WriterStats struct {
	// GroupRequests and GroupPoints are how many requests and new points went into an insert, and
	// InsertTime how long it took, in nanoseconds. The sum of GroupPoints is how many were written.
	GroupRequests, GroupPoints, InsertTime measure.Distribution

	InsertFailures uint64            // inserts that failed
	Repeated       uint64            // points that were stored already
	Rejected       map[string]uint64 // points that were not taken, by reason
	Flagged        map[string]uint64 // points that were marked as outliers because they cannot be true, by reason
	Lifted         uint64            // such marks that were taken away again

	Waiting                  int    // requests in the queue
	QueueLimit, QueueInUse   int    // points that may wait for the next insert under overload, and that do; large requests count for less
	QueueRefused             uint64 // requests that found it full
	BudgetBytes, BudgetInUse int64  // of the memory for points in flight
	BudgetRefused            uint64 // requests for memory that did not get it
}

// Stats returns the counts, which may be off against each other by what happens meanwhile. It is safe
// for concurrent use.
func (w *Writer) Stats() WriterStats {
	c := w.committer.counts
	stats := WriterStats{
		GroupRequests: c.requests.Distribution(), GroupPoints: c.points.Distribution(), InsertTime: c.duration.Distribution(),
		InsertFailures: c.failures.Load(), Repeated: uint64(c.repeated.Value()), Rejected: make(map[string]uint64, len(c.rejections)),
		Flagged:     make(map[string]uint64),
		BudgetBytes: w.budget.Capacity(), BudgetInUse: w.budget.InUse(), BudgetRefused: w.budget.Refused(),
	}
	for reason, count := range c.rejections {
		stats.Rejected[reason] = uint64(count.Value())
	}
	for reason, count := range w.committer.outliers.flagged {
		stats.Flagged[outlierOf(reason).Reason()] = uint64(count.Value())
	}
	stats.Lifted = uint64(w.committer.outliers.lifted.Value())
	stats.QueueLimit = w.queue.limit
	stats.Waiting, stats.QueueInUse, stats.QueueRefused = w.queue.stats()
	return stats
}
