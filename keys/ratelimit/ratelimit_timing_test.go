package ratelimit_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"lastseen/keys/ratelimit"
)

func BenchmarkTable(b *testing.B) {
	table := ratelimit.NewTable(ratelimit.Rate{Quota: 1_000_000_000, Window: time.Second}, 65_536)
	b.RunParallel(func(pb *testing.PB) {
		id, now := rand.Uint64(), time.Now()
		for pb.Next() {
			table.Take(id, now)
		}
	})
}
