package schema_test

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"lastseen/schema"
	"lastseen/schema/schematest"
)

// BenchmarkInsertThroughADoor is what a door costs an insert, of few points and of many.
func BenchmarkInsertThroughADoor(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{10, 1000, 10_000} {
		points := make([]schema.OwnedPoint, size)
		for i := range points {
			points[i] = schema.OwnedPoint{DataPoint: randomPoint(random, schema.NewID(), int64(i)), OrgID: "org_a", DeviceID: schema.NewID()}
		}
		for _, through := range []string{"table", "door"} {
			b.Run(through+"/"+strconv.Itoa(size), func(b *testing.B) {
				db := schematest.Open(b)
				if through == "door" {
					if err := db.OpenDoors(b.Context(), 1); err != nil {
						b.Fatal(err)
					}
				}
				for b.Loop() {
					if err := db.InsertDataPoints(b.Context(), points); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
