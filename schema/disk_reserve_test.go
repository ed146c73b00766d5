package schema_test

import (
	"errors"
	"testing"

	"lastseen/schema"
	"lastseen/schema/schematest"
)

func TestPointsLeaveTheDiskItsReserve(t *testing.T) {
	t.Parallel()
	database := "test_" + schema.NewID().String()
	points := []schema.OwnedPoint{{DataPoint: schema.NewDataPoint(schema.NewID(), 1, 0, 0), OrgID: "org_a"}}
	for _, step := range []struct {
		reserve int64
		full    bool
	}{
		{0, false}, {1 << 60, true}, {1 << 20, false}, {1 << 60, true}, {0, false},
	} {
		db := schematest.OpenWith(t, schema.Options{Database: database, DiskReserve: step.reserve})
		if err := db.InsertDataPoints(t.Context(), points); errors.Is(err, schema.DiskFull) != step.full || !step.full && err != nil {
			t.Errorf("with a reserve of %d bytes: %v", step.reserve, err)
		}
		key := schema.APIKey{ID: schema.NewID(), OrgID: "org_a"}
		if err := db.InsertAPIKey(t.Context(), key); err != nil {
			t.Errorf("a key, with a reserve of %d bytes: %v", step.reserve, err)
		}
	}
}
