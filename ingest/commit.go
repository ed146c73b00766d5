package ingest

import (
	"context"
	"maps"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"lastseen/ingest/decode"
	"lastseen/schema"
)

// statementTimeout bounds what the committer asks of ClickHouse. A start of the service replays the
// points received in the last minute before its checkpoint, so no insert may take longer than that.
const statementTimeout = 30 * time.Second

// committer is the single writer of data points. That nobody else writes points is what lets it tell new ones from
// those that are there. A point goes through these stages; the first runs side by side for all requests, the others
// in the Writer's one goroutine, a group at a time.
//
//  1. Admit (Writer.Ingest). The batch's memory is taken from the budget; its points' sessions are resolved by the Directory,
//     and each point that may not be written is rejected by itself. The rest waits in the queue, or is refused.
//  2. Choose (lanes.next). A group of usual requests begins when it is due (pace), and takes what waits, up to its bound.
//     Requests that would take long are written in slices between the groups, and 3 to 9 are of a slice then.
//  3. Assemble (group.add). Of several points of a group with one identity the last stays. A point may be stored
//     already when it is not newer than all that is known of its session (Newest), or when its session is in doubt.
//  4. Look up (store.find). What may be stored is looked up by its identity, once a group.
//  5. Separate (group.separate). What is stored with the same values needs no writing; what is stored with others is
//     written with the next version. The group gets its time of receipt, later than every group before it.
//  6. Judge (committer.judge). Points that cannot be true are flagged; flags of stored points that prove wrong are rows of
//     the same insert.
//  7. Insert (store.insert). One statement, which returns when the rows survive a loss of power. Until it returns,
//     nobody has heard of the rows.
//  8. Settle. The commit watermark moves up to the group. After a failure it is held back instead until the rows have
//     appeared or never will, and the sessions are in doubt: whatever comes for them is looked up. An insert that never
//     reached ClickHouse leaves neither behind.
//  9. Announce (Notices.Publish). Everybody who must know does: polls show the points from here on.
//  10. Acknowledge. Each request of the group gets its answer, or each of which this was the last slice, after which its
//     points are kept (7), seen once (4, 5) and fresh (9).
//
// A failure in 4, 6 or 7 ends the group there: nothing of it is announced, and every request of it is answered
// schema.Unavailable or schema.DiskFull. The same call may then be made again, since the look-up finds what may have
// been stored. Marks of outliers take the same way, alone, with Notices told before the insert too (see mark).
//
// What the stages call outside of this package are the interfaces Directory, Newest and Notices, and the functions of a
// store, so that tests can put faults at each of these seams.
type committer struct {
	store   store
	newest  Newest
	notices Notices
	now     func() time.Time

	group      group
	prefetched []schema.ID      // scratch
	shown      schema.DataPoint // scratch
	// inDoubt are the sessions for which an insert failed whose outcome is not known: their points may be stored
	// though nobody heard of them.
	inDoubt map[schema.ID]doubt
	// unsettled are the sessions that were marked and of which last_seen could not be told yet.
	unsettled map[schema.ID]struct{}

	outliers  outliers
	watermark watermark
	marked    atomic.Uint64 // how often marks were written
	counts    *writerCounts

	steps    uint64         // how many were done: what is known of sessions may change with each
	took     took           // by the last one
	findCost time.Duration  // what a look-up of a point took lately, of usual requests
	known    []groupSession // scratch: of a batch's targets
}

// took is what the parts of a step took.
type took struct {
	find, insert, review   time.Duration
	finds, months, reviews int // what was looked up, in how many months was written, and of how many sessions neighbours were read
}

// store is what the committer does in ClickHouse. A statement that fails may have been executed all the same, and may
// even be executed later.
type store struct {
	// find returns the stored points with the identities.
	find func(context.Context, []schema.PointKey) (map[schema.PointKey]schema.DataPoint, error)
	// insert writes rows, which survive a loss of power once it has returned nil.
	insert func(context.Context, []schema.OwnedPoint) error
	// newestPoints returns what the history says of sessions' newest points.
	newestPoints func(context.Context, []schema.ID) ([]schema.Checkpoint, error)
	// around returns points in a time of each session, in ascending order; see schema.PointTable.ReadAround.
	around func(ctx context.Context, times []schema.Around, before, after int) (map[schema.ID][]schema.DataPoint, error)
}

func storeIn(db *schema.DB) store {
	return store{find: db.FindDataPoints, insert: db.InsertDataPoints, newestPoints: db.NewestPoints, around: db.ReadAround}
}

// doubt is what an insert whose outcome is unknown may have written of a session.
type doubt struct {
	until   int64  // the newest timestamp, Unix milliseconds
	version uint32 // above the version of each of its rows
}

func newCommitter(store store, newest Newest, notices Notices, now func() time.Time, flagOutliers bool) committer {
	return committer{
		store: store, newest: newest, notices: notices, now: now, group: newGroup(), outliers: newOutliers(flagOutliers, now().UnixMilli()),
		inDoubt: make(map[schema.ID]doubt), unsettled: make(map[schema.ID]struct{}), counts: newWriterCounts(), findCost: findCost,
	}
}

// write takes points of some requests through the stages 3 to 9. On an error, which matches schema.Unavailable or
// schema.DiskFull, none of them is shown.
func (c *committer) write(parts []part) error {
	c.begin()
	c.settle(nil) // on an error the sessions stay to be settled, and these points are no worse off
	g := &c.group
	defer g.reset()
	g.session = c.knowledge
	for _, r := range parts {
		g.begin()
		for i := range r.points {
			if i%prefetchedPoints == 0 {
				c.prefetchPoints(r.batch, r.points[i:min(i+prefetchedPoints, len(r.points))])
			}
			p := &r.points[i]
			o := &r.batch.Targets[p.Target].Owner
			p.SessionID = o.Session
			g.add(&p.DataPoint, r.orgID, o)
		}
	}
	stored, err := c.find(g.keysToFind())
	if err != nil {
		return schema.Failure(err)
	}
	stamp := c.watermark.next(c.now().UnixMilli())
	fresh := g.separate(stored, stamp)
	changed, err := c.judge(g, fresh)
	if err != nil {
		return schema.Failure(err)
	}
	if err := c.insert(fresh, changed, stamp, len(parts)); err != nil {
		return err
	}
	c.outliers.remember(g)
	for i, r := range parts {
		r.replaced += g.replaced[i]
	}
	// Points that were there already are shown too: an insert that failed may have written them.
	if err := c.publish(g.rows); err != nil {
		return err
	}
	if err := c.publish(changed.shown); err != nil {
		return err
	}
	if len(changed.marked) == 0 {
		return nil
	}
	began := time.Now()
	err = c.settle(changed.marked)
	c.took.review += time.Since(began)
	return err
}

// insert writes the points of a group, received at a time, that so many requests brought, and the stored points whose
// flags change because of them.
func (c *committer) insert(fresh []schema.OwnedPoint, changed flagChanges, stamp int64, requests int) error {
	ctx, cancel := context.WithTimeout(context.Background(), statementTimeout)
	defer cancel()
	if len(changed.marked) > 0 {
		began := time.Now()
		if err := c.notices.BeginMark(ctx, slices.Collect(maps.Keys(changed.marked))); err != nil {
			return schema.Failure(err)
		}
		c.took.review += time.Since(began)
	}
	rows := fresh
	if len(changed.shown)+len(changed.others) > 0 {
		rows = slices.Concat(fresh, changed.shown, changed.others)
	}
	began := time.Now()
	err := c.store.insert(ctx, rows)
	if len(rows) > len(fresh) {
		c.marked.Add(1) // also after a failure, when they may be there
	}
	c.took.insert, c.took.months = time.Since(began), monthsOf(rows)
	if err != nil {
		if !schema.NeverBegun(err) {
			c.putInDoubt(rows)
			c.watermark.fail(stamp)
		}
		c.counts.failures.Add(1)
		maps.Copy(c.unsettled, changed.marked) // what became of them, the history knows
		return schema.Failure(err)
	}
	if len(rows) > 0 { // what is settled never passes what is stored; see watermark.begin
		c.watermark.done(stamp, c.now())
	}
	c.counts.inserted(requests, len(fresh), len(c.group.rows)-len(fresh), began)
	return nil
}

// beginAnew is Begin for the committer.
func (c *committer) beginAnew(b *beginning) {
	defer close(b.done)
	clear(c.inDoubt)
	clear(c.unsettled)
	clear(c.outliers.tracks)
	clear(c.outliers.amended)
	c.outliers.since = c.now().UnixMilli()
	c.watermark.mu.Lock()
	defer c.watermark.mu.Unlock()
	c.watermark.failures = nil
	c.watermark.begin(max(b.received, c.watermark.last), true, c.now())
}

// publish announces points. Where that fails they are stored, and who sends them again is told so.
func (c *committer) publish(points []schema.OwnedPoint) error {
	if len(points) == 0 {
		return nil
	}
	if err := c.notices.Publish(points); err != nil {
		c.putInDoubt(points)
		return schema.Failure(err)
	}
	return nil
}

// begin begins a step.
func (c *committer) begin() {
	c.steps++
	c.took = took{}
}

// prefetch announces the sessions of a batch to last_seen.
func (c *committer) prefetch(batch *decode.Batch) {
	c.prefetched = c.prefetched[:0]
	for i := range batch.Targets {
		c.prefetched = append(c.prefetched, batch.Targets[i].Owner.Session)
	}
	c.newest.Prefetch(c.prefetched)
}

// prefetchedPoints is how many points' sessions are announced to last_seen before they are asked for: what was fetched for a
// whole group, when its requests were weighed, does not stay in a processor's cache until its turn comes.
const prefetchedPoints = 128

// prefetchPoints is prefetch for some points of a batch.
func (c *committer) prefetchPoints(batch *decode.Batch, points []decode.Point) {
	c.prefetched = c.prefetched[:0]
	for i := range points {
		if i == 0 || points[i].Target != points[i-1].Target {
			c.prefetched = append(c.prefetched, batch.Targets[points[i].Target].Owner.Session)
		}
	}
	c.newest.Prefetch(c.prefetched)
}

// find looks points up by their identity.
func (c *committer) find(keys []schema.PointKey) (map[schema.PointKey]schema.DataPoint, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), statementTimeout)
	defer cancel()
	began := time.Now()
	stored, err := c.store.find(ctx, keys)
	c.took.find, c.took.finds = c.took.find+time.Since(began), c.took.finds+len(keys)
	return stored, err
}

// putInDoubt notes that an insert of rows failed and may have written some of them.
func (c *committer) putInDoubt(rows []schema.OwnedPoint) {
	for i := range rows {
		p := &rows[i].DataPoint
		d, known := c.inDoubt[p.SessionID]
		if !known || p.Timestamp > d.until {
			d.until = p.Timestamp
		}
		d.version = max(d.version, p.Version+1)
		c.inDoubt[p.SessionID] = d
	}
}

// knowledge says what is known of a session's points without asking ClickHouse.
func (c *committer) knowledge(session schema.ID) groupSession {
	s := groupSession{newest: math.MaxInt64, last: math.MinInt64}
	newest, known := c.newest.LastKnown(session, &c.shown)
	if known {
		s.newest = newest
	}
	s.doubts = c.outliers.doubtsOf(session, &c.shown, newest, known)
	if d, doubtful := c.inDoubt[session]; doubtful {
		if known && newest >= d.until {
			delete(c.inDoubt, session) // all that it covers is looked up anyway
		}
		s.newest, s.version = max(s.newest, d.until), d.version
	}
	return s
}
