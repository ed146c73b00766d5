package schema_test

import (
	"context"
	"testing"
	"time"

	"lastseen/schema"
	"lastseen/schema/schematest"
)

// reopen opens a database anew with a retention of so many days.
func reopen(t *testing.T, database string, days int) *schema.DB {
	t.Helper()
	return schematest.OpenWith(t, schema.Options{Database: database, Retention: time.Duration(days) * 24 * time.Hour})
}

// stored counts a session's points after ClickHouse has merged the table.
func stored(t *testing.T, db *schema.DB, session schema.ID) (n int) {
	t.Helper()
	ctx := context.Background()
	schematest.ExecLocal(t, db, "OPTIMIZE TABLE %s FINAL", "session_by_device_data_points")
	points, err := db.ReadDataPoints(ctx, session, 0, time.Now().Add(24*time.Hour).UnixMilli())
	if err != nil {
		t.Fatal(err)
	}
	defer points.Close()
	for points.Next() {
		n++
	}
	if err := points.Err(); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRetentionDropsWhatIsOlder(t *testing.T) {
	t.Parallel()
	database := "test_" + schema.NewID().String()
	db := reopen(t, database, 0)
	session := schema.NewID()
	var points []schema.OwnedPoint
	for age := range 40 { // in days
		at := time.Now().Add(-time.Duration(age)*24*time.Hour - time.Hour).UnixMilli()
		points = append(points, schema.OwnedPoint{DataPoint: schema.NewDataPoint(session, at, 0, 0), OrgID: "org_a"})
	}
	if err := db.InsertDataPoints(t.Context(), points); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ days, want int }{
		{0, 40}, {35, 35}, {35, 35}, {36, 35}, {10, 10}, {0, 10},
	} {
		db := reopen(t, database, step.days)
		if got := stored(t, db, session); got != step.want {
			t.Errorf("with a retention of %d days %d points are left, want %d", step.days, got, step.want)
		}
	}
	old := []schema.OwnedPoint{{DataPoint: schema.NewDataPoint(session, points[39].Timestamp, 0, 0), OrgID: "org_a"}}
	if err := reopen(t, database, 0).InsertDataPoints(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if got := stored(t, db, session); got != 11 {
		t.Errorf("%d points are left after the retention was taken away and an old point written, want 11", got)
	}
}

func TestTheLongestRetentionDropsNothing(t *testing.T) {
	t.Parallel()
	db := reopen(t, "test_"+schema.NewID().String(), int(schema.LongestRetention/(24*time.Hour)))
	session := schema.NewID()
	var points []schema.OwnedPoint
	for _, at := range []time.Time{time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), time.Now().Add(5 * time.Minute)} {
		points = append(points, schema.OwnedPoint{DataPoint: schema.NewDataPoint(session, at.UnixMilli(), 0, 0), OrgID: "org_a"})
	}
	if err := db.InsertDataPoints(t.Context(), points); err != nil {
		t.Fatal(err)
	}
	if got := stored(t, db, session); got != len(points) {
		t.Errorf("%d points are left, want %d", got, len(points))
	}
}
