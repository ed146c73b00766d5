package traffic

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"lastseen/bench/dataset"
	"lastseen/bench/loadgen"
)

var testSpec = dataset.Spec{Seed: 3, Sessions: 40, Organisations: 2, PointsPerSession: 2, Interval: 1000, NewestAt: 1_780_000_000_000}

// testCatalogue is a small catalogue with keys.
func testCatalogue() *Catalogue {
	c := NewCatalogue(testSpec)
	for organisation := range c.Keys {
		c.Keys[organisation] = []string{fmt.Sprintf("ak_%d_a", organisation), fmt.Sprintf("ak_%d_b", organisation)}
		c.Writers[organisation] = fmt.Sprintf("dk_%d", organisation)
	}
	return c
}

// testPoller is a poller as options say.
func testPoller(c *Catalogue, host, prefix string, d Draws, options Polls) *poller {
	options.catalogue, options.templates = c, newPollTemplates(c, host, prefix)
	return options.poller(d, 0)
}

func pointAnswer(c *Catalogue, session int, timestamp int64) []byte {
	north, east := positionAt(timestamp)
	return fmt.Appendf(nil, `{"_id":"x","timestamp":%q,"received_at_timestamp":"2026-01-01T00:00:00Z","metadata":{"session_id":%q},"location":{"coordinates":[%v,%v]}}`,
		time.UnixMilli(timestamp).UTC().Format(time.RFC3339Nano), c.ID(session), float64(8e7+east)/1e7, float64(47e7+north)/1e7)
}

func TestAPollIsJudgedByWhatWasKnownWhenItWasSent(t *testing.T) {
	t.Parallel()
	newest := testSpec.NewestTimestamp(7)
	for _, test := range []struct {
		name   string
		adjust func(c *Catalogue, x *loadgen.Exchange) // after the request was prepared
		answer func(c *Catalogue) *loadgen.Answer
		wrong  string // part of the error; empty where the answer is right
	}{
		{name: "the newest point is right", answer: func(c *Catalogue) *loadgen.Answer {
			return &loadgen.Answer{Status: 200, Body: pointAnswer(c, 7, newest)}
		}},
		{name: "a newer one is right", answer: func(c *Catalogue) *loadgen.Answer {
			return &loadgen.Answer{Status: 200, Body: pointAnswer(c, 7, newest+5000)}
		}},
		{name: "the time of one with the place of another is wrong", wrong: "the place of another", answer: func(c *Catalogue) *loadgen.Answer {
			newer := time.UnixMilli(newest + 5000).UTC().Format(time.RFC3339Nano)
			older := time.UnixMilli(newest + 4000).UTC().Format(time.RFC3339Nano)
			return &loadgen.Answer{Status: 200, Body: bytes.Replace(pointAnswer(c, 7, newest+5000), []byte(newer), []byte(older), 1)}
		}},
		{name: "an older one is stale", wrong: "stale by 1 ms", answer: func(c *Catalogue) *loadgen.Answer {
			return &loadgen.Answer{Status: 200, Body: pointAnswer(c, 7, newest-1)}
		}},
		{name: "what was acknowledged after it was sent need not show",
			adjust: func(c *Catalogue, _ *loadgen.Exchange) { c.Seen(7, newest+1000) },
			answer: func(c *Catalogue) *loadgen.Answer {
				return &loadgen.Answer{Status: 200, Body: pointAnswer(c, 7, newest)}
			}},
		{name: "another session's point is wrong", wrong: "is of another", answer: func(c *Catalogue) *loadgen.Answer {
			return &loadgen.Answer{Status: 200, Body: pointAnswer(c, 9, newest)}
		}},
		{name: "null is wrong where there are points", wrong: "is of another", answer: func(*Catalogue) *loadgen.Answer {
			return &loadgen.Answer{Status: 200, Body: []byte("null")}
		}},
		{name: "null is right where there are none",
			adjust: func(_ *Catalogue, x *loadgen.Exchange) { x.Floor = 0 },
			answer: func(*Catalogue) *loadgen.Answer { return &loadgen.Answer{Status: 200, Body: []byte("null")} }},
		{name: "an error is wrong", wrong: "status 500", answer: func(*Catalogue) *loadgen.Answer { return &loadgen.Answer{Status: 500} }},
		{name: "503 is wrong unless it is allowed for", wrong: "status 503", answer: func(*Catalogue) *loadgen.Answer { return &loadgen.Answer{Status: 503} }},
		{name: "another organisation's session is not found",
			adjust: func(_ *Catalogue, x *loadgen.Exchange) { x.Expect = expectNotFound },
			answer: func(*Catalogue) *loadgen.Answer { return &loadgen.Answer{Status: 404, Body: []byte("{}")} }},
		{name: "showing another organisation's session is wrong", wrong: "another organisation",
			adjust: func(_ *Catalogue, x *loadgen.Exchange) { x.Expect = expectNotFound },
			answer: func(c *Catalogue) *loadgen.Answer {
				return &loadgen.Answer{Status: 200, Body: pointAnswer(c, 7, newest)}
			}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := testCatalogue()
			p := testPoller(c, "host", "", Draws{7}, Polls{})
			var x loadgen.Exchange
			p.Prepare(&x)
			if test.adjust != nil {
				test.adjust(c, &x)
			}
			outcome, err := p.Check(&x, test.answer(c))
			if test.wrong == "" && (err != nil || outcome != loadgen.Served) {
				t.Errorf("outcome %v, %v", outcome, err)
			}
			if test.wrong != "" && (err == nil || !strings.Contains(err.Error(), test.wrong)) {
				t.Errorf("the error is %v, want %q", err, test.wrong)
			}
		})
	}
}

func TestWhatOnePollWasShownTheNextMustNotGoBehind(t *testing.T) {
	t.Parallel()
	c := testCatalogue()
	p := testPoller(c, "host", "", Draws{7}, Polls{})
	var first, second loadgen.Exchange
	newest := testSpec.NewestTimestamp(7)
	p.Prepare(&first)
	if _, err := p.Check(&first, &loadgen.Answer{Status: 200, Body: pointAnswer(c, 7, newest+500)}); err != nil {
		t.Fatal(err)
	}
	p.Prepare(&second)
	if _, err := p.Check(&second, &loadgen.Answer{Status: 200, Body: pointAnswer(c, 7, newest+499)}); err == nil {
		t.Error("a poll that went back in time passed")
	}
}

func TestPollsUseTheKeysOfTheSessionsOrganisation(t *testing.T) {
	t.Parallel()
	c := testCatalogue()
	d, err := Zipf(testSpec.Sessions, 0.9, 1)
	if err != nil {
		t.Fatal(err)
	}
	p := testPoller(c, "host:80", "/base", d, Polls{Probes: true})
	foreign := 0
	var x loadgen.Exchange
	for range 3 * ForeignEvery {
		p.Prepare(&x)
		organisation := c.Orgs[x.Subject]
		if x.Expect == expectNotFound {
			foreign++
			organisation = 1 - organisation
		}
		start := fmt.Sprintf("GET /base%s?session_id=%s HTTP/1.1\r\nHost: host:80\r\nAuthorization: Bearer ak_%d_", PathLastSeen, c.ID(x.Subject), organisation)
		if !bytes.HasPrefix(x.Request, []byte(start)) || !bytes.HasSuffix(x.Request, []byte("\r\n\r\n")) {
			t.Fatalf("the request is %q, want it to begin with %q", x.Request, start)
		}
	}
	if foreign != 3 {
		t.Errorf("%d requests were for other organisations' sessions, want 3", foreign)
	}
}

func TestConnectionsThatAreApartKeepToOneOrganisationEach(t *testing.T) {
	t.Parallel()
	c := testCatalogue()
	d, err := Zipf(testSpec.Sessions, 0.9, 1)
	if err != nil {
		t.Fatal(err)
	}
	p := testPoller(c, "host:80", "", d, Polls{Probes: true, Apart: true})
	connections := make([]loadgen.Exchange, 4)
	for range ForeignEvery {
		for i := range connections {
			x := &connections[i]
			p.Prepare(x)
			if key := fmt.Appendf(nil, "Bearer ak_%d_", i%2); !bytes.Contains(x.Request, key) {
				t.Fatalf("connection %d sends %q, want the keys of organisation %d", i, x.Request, i%2)
			}
			if foreign := c.Orgs[x.Subject] != i%2; foreign != (x.Expect == expectNotFound) {
				t.Fatalf("connection %d asks for a session of organisation %d and expects %d", i, c.Orgs[x.Subject], x.Expect)
			}
		}
	}
}

func TestConditionalPollsWantNotModified(t *testing.T) {
	t.Parallel()
	c := testCatalogue()
	c.Etags[7] = `"tag"`
	p := testPoller(c, "host", "", Draws{7}, Polls{Conditional: true})
	var x loadgen.Exchange
	p.Prepare(&x)
	if !bytes.HasSuffix(x.Request, []byte("\r\nIf-None-Match: \"tag\"\r\n\r\n")) {
		t.Errorf("the request is %q", x.Request)
	}
	if _, err := p.Check(&x, &loadgen.Answer{Status: 304}); err != nil {
		t.Error(err)
	}
	if _, err := p.Check(&x, &loadgen.Answer{Status: 200, Body: pointAnswer(c, 7, testSpec.NewestAt)}); err == nil {
		t.Error("200 passed")
	}
}

func TestIngestBodiesHoldNewPointsOfOneOrganisation(t *testing.T) {
	t.Parallel()
	c := testCatalogue()
	g := newIngester(c, "host", "", 30, 0, 1)
	now := time.UnixMilli(testSpec.NewestAt + 60_000)
	g.now = func() time.Time { return now }
	newest := map[string]int64{}
	var x loadgen.Exchange
	for range 10 {
		g.Prepare(&x)
		head, body, _ := bytes.Cut(x.Request, []byte("\r\n\r\n"))
		length, err := strconv.Atoi(string(head[bytes.LastIndexByte(head, ' ')+1:]))
		if err != nil || length != len(body) {
			t.Fatalf("Content-Length is %d (%v) for %d bytes", length, err, len(body))
		}
		owners := map[int]bool{}
		lines := bytes.Split(bytes.TrimSuffix(body, []byte("\n")), []byte("\n"))
		if len(lines) != 30 {
			t.Fatalf("%d points, want 30", len(lines))
		}
		for i, line := range lines {
			var point struct {
				SessionID string    `json:"session_id"`
				Timestamp time.Time `json:"timestamp"`
				Latitude  float64   `json:"latitude"`
			}
			if err := json.Unmarshal(line, &point); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			session := g.batches[0].sessions[i]
			if point.SessionID != string(c.ID(session)) || point.Timestamp.UnixMilli() != g.batches[0].timestamps[i] || point.Latitude < 47 || point.Latitude > 48 {
				t.Fatalf("line %d is %s, want session %s", i, line, c.ID(session))
			}
			if newest[point.SessionID] >= point.Timestamp.UnixMilli() {
				t.Fatalf("session %s has a timestamp twice, or goes back", point.SessionID)
			}
			newest[point.SessionID] = point.Timestamp.UnixMilli()
			owners[c.Orgs[session]] = true
		}
		if len(owners) != 1 {
			t.Fatalf("a body is for the organisations %v", owners)
		}
		if _, err := g.Check(&x, &loadgen.Answer{Status: 200, Body: []byte(`{"accepted":30,"rejected":[]}`)}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range testSpec.Sessions {
		if got := c.newest[i].Load(); got != max(newest[string(c.ID(i))], testSpec.NewestTimestamp(i)) {
			t.Errorf("session %d: polls must show %d, and %d was acknowledged", i, got, newest[string(c.ID(i))])
		}
	}
	if _, err := g.Check(&x, &loadgen.Answer{Status: 200, Body: []byte(`{"accepted":29,"rejected":[{"index":3,"detail":"no"}]}`)}); err == nil {
		t.Error("a rejected point passed")
	}
}

func TestWorkersWriteForDifferentSessions(t *testing.T) {
	t.Parallel()
	c := testCatalogue()
	seen := map[int]int{}
	for worker := range 3 {
		g := newIngester(c, "host", "", 100, worker, 3)
		var x loadgen.Exchange
		for range 4 {
			g.Prepare(&x)
			for _, session := range g.batches[0].sessions {
				if other, taken := seen[session]; taken && other != worker {
					t.Fatalf("session %d is written by the workers %d and %d", session, other, worker)
				}
				seen[session] = worker
			}
		}
	}
	if len(seen) != testSpec.Sessions {
		t.Errorf("%d of %d sessions are written", len(seen), testSpec.Sessions)
	}
}

func TestPopularityFollowsZipf(t *testing.T) {
	t.Parallel()
	const sessions = 1000
	d, err := Zipf(sessions, 1, 5)
	if err != nil {
		t.Fatal(err)
	}
	counts := make([]int, sessions)
	for _, session := range d {
		counts[session]++
	}
	most := 0
	for _, n := range counts {
		most = max(most, n)
	}
	harmonic := math.Log(sessions) + 0.5772
	if want := float64(drawCount) / harmonic; math.Abs(float64(most)-want) > 0.05*want {
		t.Errorf("the most popular session is drawn %d times, want about %.0f", most, want)
	}
	again, _ := Zipf(sessions, 1, 5)
	other, _ := Zipf(sessions, 1, 6)
	if d[0] != again[0] || d[12345] != again[12345] {
		t.Error("one seed gives two sequences")
	}
	if fmt.Sprint(d[:20]) == fmt.Sprint(other[:20]) {
		t.Error("two seeds give one sequence")
	}
	if _, err := Zipf(0, 1, 1); err == nil {
		t.Error("nothing can be drawn from no sessions")
	}
}

func FuzzTimestamps(f *testing.F) {
	f.Add(int64(1_780_000_000_123), "2026-05-01T12:00:00Z")
	f.Add(int64(951_782_400_000), "2000-02-29T23:59:59.999Z")
	f.Add(int64(0), "2000-02-29T23:59:59.82Z")
	f.Add(int64(0), "2000-02-29T23:59:59.123456Z")
	f.Fuzz(func(t *testing.T, ms int64, text string) {
		ms = max(ms, -ms, 0) % 253_402_300_800_000 // to the end of the year 9999
		var s stamper
		b := make([]byte, stampLength)
		for _, at := range []int64{ms, ms + 1, ms - ms%1000} {
			s.put(b, at)
			if want := time.UnixMilli(at).UTC().Format("2006-01-02T15:04:05.000Z"); string(b) != want && at < 253_402_300_800_000 {
				t.Fatalf("%d is written as %s, want %s", at, b, want)
			}
			if got, ok := parseStamp(b); !ok || got != at && at < 253_402_300_800_000 {
				t.Fatalf("%s is read as %d, %v, want %d", b, got, ok, at)
			}
		}
		if want, err := time.Parse("2006-01-02T15:04:05Z", text); err == nil && want.Year() > 0 && strings.HasPrefix(text, want.Format("2006-01-02T15:04:05")) &&
			!strings.Contains(text, ",") && len(text) <= len("2000-02-29T23:59:59.123456789Z") { // time.Parse takes more than RFC 3339
			if got, ok := parseStamp([]byte(text)); !ok || got != want.UnixMilli() {
				t.Fatalf("%s is read as %d, %v, want %d", text, got, ok, want.UnixMilli())
			}
		}
		parseStamp([]byte(text))
	})
}

func TestDegreesAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"8.5,": 85_000_000, "47]": 470_000_000, "0.0000001,": 1, "47.1234567,": 471_234_567} {
		if got, _, ok := degrees([]byte(text)); !ok || got != want {
			t.Errorf("%s is read as %d, %v, want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "47.1", "x", "-8.5,"} {
		if got, _, ok := degrees([]byte(text)); ok && text != "-8.5," || got != 0 && ok {
			t.Errorf("%q is read as %d", text, got)
		}
	}
	line := new(Pen).Append(nil, bytes.Repeat([]byte("a"), IDDigits), 1_780_000_000_123)
	var sent, point struct{ Latitude, Longitude float64 }
	text, err := json.Marshal(Point(nil, 1_780_000_000_123))
	if err != nil || json.Unmarshal(line, &sent) != nil || json.Unmarshal(text, &point) != nil || sent != point || len(line) != PointLength {
		t.Errorf("a pen writes %s, and a point is %s (%v)", line, text, err)
	}
}

func BenchmarkCheckPoint(b *testing.B) {
	c := testCatalogue()
	at := testSpec.NewestTimestamp(7) + 5000
	x, a := loadgen.Exchange{Subject: 7, Floor: at}, loadgen.Answer{Status: 200, Body: pointAnswer(c, 7, at)}
	for b.Loop() {
		if err := c.CheckPoint(&x, &a); err != nil {
			b.Fatal(err)
		}
	}
}
