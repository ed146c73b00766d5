package ingest

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"lastseen/ingest/decode"
	"lastseen/ingest/registry"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

// BenchmarkWriter sends NDJSON bodies of 500 points from many goroutines at once, each for a vehicle
// of its own, and beside it writes such rows in plain clickhouse-go batches: of 500 rows from as many
// goroutines, and of 10,000 rows in one loop.
func BenchmarkWriter(b *testing.B) {
	s := newService(b, WriterOptions{FlagOutliers: true})
	s.clock.Advance(1000 * 24 * time.Hour)
	fleet := newFleet(s, 64)
	conn := schematest.Connect(b, s.db)
	defer conn.Close()
	plain := func(ctx context.Context, v *vehicle, rows int) error { return v.insert(ctx, conn, rows) }
	for _, clients := range []int{2, 16, 64} {
		b.Run(fmt.Sprintf("lastseen/clients=%d", clients), func(b *testing.B) {
			fleet.drive(b, clients, func(ctx context.Context, v *vehicle, points int) error {
				v.body = v.appendBody(v.body[:0], points)
				batch, err := decode.Body(bytes.NewReader(v.body), decode.NDJSON, decode.Identity, decode.Limits{Budget: s.writer.Budget()})
				if err != nil {
					return err
				}
				result, err := s.writer.Ingest(ctx, registry.Caller{OrgID: ours}, batch)
				if err == nil && result.Accepted != points {
					err = fmt.Errorf("%d points were accepted, want %d", result.Accepted, points)
				}
				return err
			})
		})
		b.Run(fmt.Sprintf("plain/clients=%d", clients), func(b *testing.B) { fleet.drive(b, clients, plain) })
	}
	b.Run("plain/rows=10000", func(b *testing.B) {
		const rows = 10_000
		b.ReportAllocs()
		for b.Loop() {
			if err := plain(b.Context(), fleet[0], rows); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "points/s")
	})
}

// BenchmarkJudge is what finding points that cannot be true adds to a group: of 20 vehicles' batches of 500 points each,
// and of 10,000 vehicles' single points.
func BenchmarkJudge(b *testing.B) {
	for name, vehicles := range map[string]int{"batches of 500": 20, "single points": 10_000} {
		b.Run(name, func(b *testing.B) {
			const points = 10_000
			c := newCommitter(store{}, newReader(), nil, func() time.Time { return start }, true)
			fleet, sessions := make([]vehicle, vehicles), make([]registry.Owner, vehicles)
			for i := range fleet {
				fleet[i].session = schema.NewID()
				sessions[i] = registry.Owner{Session: fleet[i].session}
			}
			c.group.session = func(id schema.ID) groupSession {
				p := schema.NewDataPoint(id, start.UnixMilli()-1000, 404000000, -739000000)
				p.ReceivedAt = start.UnixMilli()
				return groupSession{newest: p.Timestamp, last: -1 << 62, doubts: c.outliers.doubtsOf(id, &p, p.Timestamp, true)}
			}
			var p schema.DataPoint
			var judging time.Duration
			for b.Loop() {
				c.group.begin()
				for i := range points {
					v := i * vehicles / points
					if fleet[v].count == points/vehicles {
						fleet[v].count = 0
					}
					fleet[v].next(&p)
					c.group.add(&p, ours, &sessions[v])
				}
				fresh := c.group.separate(nil, start.UnixMilli())
				began := time.Now()
				if changed, err := c.judge(&c.group, fresh); err != nil || len(changed.shown)+len(changed.others) > 0 {
					b.Fatal(changed, err)
				}
				c.outliers.remember(&c.group)
				judging += time.Since(began)
				c.group.reset()
			}
			b.ReportMetric(float64(judging.Nanoseconds())/float64(b.N)/points, "ns/point")
		})
	}
}

type fleet []*vehicle

// vehicle makes the points of one session, each a second after the one before.
type vehicle struct {
	device, session schema.ID
	count           int
	body            []byte
}

func newFleet(s *service, vehicles int) (f fleet) {
	for i := range vehicles {
		device, session := s.session(ours, fmt.Sprint("van-", i))
		f = append(f, &vehicle{device: device, session: session})
	}
	return f
}

// drive calls send for 500 points at a time from so many goroutines at once.
func (f fleet) drive(b *testing.B, clients int, send func(context.Context, *vehicle, int) error) {
	const points = 500
	b.SetParallelism(clients / runtime.GOMAXPROCS(0))
	b.ReportAllocs()
	b.ResetTimer()
	var next atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		v := f[int(next.Add(1))%len(f)]
		for pb.Next() {
			if err := send(b.Context(), v, points); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.ReportMetric(points*float64(b.N)/b.Elapsed().Seconds(), "points/s")
}

// next fills p with the vehicle's next point.
func (v *vehicle) next(p *schema.DataPoint) {
	k := v.count
	v.count++
	*p = schema.NewDataPoint(v.session, start.UnixMilli()+int64(k)*1000+int64(k%7), 404000000+int32(k*37), -739000000+int32(k*53%100000))
	p.Speed, p.Heading, p.Altitude, p.Accuracy = uint16(1000+k%700), uint16(k*13%3600), int32(120+k%30), uint32(30+k%40)
}

// appendBody appends a body of the next points.
func (v *vehicle) appendBody(b []byte, points int) []byte {
	var p schema.DataPoint
	for range points {
		v.next(&p)
		b = append(b, `{"session_id":"`...)
		b = p.SessionID.AppendHex(b)
		b = append(b, `","timestamp":"`...)
		b = time.UnixMilli(p.Timestamp).UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
		b = fmt.Appendf(b, `","latitude":%de-7,"longitude":%de-7,"altitude":%de-1,"accuracy":%de-1,"speed":%de-2,"heading":%de-1}`+"\n",
			p.Latitude, p.Longitude, p.Altitude, p.Accuracy, p.Speed, p.Heading)
	}
	return b
}

// insert writes the next rows as one would with clickhouse-go.
func (v *vehicle) insert(ctx context.Context, conn driver.Conn, rows int) error {
	batch, err := conn.PrepareBatch(ctx, `INSERT INTO session_by_device_data_points (session_id, timestamp, received_at, org_id, device_id,
latitude, longitude, altitude, accuracy, speed, heading, temperature, battery, outlier, version)`)
	if err != nil {
		return err
	}
	session, device := v.session.String(), v.device.String()
	var p schema.DataPoint
	for range rows {
		v.next(&p)
		if err := batch.Append(session, time.UnixMilli(p.Timestamp), start, ours, device,
			p.Latitude, p.Longitude, p.Altitude, p.Accuracy, p.Speed, p.Heading, p.Temperature, p.Battery, uint8(0), uint32(0)); err != nil {
			return err
		}
	}
	return batch.Send()
}
