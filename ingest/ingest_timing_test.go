package ingest

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"lastseen/schema"
)

func BenchmarkDecode(b *testing.B) {
	const points = 500
	lines := ndjson(points)
	array := "[" + strings.ReplaceAll(strings.TrimSpace(lines), "\n", ",") + "]"
	for _, bench := range []struct {
		name     string
		body     string
		format   Format
		encoding Encoding
	}{
		{"NDJSON", lines, NDJSON, Identity},
		{"JSON", array, JSON, Identity},
		{"NDJSON+gzip", lines, NDJSON, Gzip},
		{"NDJSON+zstd", lines, NDJSON, Zstd},
	} {
		b.Run(bench.name, func(b *testing.B) {
			data := compressors[bench.encoding](b, []byte(bench.body))
			b.SetBytes(int64(len(bench.body)))
			b.ReportAllocs()
			var reader bytes.Reader
			for b.Loop() {
				reader.Reset(data)
				batch, err := Decode(&reader, bench.format, bench.encoding, Limits{})
				if err != nil {
					b.Fatal(err)
				}
				batch.Release()
			}
			b.ReportMetric(points*float64(b.N)/b.Elapsed().Seconds(), "points/s")
		})
	}
}

// BenchmarkWriter sends NDJSON bodies of 500 points, each of another device, from many goroutines at
// once, and beside it writes the same rows in a plain loop of clickhouse-go batches.
func BenchmarkWriter(b *testing.B) {
	const points, devices = 500, 50
	s := newService(b, WriterOptions{})
	s.clock.advance(1000 * 24 * time.Hour)
	fleet := newFleet(s, devices, points)
	conn := s.connect()
	defer conn.Close()
	var next atomic.Int64
	for _, clients := range []int{1, 8, 32} {
		b.Run(fmt.Sprintf("lastseen/clients=%d", clients), func(b *testing.B) {
			b.SetParallelism(clients) // times GOMAXPROCS; close enough
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				var body []byte
				for pb.Next() {
					body = fleet.body(body[:0], int(next.Add(1)))
					batch, err := Decode(bytes.NewReader(body), NDJSON, Identity, Limits{Budget: s.writer.Budget()})
					if err != nil {
						b.Fatal(err)
					}
					if result, err := s.writer.Ingest(b.Context(), Caller{OrgID: ours}, batch); err != nil || result.Accepted != points {
						b.Fatal(result, err)
					}
				}
			})
			b.ReportMetric(points*float64(b.N)/b.Elapsed().Seconds(), "points/s")
		})
		b.Run(fmt.Sprintf("plain/clients=%d", clients), func(b *testing.B) {
			b.SetParallelism(clients)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := fleet.insert(b.Context(), conn, int(next.Add(1))); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.ReportMetric(points*float64(b.N)/b.Elapsed().Seconds(), "points/s")
		})
	}
}

// fleet makes the points of a benchmark: the n-th body is the next stretch of one of the devices.
type fleet struct {
	devices, sessions []schema.ID
	points            int
}

func newFleet(s *service, devices, points int) *fleet {
	f := &fleet{points: points}
	for i := range devices {
		device, session := s.session(ours, fmt.Sprint("van-", i))
		f.devices, f.sessions = append(f.devices, device), append(f.sessions, session)
	}
	return f
}

// point fills p with the i-th point of the n-th body.
func (f *fleet) point(p *schema.DataPoint, n, i int) {
	vehicle, k := n%len(f.sessions), n/len(f.sessions)*f.points+i
	*p = schema.NewDataPoint(f.sessions[vehicle], start.UnixMilli()+int64(k)*1000+int64(vehicle), 404000000+int32(k*37+vehicle*1000), -739000000+int32(k*53%100000))
	p.Speed, p.Heading, p.Altitude, p.Accuracy = uint16(1000+k%700), uint16(k*13%3600), int32(120+k%30), uint32(30+k%40)
}

// body appends the n-th body.
func (f *fleet) body(b []byte, n int) []byte {
	var p schema.DataPoint
	for i := range f.points {
		f.point(&p, n, i)
		b = append(b, `{"session_id":"`...)
		b = p.SessionID.AppendHex(b)
		b = append(b, `","timestamp":"`...)
		b = time.UnixMilli(p.Timestamp).UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
		for _, field := range []struct {
			name   string
			units  int64
			digits int
		}{
			{`","latitude":`, int64(p.Latitude), 7}, {`,"longitude":`, int64(p.Longitude), 7}, {`,"altitude":`, int64(p.Altitude), 1},
			{`,"accuracy":`, int64(p.Accuracy), 1}, {`,"speed":`, int64(p.Speed), 2}, {`,"heading":`, int64(p.Heading), 1},
		} {
			b = append(b, field.name...)
			b = appendFixed(b, field.units, field.digits)
		}
		b = append(b, "}\n"...)
	}
	return b
}

func appendFixed(b []byte, units int64, digits int) []byte {
	if units < 0 {
		b, units = append(b, '-'), -units
	}
	scale := int64(1)
	for range digits {
		scale *= 10
	}
	b = strconv.AppendInt(b, units/scale, 10)
	b = append(b, '.')
	fraction := strconv.FormatInt(scale+units%scale, 10)
	return append(b, fraction[1:]...)
}

// insert writes the n-th body's rows as one would with clickhouse-go.
func (f *fleet) insert(ctx context.Context, conn driver.Conn, n int) error {
	batch, err := conn.PrepareBatch(ctx, `INSERT INTO session_by_device_data_points (session_id, timestamp, received_at, org_id, device_id,
latitude, longitude, altitude, accuracy, speed, heading, temperature, battery, outlier, version)`)
	if err != nil {
		return err
	}
	var p schema.DataPoint
	for i := range f.points {
		f.point(&p, n, i)
		if err := batch.Append(p.SessionID.String(), time.UnixMilli(p.Timestamp), start, ours, f.devices[n%len(f.devices)].String(),
			p.Latitude, p.Longitude, p.Altitude, p.Accuracy, p.Speed, p.Heading, p.Temperature, p.Battery, uint8(0), uint32(0)); err != nil {
			return err
		}
	}
	return batch.Send()
}
