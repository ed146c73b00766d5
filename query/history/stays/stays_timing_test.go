package stays

import (
	"math/rand/v2"
	"testing"
)

// BenchmarkClusters is the cost of a point: of one that drives, of one of a stay, and of one of a stay
// so long that it is pruned to its convex hull.
func BenchmarkClusters(b *testing.B) {
	for name, step := range map[string]int32{"driving": 2000, "parked": 0} {
		b.Run(name, func(b *testing.B) {
			random := rand.New(rand.NewPCG(1, 1))
			c := NewFinder(DefaultRule())
			at := Position{480_000_000, 110_000_000}
			var jitter [1024]Position
			for i := range jitter {
				jitter[i] = Position{random.Int32N(500), random.Int32N(500)}
			}
			b.ReportAllocs()
			timestamp := int64(0)
			for b.Loop() {
				timestamp += 1000
				at.Latitude = (at.Latitude + step) % 800_000_000
				j := jitter[timestamp/1000%1024]
				c.Add(timestamp, Position{at.Latitude + j.Latitude, at.Longitude + j.Longitude})
			}
			c.Finish()
		})
	}
}
