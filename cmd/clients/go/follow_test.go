package client

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// point is a data point of the server's, second seconds after midnight.
func point(second int) string {
	return fmt.Sprintf(`{"_id":"p%d","timestamp":"2026-01-15T00:00:%02dZ","received_at_timestamp":"2026-01-15T00:00:59Z","schema_version":1,`+
		`"location":{"type":"Feature","geometry":{"type":"Point","coordinates":[2,1]},"properties":{"speed":3}},"metadata":{"session_id":"s","outlier":false,"paused":false}}`, second, second)
}

// checked answers like next and says where a request is not as wanted.
func checked(t *testing.T, wanted func(*http.Request) bool, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !wanted(r) {
			t.Errorf("asked for %s %s with %v", r.Method, r.URL, r.Header)
		}
		next(w, r)
	}
}

// cut answers with the beginning of an answer.
func cut(beginning string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, beginning)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

func TestAPollKeepsItsTag(t *testing.T) {
	t.Parallel()
	untagged := func(r *http.Request) bool {
		return r.Header.Get("If-None-Match") == "" && r.Header.Get("Prefer") == ""
	}
	tagged := func(r *http.Request) bool {
		return r.Header.Get("If-None-Match") == `"1"` && r.Header.Get("Prefer") == "wait=30"
	}
	c, _, _ := serve(t, checked(t, untagged, answer(200, point(1), "ETag", `"1"`)), checked(t, tagged, answer(304, "")), checked(t, tagged, answer(200, "null", "ETag", `"2"`)))
	poll := c.Poll("s")
	for i, want := range []struct {
		id      string
		changed bool
	}{{"p1", true}, {"p1", false}, {"", true}} {
		got, changed, err := poll.Next(t.Context(), 30*time.Second)
		if err != nil || changed != want.changed || (got == nil) != (want.id == "") || got != nil && got.ID != want.id {
			t.Errorf("request %d: %+v, %t, %v", i, got, changed, err)
		}
	}
}

func TestABatchKeepsItsTag(t *testing.T) {
	t.Parallel()
	c, _, _ := serve(t, answer(200, `{"data_points":[`+point(1)+`,null],"not_found":["b"]}`, "ETag", `"1"`),
		checked(t, func(r *http.Request) bool { return r.Header.Get("If-None-Match") == `"1"` }, answer(304, "")))
	batch := c.Batch("a", "b")
	for i, wantChange := range []bool{true, false} {
		newest, changed, err := batch.Next(t.Context())
		if err != nil || changed != wantChange || len(newest.Points) != 2 || newest.Points[0].Location.Latitude() != 1 || newest.Points[1] != nil || newest.NotFound[0] != "b" {
			t.Errorf("request %d: %+v, %t, %v", i, newest, changed, err)
		}
	}
}

func TestChangesFollowTheCursor(t *testing.T) {
	t.Parallel()
	at := func(cursor string) func(*http.Request) bool {
		return func(r *http.Request) bool {
			return r.URL.Query().Get("cursor") == cursor && (r.Header.Get("Prefer") != "") == (cursor != "")
		}
	}
	c, _, _ := serve(t,
		checked(t, at(""), answer(200, `{"data_points":[`+point(1)+`],"gone":[],"next_cursor":"a","more":true}`)),
		checked(t, at("a"), answer(200, `{"data_points":[],"gone":[],"next_cursor":"b","more":false}`)),
		checked(t, at("b"), answer(503, "")),
		checked(t, at("b"), answer(200, `{"data_points":[],"gone":["x"],"next_cursor":"c","more":false}`)),
		checked(t, at("c"), answer(401, `{"detail":"It was revoked."}`)))
	var cursors []string
	var failed error
	for changes, err := range c.Changes(t.Context(), "") {
		if failed = err; err == nil {
			cursors = append(cursors, changes.Cursor)
		}
	}
	if !slices.Equal(cursors, []string{"a", "c"}) || !HasStatus(failed, 401) {
		t.Errorf("got %q, then %v", cursors, failed)
	}
}

// TestAHistoryGoesOnWhereItWasCut: each point comes once, whatever breaks, and pages follow each other.
func TestAHistoryGoesOnWhereItWasCut(t *testing.T) {
	t.Parallel()
	lines := func(seconds ...int) (text string) {
		for _, second := range seconds {
			text += point(second) + "\n"
		}
		return text
	}
	first := func(r *http.Request) bool { return r.URL.Query().Get("cursor") == "" }
	second := func(r *http.Request) bool { return r.URL.Query().Get("cursor") == "two" }
	whole := answer(200, lines(1, 2, 3), "Next-Cursor", "two")
	half := cut(lines(1, 2) + point(3)[:20])
	c, _, _ := serve(t, checked(t, first, answer(503, "")), checked(t, first, half), checked(t, first, whole), checked(t, second, answer(200, lines(4))))
	var got []string
	for point, err := range c.DataPoints(t.Context(), "s", time.Unix(0, 0), time.Now()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, point.ID)
	}
	if !slices.Equal(got, []string{"p1", "p2", "p3", "p4"}) {
		t.Errorf("got %q", got)
	}
}

func TestALoopOverAHistoryMayStop(t *testing.T) {
	t.Parallel()
	c, _, requests := serve(t, answer(200, point(1)+"\n"+point(2)+"\n", "Next-Cursor", "two"))
	for range c.DataPoints(t.Context(), "s", time.Unix(0, 0), time.Now()) {
		break
	}
	if requests.Load() != 1 {
		t.Errorf("%d requests", requests.Load())
	}
}

func TestAHistoryThatDoesNotReadIsAnError(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"<html>", point(1) + "\n" + `{"location":{}}`, point(1)[:30]} {
		c, _, requests := serve(t, answer(200, text))
		var failed error
		for _, failed = range c.DataPoints(t.Context(), "s", time.Unix(0, 0), time.Now()) {
			_ = failed // the last one is looked at
		}
		if !errors.Is(failed, ErrAnswer) || requests.Load() != 1 {
			t.Errorf("%q: %v after %d requests", text, failed, requests.Load())
		}
	}
}

func TestAFeedWaitsWhereThereIsNothingNew(t *testing.T) {
	t.Parallel()
	page := func(points, next string) http.HandlerFunc {
		return answer(200, `{"data_points":[`+points+`],"stationary_clusters":[],"next_cursor":"`+next+`"}`)
	}
	c, waits, _ := serve(t, page(point(1), "a"), page("", "b"), page(point(2), "c"), answer(422, `{"detail":"The cursor is bad."}`))
	var cursors []string
	var failed error
	for p, err := range c.Feed(t.Context(), "", time.Minute) {
		if failed = err; err == nil {
			cursors = append(cursors, p.Cursor)
		}
	}
	if !slices.Equal(cursors, []string{"a", "c"}) || !HasStatus(failed, 422) || !slices.Equal(*waits, []time.Duration{time.Minute}) {
		t.Errorf("got %q, then %v, after waits of %v", cursors, failed, *waits)
	}
}

func TestSessionsFollowTheCursor(t *testing.T) {
	t.Parallel()
	c, _, _ := serve(t, answer(200, `{"items":[{"_id":"1"},{"_id":"2"}],"total_count":3,"next_cursor":"n"}`),
		checked(t, func(r *http.Request) bool {
			return r.URL.Query().Get("cursor") == "n" && r.URL.Query().Get("search") == "x"
		}, answer(200, `{"items":[{"_id":"3"}],"total_count":3}`)))
	var ids []string
	for session, err := range c.Sessions(t.Context(), map[string][]string{"search": {"x"}}) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, session.ID)
	}
	if strings.Join(ids, "") != "123" {
		t.Errorf("got %q", ids)
	}
}

func TestAnErrorIsPrintable(t *testing.T) {
	t.Parallel()
	c, _, _ := serve(t, answer(400, `{"detail":"a\u001b[31m \"quoted\" b"}`))
	if _, err := c.LastSeen(t.Context(), "s"); !HasStatus(err, 400) || !strings.Contains(err.Error(), `a\x1b[31m "quoted" b`) {
		t.Errorf("got %v", err)
	}
}
