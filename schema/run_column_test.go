package schema_test

import (
	"fmt"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"

	"lastseen/schema"
	"lastseen/schema/schematest"
)

// TestPointsKeepTheirOwnersHoweverTheyAlternate writes owners in runs of one point and more, and so many that ClickHouse is told their places in
// integers of 8, 16 and 32 bits.
func TestPointsKeepTheirOwnersHoweverTheyAlternate(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	conn := schematest.Connect(t, db)
	for _, size := range []struct{ points, run, organisations int }{
		{1, 1, 1}, {256, 1, 2}, {257, 1, 3}, {1000, 7, 5}, {65_536, 1, 4}, {66_000, 1, 3},
	} {
		session := schema.NewID()
		devices := []schema.ID{schema.NewID(), schema.NewID()}
		owner := func(i int) (string, schema.ID) {
			return fmt.Sprint("org_", i/size.run%size.organisations), devices[i/size.run%len(devices)]
		}
		points := make([]schema.OwnedPoint, size.points)
		for i := range points {
			points[i].DataPoint = schema.NewDataPoint(session, int64(i), 1, 2)
			points[i].OrgID, points[i].DeviceID = owner(i)
		}
		if err := db.InsertDataPoints(t.Context(), points); err != nil {
			t.Fatal(err)
		}
		rows, err := conn.Query(t.Context(), "SELECT toUnixTimestamp64Milli(timestamp), org_id, device_id FROM session_by_device_data_points WHERE session_id = {session:String}",
			clickhouse.Named("session", session.String()))
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for ; rows.Next(); found++ {
			var at int64
			var organisation, device string
			if err := rows.Scan(&at, &organisation, &device); err != nil {
				t.Fatal(err)
			}
			if wantOrganisation, wantDevice := owner(int(at)); organisation != wantOrganisation || device != wantDevice.String() {
				t.Fatalf("of %+v point %d belongs to %s and %s, want %s and %v", size, at, organisation, device, wantOrganisation, wantDevice)
			}
		}
		if err := rows.Err(); err != nil || found != size.points {
			t.Errorf("of %+v %d rows are there, %v", size, found, err)
		}
	}
}
