package latest_test

import (
	"testing"
	"time"

	"lastseen/query/latest"
	"lastseen/query/querytest"
	"lastseen/schema"
)

func TestLastSeenStats(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 15, 9, 30, 0, 0, time.UTC)
	table := latest.New(nil, func() time.Time { return now })
	known, empty := querytest.NewSession(), querytest.NewSession()
	table.PutSession(known)
	table.PutSession(empty)
	for _, age := range []time.Duration{2 * time.Second, time.Second, time.Hour} { // the last does not come on show
		point := schema.NewDataPoint(known.ID, now.Add(-age).UnixMilli(), 1, 1)
		table.Publish([]schema.OwnedPoint{{DataPoint: point, OrgID: known.OrgID}})
	}
	var p schema.DataPoint
	table.Lookup([]byte(known.ID.String()), known.OrgID, &p)
	table.Lookup([]byte(known.ID.String()), "org_other", &p)
	table.Lookup([]byte(empty.ID.String()), empty.OrgID, &p)
	table.LookupPublic([]byte("x"), &p)
	stats := table.Stats()
	if stats.Sessions != 2 || stats.Hits != 1 || stats.Empty != 1 || stats.Misses != 2 || stats.Dirty != 1 {
		t.Errorf("got %+v", stats)
	}
	if n := stats.Lag.Count(); n != 2 || stats.Lag.Sum != int64(3*time.Second) {
		t.Errorf("%d lags of %s in all, want 2 of 3s", n, time.Duration(stats.Lag.Sum))
	}
}
