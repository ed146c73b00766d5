package server

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"lastseen/keys/ratelimit"
	"lastseen/query/latest"
	"lastseen/schema"
)

type newestPoints struct {
	DataPoints []*struct {
		Metadata struct {
			SessionID string `json:"session_id"`
		} `json:"metadata"`
	} `json:"data_points"`
	NotFound []string `json:"not_found"`
}

func TestLastSeenBatch(t *testing.T) {
	t.Parallel()
	s := start(t)
	first, second, empty := s.session("org_a", "00:00:00:00:0b:01"), s.session("org_a", "00:00:00:00:0b:02"), s.session("org_a", "00:00:00:00:0b:03")
	foreign := s.session("org_b", "00:00:00:00:0b:04")
	at := func(session string, second int) string {
		return fmt.Sprintf(`{"session_id":%q,"timestamp":"2026-01-15T09:30:%02dZ","latitude":1,"longitude":2}`, session, second)
	}
	s.ingest("org_a", at(first, 1))
	s.ingest("org_a", at(second, 1))
	s.ingest("org_b", at(foreign, 1))
	key, _ := s.key("org_a", schema.KindAPIKey)
	body := func(ids ...string) string {
		text, err := json.Marshal(map[string]any{"session_ids": ids})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	absent := schema.NewID().String()
	asked := []string{second, empty, foreign, first, "no \"id\"", absent, second}

	t.Run("answers in the order asked", func(t *testing.T) {
		r := s.post(pathLastSeenBatch, key, body(asked...), 200)
		var got newestPoints
		if err := json.Unmarshal(r.body, &got); err != nil {
			t.Fatalf("%v: %s", err, r.body)
		}
		var sessions []string
		for _, p := range got.DataPoints {
			if p == nil {
				sessions = append(sessions, "null")
			} else {
				sessions = append(sessions, p.Metadata.SessionID)
			}
		}
		if want := []string{second, "null", "null", first, "null", "null", second}; !slices.Equal(sessions, want) {
			t.Errorf("the points are of %v, want %v", sessions, want)
		}
		if want := []string{foreign, "no \"id\"", absent}; !slices.Equal(got.NotFound, want) {
			t.Errorf("not found are %v, want %v", got.NotFound, want)
		}
		single := s.get(pathLastSeen+"?session_id="+first, key, 200)
		if !strings.Contains(string(r.body), string(single.body)) {
			t.Errorf("%s does not hold what a single poll gets, %s", r.body, single.body)
		}
	})
	t.Run("is 304 until something changes", func(t *testing.T) {
		tag := s.post(pathLastSeenBatch, key, body(first, second), 200).Header.Get("ETag")
		s.post(pathLastSeenBatch, key, body(first, second), 304, header{"If-None-Match", tag})
		s.post(pathLastSeenBatch, key, body(second, first), 200, header{"If-None-Match", tag})
		s.ingest("org_a", at(second, 2))
		s.post(pathLastSeenBatch, key, body(first, second), 200, header{"If-None-Match", tag})
	})
	t.Run("takes a thousand", func(t *testing.T) {
		many := slices.Repeat([]string{first}, 1000)
		if r := s.post(pathLastSeenBatch, key, body(many...), 200); strings.Count(string(r.body), `"_id"`) != 1000 {
			t.Errorf("%d bytes", len(r.body))
		}
		s.post(pathLastSeenBatch, key, body(append(many, first)...), 422)
	})
	t.Run("refuses what it cannot read", func(t *testing.T) {
		for _, bad := range []string{
			``, `[]`, `{}`, `{"session_ids":[]}`, `{"session_ids":null}`, `{"session_ids":"` + first + `"}`, `{"session_ids":[1]}`,
			`{"session_ids":["` + first + `"`, `{"session_ids":["` + first + `"]} {}`, body(strings.Repeat("x", 65)),
			`{"session_ids":["` + first + `"],"session_ids":["` + second + `"]}`,
		} {
			s.post(pathLastSeenBatch, key, bad, 422)
		}
	})
}

// TestAnswersOfEverySizeArriveWhole sweeps the sizes of answers over that of the buffer through which they go, each alone and with the
// next request behind it.
func TestAnswersOfEverySizeArriveWhole(t *testing.T) {
	t.Parallel()
	s := start(t)
	key, _ := s.key("org_a", schema.KindAPIKey)
	c := dial(t, s.address)
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewReader(c)
	request := func(size int) (text, want string) {
		ids := slices.Repeat([]string{strings.Repeat("x", longestAsked)}, size/longestAsked)
		ids = append(ids, strings.Repeat("y", 1+size%longestAsked))
		body, _ := json.Marshal(map[string]any{"session_ids": ids})
		missing, _ := json.Marshal(ids)
		want = `{"data_points":[` + strings.Repeat("null,", len(ids)-1) + `null],"not_found":` + string(missing) + `}`
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", pathLastSeenBatch, key, len(body), body), want
	}
	check := func(size int, want string) {
		t.Helper()
		response, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatalf("%d bytes asked: %v", size, err)
		}
		got, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != 200 || string(got) != want {
			t.Fatalf("%d bytes asked: %d %v, %d bytes for %d: %.100s", size, response.StatusCode, err, len(got), len(want), got)
		}
	}
	for size := 2800; size < 3900; size++ { // with the nulls and the head around one buffer
		text, want := request(size)
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		check(size, want)
	}
	for size := 2800; size < 9000; size += 97 {
		first, firstWant := request(size)
		second, secondWant := request(8000 - size/2)
		if _, err := io.WriteString(c, first+second); err != nil {
			t.Fatal(err)
		}
		check(size, firstWant)
		check(8000-size/2, secondWant)
	}
}

func TestLastSeenBatchCostsOneRequestForTenSessions(t *testing.T) {
	t.Parallel()
	s := start(t, func(with *setup) { with.config.RequestRate = ratelimit.Rate{Quota: 5, Window: 1e12} })
	session := s.session("org_a", "00:00:00:00:0b:01")
	key, _ := s.key("org_a", schema.KindAPIKey)
	ask := func(n, status int) {
		t.Helper()
		ids, _ := json.Marshal(map[string]any{"session_ids": slices.Repeat([]string{session}, n)})
		s.post(pathLastSeenBatch, key, string(ids), status)
	}
	ask(31, 200) // four of five
	ask(11, 429) // one is taken for the request
	ask(1, 429)
}

func TestLastSeenBatchMakesNoGarbageASession(t *testing.T) {
	ids := func(n int) string {
		text, _ := json.Marshal(map[string]any{"session_ids": slices.Repeat([]string{schema.NewID().String()}, n)})
		return string(text)
	}
	few, many := ids(1), ids(batchSessions)
	allocations := func(body string) float64 {
		b := new(batch)
		run := func() {
			if err := b.read(strings.NewReader(body)); err != nil {
				t.Fatal(err)
			}
			b.sights = slices.Grow(b.sights[:0], len(b.ends))[:len(b.ends)]
			b.appendTag(nil)
			b.appendAnswer()
		}
		run()
		return testing.AllocsPerRun(100, run)
	}
	// Some more, since the race detector makes pools forget.
	if one, thousand := allocations(few), allocations(many); thousand > one+10 {
		t.Errorf("%.0f allocations for one session, %.0f for a thousand", one, thousand)
	}
}

func FuzzLastSeenBatch(f *testing.F) {
	f.Add([]byte(`{"session_ids":["0123456789abcdef01234567","\u00fc"],"other":{"a":[1]}}`))
	f.Add([]byte(`{"session_ids":[]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		b := new(batch)
		if b.read(strings.NewReader(string(body))) != nil {
			return
		}
		var want struct {
			SessionIDs []string `json:"session_ids"`
		}
		if err := json.Unmarshal(body, &want); err != nil {
			t.Skip() // encoding/json takes names of any case, and refuses more
		}
		i := 0
		b.sights = make([]latest.Sight, len(b.ends))
		b.each(func(id []byte, _ *latest.Sight) {
			if i < len(want.SessionIDs) && string(id) != want.SessionIDs[i] && !strings.ContainsRune(want.SessionIDs[i], '\ufffd') {
				t.Fatalf("the id %q was read as %q", want.SessionIDs[i], id)
			}
			i++
		})
	})
}
