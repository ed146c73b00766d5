package server

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/schema"
	"lastseen/server/transport"
)

// replay is a connection on which a client sends one request again and again, each when it has got
// the answer to the last.
type replay struct {
	net.Conn // nil: what is not overridden is not used
	request  []byte
	left     int
	rest     []byte
	answer   []byte // the last
}

func (c *replay) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		if c.left == 0 {
			return 0, io.EOF
		}
		c.left--
		c.rest = c.request
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *replay) Write(p []byte) (int, error) {
	c.answer = append(c.answer[:0], p...)
	return len(p), nil
}

func (c *replay) Close() error                     { return nil }
func (c *replay) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *replay) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *replay) SetDeadline(time.Time) error      { return nil }
func (c *replay) SetReadDeadline(time.Time) error  { return nil }
func (c *replay) SetWriteDeadline(time.Time) error { return nil }

// accepted returns a connection as a server's listener hands it out.
func accepted(s *Server, c net.Conn) *transport.Conn {
	return transport.Listen(nil, transport.Options{MaxConnections: 1, Direct: s.direct.way(), Stopping: s.stopping}).Wrap(c)
}

// ways are the two ways of a poll: where the server does not know the connection there is no direct one.
var ways = map[string]func(*Server, net.Conn) net.Conn{
	"directly":        func(s *Server, c net.Conn) net.Conn { return accepted(s, c) },
	"the general way": func(_ *Server, c net.Conn) net.Conn { return c },
}

// polls are the requests that a service gets most of, with the status of each one's answer.
type poll struct {
	name, request string
	status        int
}

func polls(s *service) []poll {
	s.Helper()
	session, empty := s.session("org_a", "00:00:00:00:07:01"), s.session("org_a", "00:00:00:00:07:02")
	s.ingest("org_a", point(session, 1))
	key, _ := s.key("org_a", schema.KindAPIKey)
	revoked, id := s.key("org_a", schema.KindAPIKey)
	s.post(pathAPIKeys+"/revoke/v1?api_key_id="+id.String(), s.token("org_a", keys.RoleOwner), "", 200)
	tag := s.get(pathLastSeen+"?session_id="+session, key, 200).Header.Get("ETag")
	request := func(path, credential string, more ...string) string {
		return "GET " + path + " HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: bench\r\nAccept: */*\r\nAuthorization: Bearer " + credential + "\r\n" + strings.Join(more, "") + "\r\n"
	}
	target := pathLastSeen + "?session_id="
	return []poll{
		{"hit", request(target+session, key), 200},
		{"hit by a person", request(target+session, s.token("org_a", keys.RoleOperator)), 200},
		{"304", request(target+session, key, "If-None-Match: "+tag+"\r\n"), 304},
		{"null", request(target+empty, key), 200},
		{"401 for a revoked key", request(target+session, revoked), 401},
		{"401 for a malformed key", request(target+session, "ak_x"), 401},
		{"401 for no credential", strings.Replace(request(target+session, ""), "Authorization: Bearer \r\n", "", 1), 401},
		{"403 for a driver", request(target+session, s.token("org_a", keys.RoleDriver)), 403},
		{"403 for a key on another route", request(pathAPIKeys+"/list/v1", key), 403},
		{"404", request(target+"0123456789abcdef01234567", key), 404},
		{"422", request(pathLastSeen, key), 422},
	}
}

// raceDetector is whether the tests run with the race detector.
var raceDetector bool

// TestPollsDoNotAllocate counts what the whole way of a request costs, from the bytes on the
// connection to the bytes of the answer.
func TestPollsDoNotAllocate(t *testing.T) {
	if raceDetector {
		t.Skip("with the race detector pools forget what they hold")
	}
	s := start(t, func(with *setup) { with.config.AccessLog = LogNothing })
	const requests = 5000
	for _, p := range polls(s) {
		for name, connect := range ways {
			c := &replay{request: []byte(p.request), answer: make([]byte, 0, 4<<10)}
			serve := func() {
				c.left = requests
				s.Server.http.ServeConn(connect(s.Server, c))
			}
			allocations := testing.AllocsPerRun(3, serve) / requests
			if want := fmt.Sprintf("HTTP/1.1 %d ", p.status); !bytes.HasPrefix(c.answer, []byte(want)) {
				t.Errorf("%s, %s: %.60q, want %s", p.name, name, c.answer, want)
			}
			most := 0.02 // a connection's own, and what runs beside it
			if p.status == 401 {
				most = 6 // the name of an address that waits for its turn, and the turn
			}
			if allocations > most {
				t.Errorf("%s, %s: %.2f allocations a request", p.name, name, allocations)
			}
		}
	}
}

func BenchmarkPoll(b *testing.B) {
	s := start(b, func(with *setup) { with.config.AccessLog = LogUsual })
	for _, p := range polls(s) {
		for name, connect := range ways {
			b.Run(p.name+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				c := &replay{request: []byte(p.request), left: b.N}
				b.ResetTimer()
				s.Server.http.ServeConn(connect(s.Server, c))
				b.SetBytes(int64(len(c.answer)))
			})
		}
	}
}

func BenchmarkPollInParallel(b *testing.B) {
	s := start(b)
	request := []byte(polls(s)[0].request)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		c := &replay{request: request}
		for pb.Next() {
			c.left++
		}
		s.Server.http.ServeConn(c)
	})
}
