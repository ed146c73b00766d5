package ingest

import (
	"fmt"
	"testing"
	"time"

	"lastseen/schema"
)

// BenchmarkSteps measures what the committer's steps are weighed by: an insert by its months and points, a look-up
// by its points, of one session in a row and all over the table.
func BenchmarkSteps(b *testing.B) {
	s := newService(b, WriterOptions{})
	store := storeIn(s.db)
	sessions := make([]schema.ID, 200)
	for i := range sessions {
		sessions[i] = schema.NewID()
	}
	point := func(session schema.ID, at time.Time) schema.OwnedPoint {
		p := schema.NewDataPoint(session, at.UnixMilli(), 47e7, 8e7)
		return schema.OwnedPoint{DataPoint: p, OrgID: ours, DeviceID: session}
	}
	insert := func(b *testing.B, rows []schema.OwnedPoint) {
		if err := store.insert(b.Context(), rows); err != nil {
			b.Fatal(err)
		}
	}
	serial := 0
	for _, months := range []int{1, 2, 4, 16, 64} {
		b.Run(fmt.Sprint("insert/months=", months), func(b *testing.B) {
			for b.Loop() {
				var rows []schema.OwnedPoint
				for month := range months {
					rows = append(rows, point(sessions[0], start.AddDate(0, -month, 0).Add(time.Duration(serial)*time.Second)))
				}
				serial++
				insert(b, rows)
			}
		})
	}
	for _, points := range []int{1_000, 10_000} {
		b.Run(fmt.Sprint("insert/points=", points), func(b *testing.B) {
			for b.Loop() {
				var rows []schema.OwnedPoint
				for i := range points {
					rows = append(rows, point(sessions[i*len(sessions)/points], start.Add(time.Duration(serial+i)*time.Second)))
				}
				serial += points
				insert(b, rows)
			}
		})
	}
	const each = 5_000
	var rows []schema.OwnedPoint
	for _, session := range sessions {
		for i := range each {
			rows = append(rows, point(session, start.Add(time.Duration(i)*time.Second)))
		}
	}
	insert(b, rows)
	for _, finds := range []int{1, 10, 100, 1_000, 5_000} {
		find := func(b *testing.B, key func(i int) schema.PointKey) {
			keys := make([]schema.PointKey, finds)
			for i := range keys {
				keys[i] = key(i)
			}
			for b.Loop() {
				if _, err := store.find(b.Context(), keys); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*finds), "µs/point")
		}
		b.Run(fmt.Sprint("find/in a row/points=", finds), func(b *testing.B) {
			find(b, func(i int) schema.PointKey {
				return schema.PointKey{SessionID: sessions[0], Timestamp: start.UnixMilli() + int64(i%each)*1000}
			})
		})
		b.Run(fmt.Sprint("find/all over/points=", finds), func(b *testing.B) {
			find(b, func(i int) schema.PointKey {
				return schema.PointKey{SessionID: sessions[i*73%len(sessions)], Timestamp: start.UnixMilli() + int64(i*7919%each)*1000}
			})
		})
	}
	for _, sessionsRead := range []int{1, 8, schema.MostAround} {
		times := make([]schema.Around, sessionsRead)
		for _, at := range []int{100, each - 100} { // rows before
			for i := range times {
				first := start.UnixMilli() + int64(at)*1000
				times[i] = schema.Around{Session: sessions[i*6], From: first - lookBack, At: first, Through: first + lookAhead}
			}
			b.Run(fmt.Sprintf("review/sessions=%d/before=%d", sessionsRead, at), func(b *testing.B) {
				for b.Loop() {
					if _, err := store.around(b.Context(), times, rowsBefore, rowsBetween); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*sessionsRead), "µs/session")
			})
		}
	}
}
