package witness_test

import (
	"testing"
	"time"

	"lastseen/schema"
	"lastseen/schema/schematest"
)

// BenchmarkLook looks for as many witnesses as there are at most after an hour of peace, among a million points in 50 parts that nothing has merged;
// and for those few that come before a checkpoint.
func BenchmarkLook(b *testing.B) {
	const parts, sessions, pointsOfPart = 50, 10_000, 20_000
	db := schematest.Open(b)
	now := time.Now()
	ids := make([]schema.ID, sessions)
	for i := range ids {
		ids[i] = schema.NewID()
	}
	var witnesses []schema.Witness
	for part := range parts {
		points := make([]schema.OwnedPoint, pointsOfPart)
		for i := range points {
			p := schema.NewDataPoint(ids[i%sessions], now.Add(-time.Duration(part)*time.Hour-time.Duration(i/sessions)*time.Second).UnixMilli(), int32(i), int32(part))
			points[i] = schema.OwnedPoint{DataPoint: p, OrgID: "org_a", DeviceID: ids[0]}
		}
		if err := db.InsertDataPoints(b.Context(), points); err != nil {
			b.Fatal(err)
		}
		if part < 16 {
			witnesses = append(witnesses, schema.PointWitnessOf(&points[part].DataPoint))
		}
	}
	all := witnesses
	for i := range 16 {
		all = append(all, schema.SessionWitnessOf(&schema.Session{ID: ids[i], OrgID: "org_a"}), schema.RevocationWitnessOf(schema.KeyHash{byte(i)}))
	}
	b.Run("all", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := db.Lacking(b.Context(), all); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("before a checkpoint", func(b *testing.B) {
		for b.Loop() {
			if lacking, err := db.LackingPoints(b.Context(), witnesses[:4]); err != nil || len(lacking) > 0 {
				b.Fatal(lacking, err)
			}
		}
	})
}
