package scenario

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"lastseen/bench/loadgen"
	"lastseen/bench/rig"
	"lastseen/bench/traffic"
)

// intruderAddress is where the intruder connects from on a machine that measures itself.
const intruderAddress = "127.0.0.2"

// attack is one thing that the intruder does.
type attack struct {
	name, what  string
	connections int                         // that it opens at first
	run         func(context.Context) error // until its context ends; what is refused is no error
}

// The sizes of the attacks.
const (
	unfinishedBodies = 64
	bodyBegun        = 256 << 10 // bytes of each that are sent
	lateConnections  = 8
	lateMonths       = 322     // one point each
	mostStored       = 100_000 // points of the long history
	jumpConnections  = 8
	jumpSessions     = 100 // one late point each
	repeatingBodies  = 4   // connections, each with its part of the repeated points
	listConnections  = 150
	mostLongPolls    = 5_000
	wakingPoints     = 500
	slowReaders      = 64
	churners         = 32
	markers          = 4
	markedPoints     = 10_000
	mostSilent       = 4_000
	probers          = 32
)

// attacks are all of them.
func (i *intrusion) attacks() []attack {
	return []attack{
		{"unfinished bodies", fmt.Sprintf("%d bodies of points that are begun and never finished", unfinishedBodies), unfinishedBodies, i.unfinished},
		{"late points", fmt.Sprintf("bodies of %d points, one a month, over %d connections", lateMonths, lateConnections), lateConnections, i.late},
		{"jumps", fmt.Sprintf("bodies of %d late points, one a session, that jump about and are judged, over %d connections", i.jumping(), jumpConnections), jumpConnections, i.jumps},
		{"repeats", fmt.Sprintf("%d stored points again and again over %d connections", i.stored, repeatingBodies), repeatingBodies, i.repeats},
		{"lists", fmt.Sprintf("searches in sessions/list over %d connections", listConnections), listConnections, i.lists},
		{"long polls", fmt.Sprintf("%d long polls, woken all the time", i.waiters), i.waiters + 1, i.longPolls},
		{"slow histories", fmt.Sprintf("%d readers of a history of %d points that hardly read", slowReaders, i.stored), slowReaders, i.slowHistories},
		{"key churn", fmt.Sprintf("keys made and revoked over %d connections", churners), churners, i.keyChurn},
		{"marks", fmt.Sprintf("marks of %d points at a time over %d connections", markedPoints, markers), markers, i.marks},
		{"silent connections", fmt.Sprintf("%d connections that say nothing", i.silent), i.silent, i.silence},
		{"readiness", fmt.Sprintf("/readyz over %d connections", probers), probers, i.readiness},
	}
}

// chosen are those of some names, or all.
func (i *intrusion) chosen(names []string) ([]attack, error) {
	all := i.attacks()
	if len(names) == 0 {
		return all, nil
	}
	var chosen []attack
	for _, name := range names {
		at := slices.IndexFunc(all, func(a attack) bool { return a.name == name })
		if at < 0 {
			return nil, fmt.Errorf("there is no attack %q", name)
		}
		chosen = append(chosen, all[at])
	}
	return chosen, nil
}

// intrusion is what the attacks share.
type intrusion struct {
	on       *rig.Service
	cpus     []int
	sessions []int
	key      string

	stored, waiters, silent int // how many

	newest int64 // the timestamp of the newest points at first, Unix milliseconds
	serial int64 // of late points

	connected atomic.Int64 // connections that were opened for the attack at hand
}

// longestConnecting is how long an attack may take to open its connections.
const longestConnecting = 20 * time.Second

// awaitConnected returns when an attack that has begun has its connections.
func (i *intrusion) awaitConnected(ctx context.Context, a attack) error {
	return await(ctx, longestConnecting, func() error {
		if opened := i.connected.Load(); opened < int64(a.connections) {
			return fmt.Errorf("only %d of %d connections could be opened", opened, a.connections)
		}
		return nil
	})
}

// flood keeps connections busy with requests of a source until ctx ends, whatever the answers are.
func (i *intrusion) flood(ctx context.Context, connections int, next func(connection int, b []byte) []byte) error {
	return i.load(ctx, connections, &flood{next: next})
}

// load runs a load of the intruder. It yields, since an intruder has a machine of its own.
func (i *intrusion) load(ctx context.Context, connections int, source loadgen.Source) error {
	target := i.on.Target
	if host, _, err := net.SplitHostPort(target.Address); err == nil && host == "127.0.0.1" {
		target.SourceAddresses = []string{intruderAddress}
	}
	_, err := loadgen.Load{
		Target: target, Connections: connections, Workers: 1, Duration: time.Hour, Timeout: 5 * time.Minute, Tolerant: true, CPUs: i.cpus, Yields: true,
		Connected: func() { i.connected.Add(int64(connections)) },
		Source:    func(int) loadgen.Source { return source },
	}.Run(ctx)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// get appends a request with the intruder's key.
func (i *intrusion) get(b []byte, path string, headers string) []byte {
	return fmt.Appendf(b, "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n%s\r\n", path, i.on.Host, i.key, headers)
}

// post appends a request with the intruder's user token and JSON.
func (i *intrusion) post(b []byte, path, body string) []byte {
	return fmt.Appendf(b, "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		path, i.on.Host, i.on.API.Token(intruder), len(body), body)
}

// head appends the head of a request that sends points.
func (i *intrusion) head(b []byte, length int) []byte {
	return fmt.Appendf(b, "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n",
		traffic.PathIngest, i.on.Host, i.on.Catalogue.Writers[intruder], length)
}

// points appends a request that sends so many points.
func (i *intrusion) points(b []byte, n int, point func(number int) (session int, timestamp int64)) []byte {
	b = i.head(b, n*traffic.PointLength)
	var pen traffic.Pen
	for number := range n {
		session, timestamp := point(number)
		b = pen.Append(b, i.on.Catalogue.ID(session), timestamp)
	}
	return b
}

// longHistory is a session and the timestamp of the first of its stored points, a second each.
func (i *intrusion) longHistory() (session int, from int64) {
	return i.sessions[len(i.sessions)-1], i.newest - 24*time.Hour.Milliseconds() - int64(i.stored)*1000
}

// prepare writes the long history.
func (i *intrusion) prepare(ctx context.Context) error {
	session, from := i.longHistory()
	if err := i.write(ctx, i.stored, func(number int) (int, int64) { return session, from + int64(number)*1000 }); err != nil {
		return err
	}
	for _, session := range i.sessions[:i.jumping()] { // of the others points are not judged
		id := url.Values{"session_id": {string(i.on.Catalogue.ID(session))}}
		if err := i.on.API.Call(ctx, http.MethodPost, traffic.PathUpdateSession, id, i.on.API.Token(intruder), map[string]string{"outliers": "flag"}, nil); err != nil {
			return err
		}
	}
	return nil
}

// jumping is how many of the intruder's sessions, the first ones, have points that jump.
func (i *intrusion) jumping() int { return min(jumpSessions, len(i.sessions)/2) }

// recover returns when what the intruder has left behind in the service is written: its points are in the order
// in which they came.
func (i *intrusion) recover(ctx context.Context) error {
	i.serial++
	return i.write(ctx, 1, func(int) (int, int64) { return i.sessions[0], i.newest - 90*24*time.Hour.Milliseconds() - i.serial })
}

// write writes points of the intruder, however often it is refused.
func (i *intrusion) write(ctx context.Context, n int, point func(number int) (session int, timestamp int64)) error {
	_, body, _ := bytes.Cut(i.points(nil, n, point), []byte("\r\n\r\n"))
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, i.on.API.Base+traffic.PathIngest, bytes.NewReader(body))
		if err != nil {
			return fmt.Errorf("make a request that writes points: %w", err)
		}
		request.Header.Set("Authorization", "Bearer "+i.on.Catalogue.Writers[intruder])
		request.Header.Set("Content-Type", "application/x-ndjson")
		response, err := i.on.API.Client.Do(request)
		if err != nil {
			return fmt.Errorf("write points: %w", err)
		}
		response.Body.Close()
		switch response.StatusCode {
		case http.StatusOK:
			return nil
		case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		default:
			return fmt.Errorf("writing points was answered %s", response.Status)
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (i *intrusion) late(ctx context.Context) error {
	newest := time.UnixMilli(i.newest).UTC()
	return i.flood(ctx, lateConnections, func(_ int, b []byte) []byte {
		i.serial++
		return i.points(b, lateMonths, func(number int) (int, int64) {
			return i.sessions[int(i.serial)%len(i.sessions)], time.Date(newest.Year(), newest.Month()-time.Month(number), 1, 0, 0, 0, 0, time.UTC).UnixMilli() + i.serial
		})
	})
}

// jumps writes points between stored ones: each lies where its time says, which is nowhere near its neighbours.
func (i *intrusion) jumps(ctx context.Context) error {
	return i.flood(ctx, jumpConnections, func(_ int, b []byte) []byte {
		i.serial++
		return i.points(b, i.jumping(), func(number int) (int, int64) {
			return i.sessions[number], i.newest - 10*time.Minute.Milliseconds() + i.serial
		})
	})
}

func (i *intrusion) repeats(ctx context.Context) error {
	session, from := i.longHistory()
	each := i.stored / repeatingBodies
	var bodies [repeatingBodies][]byte
	for n := range bodies {
		bodies[n] = i.points(nil, each, func(number int) (int, int64) { return session, from + int64(n*each+number)*1000 })
	}
	return i.flood(ctx, repeatingBodies, func(connection int, b []byte) []byte { return append(b, bodies[connection]...) })
}

func (i *intrusion) lists(ctx context.Context) error {
	return i.flood(ctx, listConnections, func(_ int, b []byte) []byte { return i.get(b, "/tracking/sessions/list/v1?search=a&page_size=100", "") })
}

func (i *intrusion) readiness(ctx context.Context) error {
	return i.flood(ctx, probers, func(_ int, b []byte) []byte {
		return fmt.Appendf(b, "GET /readyz HTTP/1.1\r\nHost: %s\r\n\r\n", i.on.Host)
	})
}

func (i *intrusion) marks(ctx context.Context) error {
	session, from := i.longHistory()
	var ids bytes.Buffer
	for number := range markedPoints {
		fmt.Fprintf(&ids, `,"%s.%d"`, i.on.Catalogue.ID(session), from+int64(number)*9*1000)
	}
	marked := false
	return i.flood(ctx, markers, func(_ int, b []byte) []byte {
		marked = !marked
		body := fmt.Sprintf(`{"outlier":%v,"tracking_session_by_device_data_point_ids":[%s]}`, marked, ids.Bytes()[1:])
		return i.post(b, traffic.PathOutlier, body)
	})
}

// longPolls waits for the next points of sessions, which somebody writes.
func (i *intrusion) longPolls(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return i.load(ctx, i.waiters, &patience{i: i, etags: make([]string, i.waiters)}) })
	all.Go(func() error {
		return i.flood(ctx, 1, func(_ int, b []byte) []byte {
			now := time.Now().UnixMilli()
			return i.points(b, wakingPoints, func(number int) (int, int64) {
				return i.sessions[number%len(i.sessions)], now + int64(number/len(i.sessions))
			})
		})
	})
	return all.Wait()
}

// each keeps so many connections occupied until ctx ends, each anew when it is over.
func (i *intrusion) each(ctx context.Context, connections int, occupy func(context.Context, net.Conn)) error {
	dialer := net.Dialer{Timeout: 10 * time.Second}
	if host, _, err := net.SplitHostPort(i.on.Host); err == nil && host == "127.0.0.1" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(intruderAddress)}
	}
	var all sync.WaitGroup
	for range connections {
		all.Go(func() {
			for ctx.Err() == nil {
				conn, err := dialer.DialContext(ctx, "tcp", i.on.Host)
				if err != nil {
					continue // it is as the service would have it
				}
				i.connected.Add(1)
				stop := context.AfterFunc(ctx, func() { conn.Close() })
				occupy(ctx, conn)
				stop()
				conn.Close()
			}
		})
	}
	all.Wait()
	return nil
}

func (i *intrusion) unfinished(ctx context.Context) error {
	begun := i.points(nil, bodyBegun/traffic.PointLength, func(number int) (int, int64) { return i.sessions[0], int64(number) + 1_700_000_000_000 })
	_, begun, _ = bytes.Cut(begun, []byte("\r\n\r\n"))
	request := append(i.head(nil, 16<<20), begun...)
	return i.each(ctx, unfinishedBodies, func(_ context.Context, conn net.Conn) {
		if _, err := conn.Write(request); err == nil {
			_, _ = io.Copy(io.Discard, conn) // until the service has had enough
		}
	})
}

func (i *intrusion) silence(ctx context.Context) error {
	return i.each(ctx, i.silent, func(_ context.Context, conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
}

func (i *intrusion) slowHistories(ctx context.Context) error {
	session, from := i.longHistory()
	request := i.get(nil, traffic.HistoryPath(i.on.Catalogue.ID(session), from, from+int64(i.stored)*1000), "")
	return i.each(ctx, slowReaders, func(ctx context.Context, conn net.Conn) {
		if _, err := conn.Write(request); err != nil {
			return
		}
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for b := make([]byte, 4<<10); ctx.Err() == nil; <-tick.C {
			if _, err := conn.Read(b); err != nil {
				return
			}
		}
	})
}

func (i *intrusion) keyChurn(ctx context.Context) error {
	return i.load(ctx, churners, &churn{i: i, made: make([]string, churners)})
}
