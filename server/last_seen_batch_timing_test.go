package server

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"syscall"
	"testing"
	"time"

	"lastseen/schema"
)

// batchesOf returns requests for so many newest points each, of random ones among many sessions: more than processors have
// caches for.
func batchesOf(s *service, size int) (requests [][]byte) {
	s.Helper()
	const sessions, distinct = 100_000, 500
	random := rand.New(rand.NewPCG(1, 2))
	now := time.Now().UnixMilli()
	ids := make([]schema.ID, sessions)
	points := make([]schema.OwnedPoint, sessions)
	for i := range ids {
		ids[i] = schema.NewID()
		s.Server.services.LastSeen.PutSession(schema.Session{ID: ids[i], OrgID: "org_a"})
		points[i] = schema.OwnedPoint{DataPoint: schema.DataPoint{
			SessionID: ids[i], Timestamp: now - random.Int64N(3_600_000), ReceivedAt: now - random.Int64N(1_000_000), Version: 1, Temperature: 21.5, Battery: 8765,
			Latitude: random.Int32N(900_000_000), Longitude: random.Int32N(1_800_000_000), Altitude: 5190, Accuracy: 57, Speed: 1234, Heading: 2705,
		}}
	}
	if err := s.Server.services.LastSeen.Publish(points); err != nil {
		s.Fatal(err)
	}
	key, _ := s.key("org_a", schema.KindAPIKey)
	for range distinct {
		body := []byte(`{"session_ids":[`)
		for range size {
			body = fmt.Appendf(body, "%q,", ids[random.IntN(sessions)].String())
		}
		body = append(body[:len(body)-1], "]}"...)
		requests = append(requests, fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: localhost:8080\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			pathLastSeenBatch, key, len(body), body))
	}
	return requests
}

// BenchmarkLastSeenBatch says what a batch costs between the bytes on a connection and those of the answer, and with a client
// over loopback.
func BenchmarkLastSeenBatch(b *testing.B) {
	s := start(b, func(with *setup) { with.config.AccessLog = LogUsual })
	for _, size := range []int{100, 1000} {
		requests := batchesOf(s, size)
		b.Run(fmt.Sprintf("%d/answered", size), func(b *testing.B) {
			b.ReportAllocs()
			c := &replays{requests: requests}
			c.left = b.N
			before := processorTime(b)
			b.ResetTimer()
			s.Server.http.ServeConn(accepted(s.Server, c))
			b.ReportMetric(float64(processorTime(b)-before)/float64(b.N)/float64(size), "cpu-ns/session")
			if !bytes.HasPrefix(c.first, []byte("HTTP/1.1 200 ")) {
				b.Errorf("%.100q", c.first)
			}
		})
		b.Run(fmt.Sprintf("%d/with a client", size), func(b *testing.B) {
			c, err := net.Dial("tcp", s.address)
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			answer, reads := make([]byte, 1<<20), 0
			b.ReportAllocs()
			for i := range b.N {
				if _, err := c.Write(requests[i%len(requests)]); err != nil {
					b.Fatal(err)
				}
				for n := 0; !bytes.HasSuffix(answer[:n], []byte(`"not_found":[]}`)); reads++ {
					more, err := c.Read(answer[n:])
					if err != nil {
						b.Fatalf("%v: %.300q", err, answer[:n])
					}
					n += more
				}
			}
			b.ReportMetric(float64(reads)/float64(b.N), "reads/op")
		})
	}
}

// processorTime is what the process has spent so far.
func processorTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// replays is a replay of several requests in turn.
type replays struct {
	replay
	requests [][]byte
	first    []byte // of the last answer: the rest is left out
}

func (c *replays) Read(p []byte) (int, error) {
	if len(c.rest) == 0 && c.left > 0 {
		c.request = c.requests[c.left%len(c.requests)]
	}
	return c.replay.Read(p)
}

func (c *replays) Write(p []byte) (int, error) {
	if bytes.HasPrefix(p, []byte("HTTP/1.1")) {
		c.first = append(c.first[:0], p[:20]...)
	}
	return len(p), nil
}
