package schema

import (
	"bytes"
	"context"
	"fmt"
	"math"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
)

// Receipt is a place in the order of arrival: by when a point was received, then by its session, then by its
// timestamp; both times are Unix milliseconds.
type Receipt struct {
	ReceivedAt int64
	Session    ID
	Timestamp  int64
}

// FirstReceipt comes before every place in the order of arrival.
var FirstReceipt = Receipt{ReceivedAt: math.MinInt64, Timestamp: math.MinInt64}

// lastID comes after every id.
var lastID = ID(bytes.Repeat([]byte{0xff}, len(ID{})))

// ReceivedBy returns the place after all that was received by a time (Unix milliseconds).
func ReceivedBy(ms int64) Receipt {
	return Receipt{ReceivedAt: ms, Session: lastID, Timestamp: math.MaxInt64}
}

// Before reports whether a place comes before another one.
func (r Receipt) Before(other Receipt) bool {
	if r.ReceivedAt != other.ReceivedAt {
		return r.ReceivedAt < other.ReceivedAt
	}
	if order := bytes.Compare(r.Session[:], other.Session[:]); order != 0 {
		return order < 0
	}
	return r.Timestamp < other.Timestamp
}

// Arrivals says which points are wanted by their arrival.
type Arrivals struct {
	// Session is the one session whose points are wanted; the zero ID stands for OrgID and Sessions.
	Session ID
	// OrgID is the organisation whose sessions are wanted, empty for none, and Sessions are others beside them.
	OrgID    string
	Sessions []ID
	// Start <= timestamp < End, Unix milliseconds.
	Start, End int64
	// After is the place after which the points come, and Through the last one.
	After, Through Receipt
}

// query returns what follows a select list, with the arguments, and the context of who runs it.
//
// It looks at every row and not at what is left of a point after its versions have been folded: a consumer who was
// given an older version must be given the newer one when that arrives, and a row that was written twice must be
// found at its later place too.
func (a *Arrivals) query(ctx context.Context) (_ context.Context, from string, args []any, err error) {
	from, args = sessionRange, sessionRangeArgs(a.Session, a.Start, a.End)
	if a.Session == (ID{}) {
		from, args = " FROM session_by_device_data_points\nWHERE "+a.ofMany()+timestampRange, append(args[1:], clickhouse.Named("org", a.OrgID))
		if len(a.Sessions) > 0 {
			if ctx, err = withIDs(ctx, "session", a.Sessions); err != nil {
				return nil, "", nil, err
			}
		}
	}
	if a.After != FirstReceipt {
		condition, more := a.After.bound("after", ">")
		from, args = from+condition, append(args, more...)
	}
	condition, more := a.Through.bound("through", "<=")
	return ctx, from + condition, append(args, more...), nil
}

// ofMany is the condition for the points of an organisation's sessions and of others.
func (a *Arrivals) ofMany() string {
	const owned, others = "org_id = {org:String}", "session_id IN (SELECT session FROM wanted)"
	switch {
	case len(a.Sessions) == 0 && a.OrgID == "":
		return "0"
	case len(a.Sessions) == 0:
		return owned
	case a.OrgID == "":
		return others
	}
	return "(" + owned + " OR " + others + ")"
}

// bound is a condition for one end of a range of places, whose arguments begin with a name. That the time of arrival is
// compared by itself first is for the index. Where the place is the end of all that arrived at a time nothing else is
// compared, which of millions of rows would take longer than to read them.
func (r Receipt) bound(name, comparison string) (condition string, args []any) {
	const at = "fromUnixTimestamp64Milli({%s_received:Int64}, 'UTC')"
	received := fmt.Sprintf(at, name)
	args = []any{clickhouse.Named(name+"_received", storableTime(r.ReceivedAt))}
	if r.endsTime() {
		return "\n  AND received_at " + comparison + " " + received, args
	}
	condition = fmt.Sprintf("\n  AND received_at %s= %s\n  AND (received_at, session_id, timestamp) %s (%[2]s, {%[4]s_session:String}, fromUnixTimestamp64Milli({%[4]s:Int64}, 'UTC'))",
		comparison[:1], received, comparison, name)
	return condition, append(args, clickhouse.Named(name+"_session", r.Session.String()), clickhouse.Named(name, storableTime(r.Timestamp)))
}

// endsTime reports whether the place comes after all that arrived at its time.
func (r Receipt) endsTime() bool { return r == ReceivedBy(r.ReceivedAt) }

// receiptOrder is the order of arrival.
const receiptOrder = " ORDER BY received_at, session_id, timestamp"

// sorting are the settings of a query that sorts by arrival, which is not the order of the key.
var sorting = clickhouse.Settings{"max_threads": 1, "max_bytes_before_external_sort": 64 << 20}

// ReadReceived streams points in the order of their arrival. Of a point that was replaced, each version that
// is still stored has its own place.
func (db *PointTable) ReadReceived(ctx context.Context, wanted Arrivals) (*PointReader, error) {
	return db.readArrivals(withSettings(ctx, sorting), &wanted, receiptOrder)
}

// ReadReceivedAsStored streams the same points in the order in which they are stored: part by part, in each by session
// and timestamp.
func (db *PointTable) ReadReceivedAsStored(ctx context.Context, wanted Arrivals) (*PointReader, error) {
	return db.readArrivals(withSettings(ctx, clickhouse.Settings{"max_threads": 1}), &wanted, "")
}

func (db *PointTable) readArrivals(ctx context.Context, wanted *Arrivals, order string) (*PointReader, error) {
	columns := allColumns
	if wanted.Session == (ID{}) {
		columns = identityColumns
	}
	ctx, from, args, err := wanted.query(ctx)
	if err != nil {
		return nil, err
	}
	reader, err := db.readSession(ctx, columns, wanted.Session, "SELECT "+columns.selectList()+from+order, args...)
	if err != nil {
		return nil, fmt.Errorf("read data points by their arrival: %w", err)
	}
	reader.places = true
	return reader, nil
}

// FeedPages are the first pages of a feed.
type FeedPages struct {
	// Ends are the last places of those that are followed by more.
	Ends []Receipt
	// Steps divide the time of arrival of many sessions' points, up to the last of Ends, or up to all that is wanted with
	// Complete, into steps of some tens of thousands of Points each. They are the last times of the steps.
	Steps  []int64
	Points int64
	// Complete says that all that is wanted after the last of Ends is one page.
	Complete bool
}

// ReceivedPages returns the first pages, of at most limit points each, of those wanted: at most so many, and none with
// ends where one page holds all. A page has fewer points where a mark added a row to one of them and, of many sessions,
// where more would be but some of what arrived at one time. Of one session there is one page at most.
func (db *PointTable) ReceivedPages(ctx context.Context, wanted Arrivals, limit, pages int) (FeedPages, error) {
	if wanted.Session != (ID{}) {
		return db.receivedPage(ctx, wanted, limit)
	}
	all := wanted.Through
	for span := int64(firstSpan); ; {
		wanted.Through = all
		if end := ReceivedBy(storableTime(wanted.After.ReceivedAt) + span); end.Before(all) {
			wanted.Through = end
		}
		found, err := db.pageTimes(ctx, wanted, limit, pages)
		switch {
		case err != nil:
			return FeedPages{}, err
		case found.large && len(found.Ends) == 0:
			wanted.Through = ReceivedBy(found.next)
			return db.receivedPage(ctx, wanted, limit)
		case wanted.Through == all && !found.large && len(found.Ends) < pages:
			found.complete(all.ReceivedAt)
			return found.FeedPages, nil
		case wanted.Through == all || found.large || 2*len(found.Ends) > pages:
			found.cut()
			return found.FeedPages, nil
		}
		growth := int64(spanGrowth)
		if found.counted > 0 { // as much time as the pages took before
			growth = min(max(growth, int64(limit)*int64(pages)/found.counted+1), mostSpanGrowth)
		}
		span *= growth
	}
}

// receivedPage finds the end of the first page to the point. ClickHouse sorts all that is wanted for it.
func (db *PointTable) receivedPage(ctx context.Context, wanted Arrivals, limit int) (FeedPages, error) {
	ctx, from, args, err := wanted.query(withSettings(ctx, sorting))
	if err != nil {
		return FeedPages{}, err
	}
	end, more, err := db.boundary(ctx, "SELECT received_at, session_id, timestamp"+from+receiptOrder+" LIMIT {limit:Int64}, 1",
		append(args, clickhouse.Named("limit", int64(limit-1)))...)
	if err != nil || !more {
		return FeedPages{}, err
	}
	return FeedPages{Ends: []Receipt{end}}, nil
}

// firstSpan is how much time of arrival is looked at first for the ends of a feed's pages, in milliseconds, and
// spanGrowth how many times as much next at least while that is not enough, and mostSpanGrowth at most. So a page in the
// middle of a long history looks at little more than itself, and the last one needs one query in most cases.
const (
	firstSpan      = 3_600_000
	spanGrowth     = 4
	mostSpanGrowth = 64
	// stepPoints is how many points a step has at least, if it is not the last.
	stepPoints = 1 << 15
)

// pageTimes are the times of arrival at which pages end.
type pageTimes struct {
	FeedPages
	// large means that more arrived at the time next (Unix milliseconds), which follows the last page, than fits a page.
	large   bool
	next    int64
	counted int64 // all points

	limit, page, step, last int64 // of the page that is counted, its points and those of the step; the time before
}

// add counts what arrived at the next time.
func (t *pageTimes) add(at, arrived int64) {
	if t.page > 0 && t.page+arrived > t.limit {
		t.endStep()
		t.Ends, t.page, t.Points = append(t.Ends, ReceivedBy(t.last)), 0, t.counted
	}
	if t.large = arrived > t.limit; t.large {
		t.next = at
		return
	}
	if t.step >= stepPoints {
		t.endStep()
	}
	t.page, t.step, t.counted, t.last = t.page+arrived, t.step+arrived, t.counted+arrived, at
}

func (t *pageTimes) endStep() {
	if t.step > 0 {
		t.Steps, t.step = append(t.Steps, t.last), 0
	}
}

// cut takes away the steps of what comes after the last end.
func (t *pageTimes) cut() {
	for n := len(t.Steps); n > 0 && (len(t.Ends) == 0 || t.Steps[n-1] > t.Ends[len(t.Ends)-1].ReceivedAt); n-- {
		t.Steps = t.Steps[:n-1]
	}
}

// complete is told that all were counted that are wanted, the last of them at a time.
func (t *pageTimes) complete(last int64) {
	t.endStep()
	t.Complete, t.Points = true, t.counted
	if n := len(t.Steps); n > 0 {
		t.Steps[n-1] = max(last, t.Steps[n-1])
	}
}

// pageTimes finds ends of pages by how many points arrived at each time, for which nothing need be sorted.
func (db *PointTable) pageTimes(ctx context.Context, wanted Arrivals, limit, pages int) (found pageTimes, err error) {
	ctx, from, args, err := wanted.query(withSettings(ctx, sorting))
	if err != nil {
		return found, err
	}
	var received proto.ColDateTime64
	received.WithPrecision(proto.PrecisionMilli)
	var arrived proto.ColUInt64
	// Each time has a point at least, so no more than this many can matter.
	native, err := db.queryNative(ctx, proto.Results{{Name: "received_at", Data: &received}, {Name: "arrived", Data: &arrived}},
		"SELECT received_at, count() AS arrived"+from+" GROUP BY received_at ORDER BY received_at LIMIT {limit:Int64}",
		append(args, clickhouse.Named("limit", int64(limit)*int64(pages)+1))...)
	if err != nil {
		return found, fmt.Errorf("find the ends of a feed's pages: %w", err)
	}
	defer native.close()
	found.limit = int64(limit)
	err = native.eachRow(func(i int) error {
		if !found.large && len(found.Ends) < pages {
			found.add(int64(received.Data[i]), int64(arrived[i]))
		}
		return nil
	})
	if err != nil {
		return found, fmt.Errorf("find the ends of a feed's pages: %w", err)
	}
	return found, nil
}
