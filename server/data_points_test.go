package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/schema"
)

// historyPoints reads an answer of data_points.
func historyPoints(tb testing.TB, r reply) (points []string) {
	tb.Helper()
	var got struct {
		DataPoints []struct{ Timestamp string } `json:"data_points"`
		Clusters   []json.RawMessage            `json:"stationary_clusters"`
	}
	if err := json.Unmarshal(r.body, &got); err != nil || got.Clusters == nil {
		tb.Fatalf("%v: %s", err, r.body)
	}
	for _, p := range got.DataPoints {
		points = append(points, strings.TrimPrefix(p.Timestamp, "2026-01-15T00:"))
	}
	return points
}

func TestDataPoints(t *testing.T) {
	t.Parallel()
	s := start(t)
	session := s.session("org_a", "00:00:00:00:06:01")
	s.ingest("org_a", point(session, 0)+point(session, 30)+point(session, 61)+point(session, 119)+point(session, 120))
	key, _ := s.key("org_a", schema.KindAPIKey)
	for _, test := range []struct{ query, want string }{
		{"start_timestamp=2026-01-15T00:00:00Z&end_timestamp=2026-01-15T00:02:00Z", "[00:00Z 00:30Z 01:01Z 01:59Z]"},
		{"start_timestamp=2026-01-15T00:00:00.0001Z&end_timestamp=2026-01-15T00:02:00.0001Z", "[00:00Z 00:30Z 01:01Z 01:59Z]"},
		{"start_timestamp=2026-01-15T02:00:30+02:00&end_timestamp=2026-01-15%2000:01:30,5z", "[00:30Z 01:01Z]"},
		{"start_timestamp=2026-01-15T02:00:30%2B02&end_timestamp=1768435290", "[00:30Z 01:01Z]"},
		{"start_timestamp=2026-01-15T00:00:00Z&end_timestamp=2026-01-15T00:03:00Z&bucket_seconds=60", "[00:30Z 01:59Z 02:00Z]"},
		{"start_timestamp=1970-01-01T00:00:00Z&end_timestamp=2200-12-31T00:00:00Z&bucket_seconds=604800", "[02:00Z]"},
		{"start_timestamp=2026-01-16T00:00:00Z&end_timestamp=2026-01-17T00:00:00Z", "[]"},
	} {
		r := s.get(pathDataPoints+"?session_id="+session+"&"+test.query, key, 200)
		if got := fmt.Sprint(historyPoints(t, r)); got != test.want {
			t.Errorf("%s: %s, want %s", test.query, got, test.want)
		}
		if r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("content type %q", r.Header.Get("Content-Type"))
		}
	}
}

// long makes a session with a history of many megabytes of JSON and returns the target of its answer.
func (s *service) long(points int) string {
	s.Helper()
	session := s.session("org_a", "00:00:00:00:06:02")
	id, _ := schema.ParseID(session)
	day := time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC).UnixMilli()
	batch := make([]schema.OwnedPoint, points)
	for i := range batch {
		batch[i] = schema.OwnedPoint{DataPoint: schema.NewDataPoint(id, day+int64(i), int32(i), int32(i)), OrgID: "org_a"}
	}
	if err := s.db.InsertDataPoints(context.Background(), batch); err != nil {
		s.Fatal(err)
	}
	return pathDataPoints + "?session_id=" + session + "&start_timestamp=2026-01-15T00:00:00Z&end_timestamp=2026-01-16T00:00:00Z"
}

func TestALongHistoryStreams(t *testing.T) {
	t.Parallel()
	s := start(t)
	target := s.long(40_000)
	key, _ := s.key("org_a", schema.KindAPIKey)
	r := s.get(target, key, 200)
	if n := len(historyPoints(t, r)); n != 40_000 || r.ContentLength != -1 {
		t.Errorf("%d points, length %d", n, r.ContentLength)
	}
	if r := s.do("HEAD", target, key, nil); r.StatusCode != 200 {
		t.Errorf("HEAD: %s", r.Status)
	}
	s.get(target, key, 200)
}

// TestAHistoryEndsWithTheRightToIt: the rest of an answer is not sent to a caller whose key was revoked meanwhile, nor of a
// session that is public no more. What was sent must not look whole.
func TestAHistoryEndsWithTheRightToIt(t *testing.T) {
	t.Parallel()
	s := start(t)
	target := s.long(200_000)
	session, _, _ := strings.Cut(strings.TrimPrefix(target, pathDataPoints+"?session_id="), "&")
	operator, admin := s.token("org_a", keys.RoleOperator), s.token("org_a", keys.RoleAdministrator)
	s.post("/tracking/sessions/update/v1?session_id="+session, operator, `{"public":true}`, 200)
	key, id := s.key("org_a", schema.KindAPIKey)
	for name, test := range map[string]struct {
		target, credential string
		end                func()
	}{
		"revoked": {target, "Authorization: Bearer " + key + "\r\n", func() {
			s.post("/orgs/api_keys/revoke/v1?api_key_id="+id.String(), admin, "", 200)
		}},
		"public no more": {strings.Replace(target, "data_points/", "data_points_public/", 1), "", func() {
			s.post("/tracking/sessions/update/v1?session_id="+session, operator, `{"public":false}`, 200)
		}},
	} {
		c := dial(t, s.address)
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n%sConnection: close\r\n\r\n", test.target, test.credential)
		head := make([]byte, 1<<10)
		if _, err := io.ReadFull(c, head); err != nil || !strings.HasPrefix(string(head), "HTTP/1.1 200") {
			t.Fatalf("%s: %v, %.200s", name, err, head)
		}
		test.end()
		rest, _ := io.ReadAll(c)
		if strings.HasSuffix(string(rest), "\r\n0\r\n\r\n") {
			t.Errorf("%s: the whole answer was sent, %d bytes", name, len(rest))
		}
	}
}

// TestAShutdownCutsAHistoryThatNobodyReads: what was sent of it must not look whole.
func TestAShutdownCutsAHistoryThatNobodyReads(t *testing.T) {
	t.Parallel()
	s := start(t)
	target := s.long(200_000)
	key, _ := s.key("org_a", schema.KindAPIKey)
	c := dial(t, s.address)
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", target, key)
	head := make([]byte, 1<<10)
	if _, err := io.ReadFull(c, head); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("shutdown: %v", err)
	}
	rest, _ := io.ReadAll(c)
	if !strings.HasPrefix(string(head), "HTTP/1.1 200") || strings.HasSuffix(string(rest), "0\r\n\r\n") {
		t.Errorf("the answer looks whole: …%q", rest[max(0, len(rest)-40):])
	}
}

func TestHistoriesWaitForTheirTurnAndNotForEver(t *testing.T) {
	t.Parallel()
	s := start(t, func(with *setup) {
		with.config.Histories, with.config.QueueWait = 1, 50*time.Millisecond
	})
	target := s.long(200_000)
	key, _ := s.key("org_a", schema.KindAPIKey)
	other := s.session("org_b", "00:00:00:00:0f:32")
	otherKey, _ := s.key("org_b", schema.KindAPIKey)
	c := dial(t, s.address)
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n", target, key)
	if _, err := io.ReadFull(c, make([]byte, 1<<10)); err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() { // slowly, but on and on
		for range time.Tick(time.Millisecond) {
			if _, err := c.Read(make([]byte, 8<<10)); err != nil {
				return
			}
		}
	})
	for _, busy := range []reply{
		s.get(target, key, 429), // its organisation has its share
		s.get(pathDataPoints+"?session_id="+other, otherKey, 503),
	} {
		busy.problem(t)
		if busy.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	session := target[strings.Index(target, "?"):strings.Index(target, "&")]
	s.get(pathLastSeen+session, key, 200) // is not held up
	s.get(pathSessionsGet+session, key, 200)
	c.Close()
	reading.Wait()
	for { // the place is free again by and by
		if r := s.do("GET", target+"&limit=1", key, nil); r.StatusCode == 200 {
			return
		}
	}
}
