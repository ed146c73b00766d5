package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/schema/clickhousetest"
)

// storeUser is a user of a ClickHouse server with a password and grants, with settings of its profile.
func storeUser(password, settings string, grants ...string) string {
	var granted strings.Builder
	for _, grant := range grants {
		fmt.Fprintf(&granted, "<query>GRANT %s</query>", grant)
	}
	return "<profiles><service>" + settings + "</service></profiles><users><lastseen><password>" + password +
		"</password><networks><ip>::/0</ip></networks><profile>service</profile><quota>default</quota><grants>" + granted.String() + "</grants></lastseen></users>"
}

// neededGrants are the rights that docs/clickhouse.md says lastseen needs.
var neededGrants = []string{
	"CREATE DATABASE, CREATE TABLE, ALTER TABLE, SELECT, INSERT ON lastseen.*",
	"TABLE ENGINE ON ReplacingMergeTree", "TABLE ENGINE ON AggregatingMergeTree", "TABLE ENGINE ON SummingMergeTree",
	"SELECT ON system.detached_parts",
}

// clusterGrants are those that it says lastseen needs on a cluster.
var clusterGrants = append(slices.Clone(neededGrants), "REMOTE ON *.*", "SELECT ON system.clusters", "SELECT ON system.macros", "SELECT ON system.tables")

// storeService is a service on a ClickHouse server, with an organisation's session and what it was sent.
type storeService struct {
	*service
	lines   logLines
	token   string
	key     string
	session string

	next         int64          // the timestamp of the next point, Unix milliseconds
	acknowledged []int64        // in ascending order
	sent         map[int64]bool // also those of which nobody knows
}

// logLines are the lines that a service has logged. They are safe for concurrent use.
type logLines struct {
	mu    sync.Mutex
	lines []logLine
}

type logLine struct {
	Level, Msg, Address, Error, Cause, After string
	Status                                   int
	Cut                                      bool
	text                                     string
}

func (l *logLines) add(text string) (line logLine) {
	_ = json.Unmarshal([]byte(text), &line)
	line.text = text
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	return line
}

// from returns the lines from a place on, and the place after them.
func (l *logLines) from(place int) ([]logLine, int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lines[place:]), len(l.lines)
}

// startOnStore starts a service whose ClickHouse has an address, with more in its environment, in a folder
// of its own.
func startOnStore(t *testing.T, env []string, dir, address string, flags ...string) *storeService {
	t.Helper()
	process, lines, err := launchServiceIn(append(env, "LASTSEEN_CLICKHOUSE="+address), dir, flags...)
	if err != nil {
		t.Fatal(err)
	}
	s := &storeService{service: process, sent: map[int64]bool{}}
	t.Cleanup(func() {
		if s.process.ProcessState == nil {
			s.kill()
		}
	})
	listening := make(chan string, 1)
	go func() {
		for text := range lines {
			if line := s.lines.add(text); line.Msg == "listening" {
				listening <- line.Address
			}
		}
		close(listening)
	}()
	select {
	case address, listens := <-listening:
		if !listens {
			s.process.Wait()
			t.Fatalf("lastseen serve ended at its start:\n%s", s.log.String())
		}
		s.base = "http://" + address
	case <-time.After(startTimeout):
		t.Fatal("lastseen serve does not listen")
	}
	return s
}

// begin makes a session, and a key that has been used.
func (s *storeService) begin(t *testing.T, org string) {
	t.Helper()
	s.token = s.service.token(t, org, keys.RoleOwner)
	s.session = s.newSession(t, s.token, org+"-1")
	s.key, _ = s.newKey(t, s.token, "reader")
	s.next = time.Now().Add(-30 * 24 * time.Hour).UnixMilli()
	if status, _ := s.sendPoints(t, 3); status != http.StatusOK {
		t.Fatalf("the first points are answered %d", status)
	}
	if _, at := s.lastSeen(t); at != s.newest() {
		t.Fatalf("last_seen is at %d, want %d", at, s.newest())
	}
}

func (s *storeService) newest() int64 { return s.acknowledged[len(s.acknowledged)-1] }

// sendPoints sends so many new points, and notes them where they were acknowledged. It returns the status and
// the header Retry-After.
func (s *storeService) sendPoints(t *testing.T, points int) (status int, retryAfter string) {
	t.Helper()
	var batch []int64
	var text strings.Builder
	for range points {
		s.next += 1000
		batch = append(batch, s.next)
		s.sent[s.next] = true
		latitude, longitude := valuesAt(s.next)
		fmt.Fprintf(&text, `,{"session_id":%q,"timestamp":%q,"latitude":%v,"longitude":%v}`, s.session, wireTime(s.next), latitude, longitude)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.base+"/tracking/timeseries/session_by_device/ingest/v1",
		strings.NewReader(`{"points":[`+text.String()[1:]+`]}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+s.token)
	request.Header.Set("Content-Type", "application/json")
	response, err := requests.Do(request)
	if err != nil {
		t.Fatalf("ingest: %v", err)
	}
	defer response.Body.Close()
	var result struct{ Accepted int }
	err = json.NewDecoder(response.Body).Decode(&result)
	switch {
	case response.StatusCode != http.StatusOK:
		return response.StatusCode, response.Header.Get("Retry-After")
	case err != nil || result.Accepted != points:
		t.Fatalf("of %d points %d were accepted (%v)", points, result.Accepted, err)
	}
	s.acknowledged = append(s.acknowledged, batch...)
	return http.StatusOK, ""
}

// lastSeen polls and returns the newest point's time.
func (s *storeService) lastSeen(t *testing.T) (status int, at int64) {
	t.Helper()
	status, body, err := s.do(t.Context(), http.MethodGet, lastSeenPath, url.Values{"session_id": {s.session}}, s.key, "")
	if err != nil {
		t.Fatalf("last_seen: %v", err)
	}
	var point dataPoint
	if status == http.StatusOK {
		if err := json.Unmarshal(body, &point); err != nil {
			t.Fatalf("last_seen: %s: %v", body, err)
		}
	}
	return status, point.Timestamp.UnixMilli()
}

// checkHistory holds what is stored against what was sent: everything acknowledged once, nothing else but
// what was sent without an answer, and whole.
func (s *storeService) checkHistory(t *testing.T) {
	t.Helper()
	var got wireHistory
	s.get(t, "/tracking/timeseries/session_by_device/data_points/v1", url.Values{
		"session_id": {s.session}, "start_timestamp": {"2000-01-01T00:00:00Z"}, "end_timestamp": {"2100-01-01T00:00:00Z"},
	}, s.key, &got)
	times := map[int64]int{}
	for _, p := range got.Points {
		at := p.Timestamp.UnixMilli()
		times[at]++
		latitude, longitude := valuesAt(at)
		if c := p.Location.Geometry.Coordinates; times[at] > 1 || !s.sent[at] || c[0] != longitude || c[1] != latitude {
			t.Errorf("the point at %d is there %d times, sent %t, at %v", at, times[at], s.sent[at], c)
		}
	}
	for _, at := range s.acknowledged {
		if times[at] != 1 {
			t.Errorf("the acknowledged point at %d is there %d times", at, times[at])
		}
	}
}

// storeServer starts a ClickHouse server with the user of storeUser.
func storeServer(t *testing.T) *clickhousetest.Server {
	t.Helper()
	return clickhousetest.Start(t, clickhousetest.Options{Users: storeUser("secret", "", neededGrants...)})
}

// storeEnv names the user of storeUser.
var storeEnv = []string{"LASTSEEN_CLICKHOUSE_USER=lastseen", "LASTSEEN_CLICKHOUSE_PASSWORD=secret"}
