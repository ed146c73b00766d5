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
// found at its later place too. That the time of arrival is compared by itself first is for the index.
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
	from += receiptRange
	args = append(append(args, placeArgs("after", a.After)...), placeArgs("through", a.Through)...)
	return ctx, from, args, nil
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

const receiptRange = `
  AND received_at >= fromUnixTimestamp64Milli({after_received:Int64}, 'UTC') AND received_at <= fromUnixTimestamp64Milli({through_received:Int64}, 'UTC')
  AND (received_at, session_id, timestamp) > (fromUnixTimestamp64Milli({after_received:Int64}, 'UTC'), {after_session:String}, fromUnixTimestamp64Milli({after:Int64}, 'UTC'))
  AND (received_at, session_id, timestamp) <= (fromUnixTimestamp64Milli({through_received:Int64}, 'UTC'), {through_session:String}, fromUnixTimestamp64Milli({through:Int64}, 'UTC'))`

// placeArgs are the arguments of one end of receiptRange.
func placeArgs(name string, place Receipt) []any {
	return []any{
		clickhouse.Named(name+"_received", storableTime(place.ReceivedAt)), clickhouse.Named(name+"_session", place.Session.String()),
		clickhouse.Named(name, storableTime(place.Timestamp)),
	}
}

// receiptOrder is the order of arrival.
const receiptOrder = " ORDER BY received_at, session_id, timestamp"

// sorting are the settings of a query that sorts by arrival, which is not the order of the key.
var sorting = clickhouse.Settings{"max_threads": 1, "max_bytes_before_external_sort": 64 << 20}

// ReadReceived streams points in the order of their arrival. Of a point that was replaced, each version that
// is still stored has its own place.
func (db *PointTable) ReadReceived(ctx context.Context, wanted Arrivals) (*PointReader, error) {
	columns := allColumns
	if wanted.Session == (ID{}) {
		columns = identityColumns
	}
	ctx, from, args, err := wanted.query(withSettings(ctx, sorting))
	if err != nil {
		return nil, err
	}
	reader, err := db.readSession(ctx, columns, wanted.Session, "SELECT "+columns.selectList()+from+receiptOrder, args...)
	if err != nil {
		return nil, fmt.Errorf("read data points by their arrival: %w", err)
	}
	reader.places = true
	return reader, nil
}

// ReceivedPageEnds returns the last places of the first pages, of at most limit points each, of those wanted: at most so
// many pages, and only of those that are followed by more. None means that a page holds all. A page has fewer points
// where a mark added a row to one of them and, of many sessions, where more would be but some of what arrived at one
// time. Of one session there is one page at most.
func (db *PointTable) ReceivedPageEnds(ctx context.Context, wanted Arrivals, limit, pages int) ([]Receipt, error) {
	if wanted.Session != (ID{}) {
		return db.receivedPageEnd(ctx, wanted, limit)
	}
	all := wanted.Through
	for span := int64(firstSpan); ; span *= spanGrowth {
		wanted.Through = all
		if end := ReceivedBy(storableTime(wanted.After.ReceivedAt) + span); end.Before(all) {
			wanted.Through = end
		}
		found, err := db.pageTimes(ctx, wanted, limit, pages)
		switch {
		case err != nil:
			return nil, err
		case found.large && len(found.ends) == 0:
			wanted.Through = ReceivedBy(found.next)
			return db.receivedPageEnd(ctx, wanted, limit)
		case wanted.Through == all || found.large || 2*len(found.ends) > pages:
			return found.ends, nil
		}
	}
}

// receivedPageEnd finds the end of the first page to the point. ClickHouse sorts all that is wanted for it.
func (db *PointTable) receivedPageEnd(ctx context.Context, wanted Arrivals, limit int) ([]Receipt, error) {
	ctx, from, args, err := wanted.query(withSettings(ctx, sorting))
	if err != nil {
		return nil, err
	}
	end, more, err := db.boundary(ctx, "SELECT received_at, session_id, timestamp"+from+receiptOrder+" LIMIT {limit:Int64}, 1",
		append(args, clickhouse.Named("limit", int64(limit-1)))...)
	if err != nil || !more {
		return nil, err
	}
	return []Receipt{end}, nil
}

// firstSpan is how much time of arrival is looked at first for the ends of a feed's pages, in milliseconds, and
// spanGrowth how many times as much next while that is not enough. So a page in the middle of a long history looks
// at little more than itself, and the last one needs one query in most cases.
const (
	firstSpan  = 3_600_000
	spanGrowth = 4
)

// pageTimes are the times of arrival at which pages end.
type pageTimes struct {
	ends []Receipt // of the pages that are followed by more
	// large means that more arrived at the time next (Unix milliseconds), which follows the last page, than fits a page.
	large bool
	next  int64
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
	page, last := uint64(0), int64(0)
	err = native.eachRow(func(i int) error {
		at := int64(received.Data[i])
		if found.large || len(found.ends) == pages {
			return nil
		}
		if page > 0 && page+arrived[i] > uint64(limit) {
			found.ends, page = append(found.ends, ReceivedBy(last)), 0
		}
		if found.large = arrived[i] > uint64(limit); found.large {
			found.next = at
		}
		page, last = page+arrived[i], at
		return nil
	})
	if err != nil {
		return found, fmt.Errorf("find the ends of a feed's pages: %w", err)
	}
	return found, nil
}
