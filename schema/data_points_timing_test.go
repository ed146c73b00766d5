package schema_test

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"lastseen/schema"
	"lastseen/schema/schematest"
)

func BenchmarkInsertDataPoints(b *testing.B) {
	db := schematest.Open(b)
	random := rand.New(rand.NewPCG(1, 2))
	const size, devices = 10_000, 100
	var points []schema.OwnedPoint
	for i := range devices {
		session, device := schema.NewID(), schema.NewID()
		for k := range size / devices {
			points = append(points, schema.OwnedPoint{DataPoint: randomPoint(random, session, int64(i+k*1000)), OrgID: "org_a", DeviceID: device})
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := db.InsertDataPoints(b.Context(), points); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(size*b.N)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkFindDataPoints is what ingest asks of each group whose points may be repeats.
func BenchmarkFindDataPoints(b *testing.B) {
	db := schematest.Open(b)
	random := rand.New(rand.NewPCG(1, 2))
	const size, devices = 10_000, 100
	var points []schema.OwnedPoint
	var keys []schema.PointKey
	for i := range devices {
		session, device := schema.NewID(), schema.NewID()
		for k := range size / devices {
			p := schema.OwnedPoint{DataPoint: randomPoint(random, session, int64(i+k*1000)), OrgID: "org_a", DeviceID: device}
			points, keys = append(points, p), append(keys, schema.PointKey{SessionID: session, Timestamp: p.Timestamp})
		}
	}
	if err := db.InsertDataPoints(b.Context(), points); err != nil {
		b.Fatal(err)
	}
	for _, wanted := range []int{1, 100, 5000} {
		b.Run(strconv.Itoa(wanted), func(b *testing.B) {
			for b.Loop() {
				found, err := db.FindDataPoints(b.Context(), keys[:wanted])
				if err != nil || len(found) != wanted {
					b.Fatal(len(found), err)
				}
			}
		})
	}
}
