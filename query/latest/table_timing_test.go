package latest_test

import (
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lastseen/query/latest"
	"lastseen/query/querytest"
	"lastseen/query/wire"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

// million is a table of a million sessions with points, which the benchmarks share.
var million = sync.OnceValue(func() (m struct {
	table *latest.Table
	texts [][]byte
	bytes float64 // of the heap, a session
}) {
	const sessions = 1_000_000
	m.texts = make([][]byte, sessions)
	ids := make([]schema.ID, sessions)
	for i := range ids {
		binary.BigEndian.PutUint64(ids[i][4:], rand.Uint64())
		m.texts[i] = []byte(ids[i].String())
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	m.table = latest.New(nil, time.Now)
	for i, id := range ids {
		s := schema.Session{ID: id, OrgID: "org_a"}
		m.table.PutSession(s)
		p := querytest.At(id, int64(i))
		p.Temperature, p.Speed, p.Heading, p.Accuracy = 4.5, 1250, 900, 85
		m.table.Publish([]schema.OwnedPoint{p})
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	m.bytes = float64(after.HeapAlloc-before.HeapAlloc) / sessions
	return m
})

// BenchmarkLookup is the part of a last_seen request that this package serves: a random one of
// 1,000,000 sessions is found, access is checked, and the JSON and the entity tag are appended.
func BenchmarkLookup(b *testing.B) {
	m := million()
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		buffer := make([]byte, 0, 1024)
		var p schema.DataPoint
		random := rand.New(rand.NewPCG(rand.Uint64(), 1))
		for pb.Next() {
			if m.table.Lookup(m.texts[random.IntN(len(m.texts))], "org_a", &p) != latest.Found {
				b.Error("not found")
			}
			buffer = wire.AppendETag(wire.AppendDataPoint(buffer[:0], &p), &p)
		}
	})
	b.ReportMetric(m.bytes, "heap-bytes/session")
}

// BenchmarkNotYours is a batch of look-ups of sessions that are there but not the caller's, and of ones that are not there: they take as
// long.
func BenchmarkNotYours(b *testing.B) {
	m := million()
	for _, name := range []string{"foreign", "absent"} {
		b.Run(name, func(b *testing.B) {
			ids, sights := make([]schema.ID, 16), make([]latest.Sight, 16)
			for b.Loop() {
				for i := range ids {
					ids[i], _ = schema.ParseID(m.texts[rand.IntN(len(m.texts))])
					if name == "absent" {
						ids[i][0] = 1
					}
				}
				m.table.LookupEach(ids, "org_b", sights)
				for i := range sights {
					if sights[i].Status != latest.NotFound {
						b.Error("found")
					}
				}
			}
		})
	}
}

// BenchmarkLookupWhilePublishing is BenchmarkLookup with one writer at work without pause.
func BenchmarkLookupWhilePublishing(b *testing.B) {
	m := million()
	var stop atomic.Bool
	var writer sync.WaitGroup
	published := 0
	writer.Go(func() {
		group := make([]schema.OwnedPoint, 500)
		for second := int64(1_000_000); !stop.Load(); second++ {
			for i := range group {
				id, _ := schema.ParseID(m.texts[rand.IntN(len(m.texts))])
				group[i] = querytest.At(id, second)
			}
			m.table.Publish(group)
			published += len(group)
		}
	})
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		var p schema.DataPoint
		random := rand.New(rand.NewPCG(rand.Uint64(), 1))
		for pb.Next() {
			m.table.Lookup(m.texts[random.IntN(len(m.texts))], "org_a", &p)
		}
	})
	stop.Store(true)
	writer.Wait()
	b.ReportMetric(float64(published)/b.Elapsed().Seconds(), "published/s")
}

// BenchmarkLoad loads 1,000,000 sessions with their checkpoints.
func BenchmarkLoad(b *testing.B) {
	db := schematest.Open(b)
	filled := latest.New(db, time.Now)
	points := make([]schema.OwnedPoint, 1_000_000)
	for i := range points {
		points[i] = querytest.At(schema.NewID(), 1)
	}
	filled.Publish(points)
	if err := filled.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	querytest.FillSessions(b, db, len(points))
	b.ResetTimer()
	for range b.N {
		table := latest.New(db, time.Now)
		if err := table.Load(b.Context(), nil); err != nil {
			b.Fatal(err)
		}
		if table.Len() != 2*len(points) {
			b.Fatalf("%d sessions", table.Len())
		}
	}
}

// fillSessions makes sessions in ClickHouse itself, which saving one by one would take too long.
