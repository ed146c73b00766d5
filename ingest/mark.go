package ingest

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"
	"unsafe"

	"lastseen/schema"
)

// marks are points to be marked as outliers, or no longer.
type marks struct {
	outlier schema.Outlier
	points  map[schema.PointKey]markedPoint
	rest    []schema.PointKey // of those, what is not done yet, by ascending time

	successful, failed int // the outcome
}

// markedPoint is a point whose session the caller's organisation owns.
type markedPoint struct {
	orgID    string
	deviceID schema.ID
	times    int // how often the caller named it
}

// markSize is about how many bytes a point to be marked takes.
const markSize = int64(unsafe.Sizeof(schema.PointKey{})+unsafe.Sizeof(markedPoint{})) * 2 // and their order

// MarkOutliers marks points as outliers, or takes the mark away, and returns how many of the ids
// are now so and how many could not be: malformed, unknown, or of a session that the organisation
// does not own. When it returns, last_seen and history show the change.
//
// Errors: schema.Invalid with the field tracking_session_by_device_data_point_ids when there are more
// than MaxMarks ids; schema.Busy; schema.Unavailable, after which the same call may be made again; or the
// context's when it ends first, in which case the points may still be marked.
func (w *Writer) MarkOutliers(ctx context.Context, orgID string, ids []string, outlier bool) (successful, failed int, err error) {
	if len(ids) > MaxMarks {
		return 0, 0, schema.Invalid.About("tracking_session_by_device_data_point_ids", "Name at most %d points at a time.", MaxMarks)
	}
	bytes := int64(len(ids)) * markSize
	if !w.budget.TryAcquire(bytes) {
		return 0, 0, schema.Busy
	}
	wanted := &marks{points: make(map[schema.PointKey]markedPoint, len(ids))}
	if outlier {
		wanted.outlier = schema.OutlierByUser
	}
	for _, id := range ids {
		session, timestamp, ok := schema.ParsePointID(id)
		device, owned := w.directory.DeviceOf(orgID, session)
		if !ok || !owned {
			wanted.failed++
			continue
		}
		key := schema.PointKey{SessionID: session, Timestamp: timestamp}
		wanted.points[key] = markedPoint{orgID: orgID, deviceID: device, times: wanted.points[key].times + 1}
	}
	wanted.rest = slices.SortedFunc(maps.Keys(wanted.points), func(x, y schema.PointKey) int { return cmp.Compare(x.Timestamp, y.Timestamp) })
	if len(wanted.points) == 0 {
		w.budget.Release(bytes)
		return 0, wanted.failed, nil
	}
	err = w.submit(&request{ctx: ctx, orgID: orgID, marks: wanted, bytes: bytes, done: make(chan error, 1)}, len(wanted.points))
	if err != nil {
		return 0, 0, err
	}
	return wanted.successful, wanted.failed, nil
}

// mark writes marks of some points and makes last_seen follow the history.
func (c *committer) mark(m *marks, keys []schema.PointKey) error {
	c.begin()
	stored, err := c.find(keys)
	if err != nil {
		return schema.Failure(err)
	}
	var rows []schema.OwnedPoint
	sessions := make(map[schema.ID]struct{})
	for _, key := range keys {
		wanted := m.points[key]
		p, there := stored[key]
		if !there {
			m.failed += wanted.times
			continue
		}
		m.successful += wanted.times
		if p.Outlier == m.outlier {
			continue
		}
		p.Outlier = m.outlier
		p.Version = max(p.Version+1, schema.PersonVersion)
		rows = append(rows, schema.OwnedPoint{DataPoint: p, OrgID: wanted.orgID, DeviceID: wanted.deviceID})
		if c.mayBeShown(&p) {
			sessions[p.SessionID] = struct{}{}
		}
		delete(c.outliers.tracks, p.SessionID) // what was in doubt is not any more
	}
	if len(rows) == 0 {
		// An earlier call may have written what this one asks for and not got further.
		return c.settle(nil)
	}
	ctx, cancel := context.WithTimeout(context.Background(), statementTimeout)
	defer cancel()
	if len(sessions) > 0 {
		if err := c.notices.BeginMark(ctx, slices.Collect(maps.Keys(sessions))); err != nil {
			return schema.Failure(err)
		}
	}
	began := time.Now()
	insertErr := c.store.insert(ctx, rows)
	c.took.insert = time.Since(began)
	c.marked.Add(1) // also after a failure, when they may be there
	if insertErr != nil {
		insertErr = schema.Failure(insertErr)
	}
	// After an insert that failed too: what it did, the history knows.
	settleErr := c.settle(sessions)
	if insertErr != nil {
		return insertErr
	}
	return settleErr
}

// mayBeShown reports whether a stored point is the one that last_seen shows of its session, or would be with another
// mark. To read what is the newest then takes some times as long as to write marks.
func (c *committer) mayBeShown(p *schema.DataPoint) bool {
	_, known := c.newest.LastKnown(p.SessionID, &c.shown)
	return !known || c.shown.Outlier != schema.NotOutlier || p.Timestamp >= c.shown.Timestamp
}

// settle makes last_seen follow the history in sessions that were marked, these and those that could
// not be settled before. On an error, which matches schema.Unavailable, they stay to be settled.
func (c *committer) settle(sessions map[schema.ID]struct{}) error {
	maps.Copy(c.unsettled, sessions)
	if len(c.unsettled) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), statementTimeout)
	defer cancel()
	newest, err := c.store.newestPoints(ctx, slices.Collect(maps.Keys(c.unsettled)))
	if err != nil {
		return schema.Failure(err)
	}
	if err := c.notices.EndMark(ctx, newest); err != nil {
		return schema.Failure(err)
	}
	clear(c.unsettled)
	return nil
}
