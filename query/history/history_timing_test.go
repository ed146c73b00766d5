package history_test

import (
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"lastseen/query/history"
	"lastseen/query/history/format"
	"lastseen/query/latest"
	"lastseen/query/querytest"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

// drive is a session whose vehicle drives for ten minutes and stops for ten, a point a second.
func drive(s schema.Session, n int) []schema.OwnedPoint {
	random := rand.New(rand.NewPCG(1, 1))
	points := make([]schema.OwnedPoint, n)
	latitude, longitude := int32(480_000_000), int32(110_000_000)
	for i := range points {
		if i/600%2 == 0 {
			latitude, longitude = latitude+900, longitude+1300
		}
		p := querytest.At(s.ID, int64(i))
		p.Latitude, p.Longitude = latitude+random.Int32N(300), longitude+random.Int32N(300)
		p.ReceivedAt += random.Int64N(3000)
		p.Speed, p.Heading, p.Accuracy, p.Temperature = uint16(random.UintN(3000)), uint16(random.UintN(3600)), random.Uint32N(200), float32(random.IntN(400))/10
		points[i] = p
	}
	return points
}

// BenchmarkHistory pulls 1,000,000 points: as the contract's JSON with the clusters, in buckets, and as
// ClickHouse writes the same rows itself. Mrows/s is the figure to compare.
func BenchmarkHistory(b *testing.B) {
	const n = 1_000_000
	s := querytest.NewSession()
	h, db := historyOf(b, s, drive(s, n)...)
	schematest.ExecLocal(b, db, "OPTIMIZE TABLE %s FINAL", "session_by_device_data_points")
	pull := func(b *testing.B, request history.Request) {
		b.ReportAllocs()
		for range b.N {
			stream, err := h.Open(b.Context(), request)
			if err != nil {
				b.Fatal(err)
			}
			written, err := writeTo(stream, io.Discard)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(written)
		}
		b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
	}
	b.Run("json", func(b *testing.B) { pull(b, wanted(s.ID)) })
	b.Run("buckets", func(b *testing.B) {
		request := wanted(s.ID)
		request.BucketSeconds = 60
		pull(b, request)
	})
	b.Run("engine-jsoneachrow", func(b *testing.B) {
		conn := schematest.Connect(b, db)
		defer conn.Close()
		ctx := clickhouse.Context(b.Context(), clickhouse.WithSettings(clickhouse.Settings{"max_threads": 1}))
		for range b.N {
			body, err := conn.QueryFormat(ctx, "JSONEachRow", `SELECT session_id, timestamp, received_at, latitude, longitude, altitude,
  accuracy, speed, heading, temperature, battery, outlier FROM session_by_device_data_points ORDER BY session_id, timestamp`)
			if err != nil {
				b.Fatal(err)
			}
			written, err := io.Copy(io.Discard, body)
			if err != nil {
				b.Fatal(err)
			}
			body.Close()
			b.SetBytes(written)
		}
		b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
	})
}

// BenchmarkShortHistory is the last hour of a session among a month of it.
func BenchmarkShortHistory(b *testing.B) {
	const n = 1_000_000
	s := querytest.NewSession()
	h, _ := historyOf(b, s, drive(s, n)...)
	request := wanted(s.ID)
	request.Start, request.End = querytest.May2026+(n-3600)*1000, querytest.May2026+n*1000
	for b.Loop() {
		stream, err := h.Open(b.Context(), request)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := writeTo(stream, io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNewestPoints is what a mark waits for: the newest good point of a long session.
func BenchmarkNewestPoints(b *testing.B) {
	s := querytest.NewSession()
	_, db := historyOf(b, s, drive(s, 1_000_000)...)
	for b.Loop() {
		if _, err := db.NewestPoints(b.Context(), []schema.ID{s.ID}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSuspend measures what a suspension costs: from giving the query of 1,000,000 points up to the next piece.
func BenchmarkSuspend(b *testing.B) {
	s := querytest.NewSession()
	h, _ := historyOf(b, s, drive(s, 1_000_000)...)
	for name, change := range map[string]func(*history.Request){
		"all":     func(*history.Request) {},
		"buckets": func(r *history.Request) { r.BucketSeconds = 10 },
		"arrival": func(r *history.Request) { r.Order = history.OrderReceived },
	} {
		b.Run(name, func(b *testing.B) {
			request := wanted(s.ID)
			change(&request)
			stream, err := h.Open(b.Context(), request)
			if err != nil {
				b.Fatal(err)
			}
			pieces := 0
			b.ReportAllocs()
			writeTo(stream, writerFunc(func(p []byte) (int, error) {
				if pieces++; pieces > b.N {
					return 0, io.ErrClosedPipe
				}
				_, err := stream.Suspend()
				return len(p), err
			}))
		})
	}
}

// BenchmarkFeed pulls a day of 2,000,000 points of 2,000 sessions by their arrival in two pages, out of one merged part.
func BenchmarkFeed(b *testing.B) {
	const sessions, each = 2000, 1000
	db := schematest.Open(b)
	table := latest.New(db, time.Now)
	random := rand.New(rand.NewPCG(1, 1))
	var all []schema.Session
	for range sessions {
		all = append(all, querytest.NewSession())
		table.PutSession(all[len(all)-1])
	}
	points := make([]schema.OwnedPoint, 0, sessions*100)
	for k := range each {
		for i := range all {
			p := querytest.At(all[i].ID, int64(k)*86)
			p.Latitude, p.Longitude = p.Latitude+random.Int32N(300), p.Longitude+random.Int32N(300)
			p.ReceivedAt += random.Int64N(400)
			p.Speed, p.Heading, p.Accuracy, p.Temperature = uint16(random.UintN(3000)), uint16(random.UintN(3600)), random.Uint32N(200), float32(random.IntN(400))/10
			points = append(points, p)
		}
		if len(points) == cap(points) {
			querytest.Insert(b, db, points...)
			points = points[:0]
		}
	}
	schematest.ExecLocal(b, db, "OPTIMIZE TABLE %s FINAL", "session_by_device_data_points")
	h := history.New(db, table, history.Options{Watermark: new(writing), Folder: b.TempDir()})
	for b.Loop() {
		request := fleetFeed(schema.Owned)
		request.Limit, request.Format = 1_000_000, format.NDJSON
		for {
			stream, err := h.Open(b.Context(), request)
			if err != nil {
				b.Fatal(err)
			}
			written, err := writeTo(stream, io.Discard)
			if err != nil {
				b.Fatal(err)
			}
			if written == 0 {
				break
			}
			request.Cursor = stream.NextCursor()
		}
	}
	b.ReportMetric(sessions*each*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
}
