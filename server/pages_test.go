package server

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lastseen/schema"
)

// TestAFeedMissesNothing: a consumer that is killed between any two pages and goes on from the cursor
// in its file ends with every point, however late it was sent.
func TestAFeedMissesNothing(t *testing.T) {
	t.Parallel()
	s := start(t)
	session := s.session("org_a", "00:00:00:00:07:01")
	key, _ := s.key("org_a", schema.KindAPIKey)
	saved := filepath.Join(t.TempDir(), "cursor")
	target := pathDataPoints + "?session_id=" + session + "&start_timestamp=2026-01-15T00:00:00Z&end_timestamp=2026-01-16T00:00:00Z"
	got := make(map[string]bool)
	consume := func() (points int) {
		page := target + "&order=received&format=ndjson&limit=7"
		if cursor, err := os.ReadFile(saved); err == nil {
			page += "&cursor=" + string(cursor)
		}
		r := s.get(page, key, 200)
		for line := range strings.Lines(string(r.body)) {
			got[line] = true
			points++
		}
		if err := os.WriteFile(saved, []byte(r.Header.Get("Next-Cursor")), 0o600); err != nil {
			t.Fatal(err)
		}
		return points
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		for i := range 60 {
			s.ingest("org_a", point(session, i*37%60)+point(session, i*11%60)) // late, out of order, repeated
		}
	}()
	for writing := true; writing; {
		select {
		case <-written:
			writing = false
		default:
			consume()
		}
	}
	for consume() > 0 {
	}
	all := s.get(target+"&format=ndjson", key, 200)
	if n := strings.Count(string(all.body), "\n"); n != len(got) || n != 60 {
		t.Errorf("the feed gave %d points of %d", len(got), n)
	}
	for line := range strings.Lines(string(all.body)) {
		if !got[line] {
			t.Errorf("the feed missed %s", line)
		}
	}
}

func TestCursorsThatAreRefused(t *testing.T) {
	t.Parallel()
	s := start(t)
	session := s.session("org_a", "00:00:00:00:07:02")
	s.ingest("org_a", point(session, 0)+point(session, 1)+point(session, 2))
	key, _ := s.key("org_a", schema.KindAPIKey)
	target := pathDataPoints + "?session_id=" + session + "&start_timestamp=2026-01-15T00:00:00Z&end_timestamp=2026-01-16T00:00:00Z"
	r := s.get(target+"&limit=2", key, 200)
	cursor := r.Header.Get("Next-Cursor")
	if len(historyPoints(t, r)) != 2 || !strings.HasSuffix(string(r.body), fmt.Sprintf(`"stationary_clusters":[],"next_cursor":%q}`, cursor)) {
		t.Fatalf("the first page: %s", r.body)
	}
	last := s.get(target+"&limit=2&cursor="+cursor, key, 200)
	if len(historyPoints(t, last)) != 1 || last.Header.Get("Next-Cursor") != "" {
		t.Errorf("the last page: %s", last.body)
	}
	for _, query := range []string{
		"&cursor=", "&cursor=x", "&cursor=" + cursor + "A", "&cursor=" + cursor[:10] + "_" + cursor[11:],
		"&bucket_seconds=60&cursor=" + cursor, "&order=received&cursor=" + cursor,
		"&limit=0", "&limit=1000001", "&order=size", "&order=received&bucket_seconds=60",
	} {
		s.get(target+query, key, 422)
	}
	foreign, _ := s.key("org_b", schema.KindAPIKey)
	s.get(target+"&cursor="+cursor, foreign, 404)
}
