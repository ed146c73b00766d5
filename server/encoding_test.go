package server

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"lastseen/query/history/format"
	"lastseen/schema"
	"lastseen/server/stream"
)

// decoded reads an answer in its content coding to where it breaks off or ends.
func decoded(tb testing.TB, encoding string, body []byte) ([]byte, error) {
	tb.Helper()
	var reader io.Reader
	var err error
	switch encoding {
	case "gzip":
		reader, err = gzip.NewReader(bytes.NewReader(body)) // of the standard library, not the one that wrote it
	case "zstd":
		reader, err = zstd.NewReader(bytes.NewReader(body))
	case "":
		return body, nil
	default:
		tb.Fatalf("the content coding is %q", encoding)
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(reader)
}

func TestEveryFormatIsServed(t *testing.T) {
	t.Parallel()
	s := start(t)
	session := s.session("org_a", "00:00:00:00:07:01")
	s.ingest("org_a", point(session, 0)+point(session, 30))
	key, _ := s.key("org_a", schema.KindAPIKey)
	target := pathDataPoints + "?session_id=" + session + "&start_timestamp=2026-01-15T00:00:00Z&end_timestamp=2026-01-15T00:02:00Z"
	begins := map[format.Format]string{
		format.JSON: `{"data_points":[{"_id":"` + session, format.NDJSON: `{"_id":"` + session, format.CSV: "_id,session_id,timestamp",
		format.GeoJSON: `{"type":"FeatureCollection"`, format.GPX: `<?xml version="1.0"`, format.Parquet: "PAR1", format.Arrow: "\xff\xff\xff\xff",
	}
	for _, kind := range format.All() {
		byName := s.get(target+"&format="+kind.String(), key, 200, header{"Accept", "text/html"})
		byType := s.get(target, key, 200, header{"Accept", kind.ContentType()})
		head := s.do("HEAD", target+"&format="+kind.String(), key, nil)
		for _, r := range []reply{byName, byType, head} {
			if r.StatusCode != 200 || r.Header.Get("Content-Type") != kind.ContentType() || r.Header.Get("Vary") != "Accept, Accept-Encoding, Authorization" {
				t.Errorf("%s: %s, headers %v", kind, r.Status, r.Header)
			}
		}
		if !bytes.HasPrefix(byName.body, []byte(begins[kind])) || !bytes.Equal(byName.body, byType.body) {
			t.Errorf("%s: %.100q and %.100q", kind, byName.body, byType.body)
		}
		if len(head.body) != 0 || head.Header.Get("Content-Length") != byName.Header.Get("Content-Length") {
			t.Errorf("%s: HEAD has %d bytes and says %q, GET %q", kind, len(head.body), head.Header.Get("Content-Length"), byName.Header.Get("Content-Length"))
		}
	}
	for _, kind := range []string{"", "JSON", "xml", "csv%00", "%ff"} {
		p := s.get(target+"&format="+kind, key, 422).problem(t)
		if p.Errors[0].Loc[1] != "format" {
			t.Errorf("format=%s: %v", kind, p)
		}
	}
}

func TestStaysGoByTheRuleInTheQuery(t *testing.T) {
	t.Parallel()
	s := start(t)
	session := s.session("org_a", "00:00:00:00:07:02")
	s.ingest("org_a", point(session, 0)+point(session, 30)+point(session, 61)+
		`{"session_id":"`+session+`","timestamp":"2026-01-15T00:01:30Z","latitude":40.501,"longitude":-73.5}`) // 111 m away
	key, _ := s.key("org_a", schema.KindAPIKey)
	target := pathDataPoints + "?session_id=" + session + "&start_timestamp=2026-01-15T00:00:00Z&end_timestamp=2026-01-15T00:02:00Z"
	for rule, stays := range map[string]int{
		"":                               0,
		"&stationary_minimum_seconds=60": 1,
		"&stationary_minimum_seconds=60&stationary_gap_seconds=30":         0,
		"&stationary_minimum_seconds=30&stationary_gap_seconds=30":         1,
		"&stationary_minimum_seconds=90":                                   0,
		"&stationary_minimum_seconds=90&stationary_distance_meters=111.5":  1,
		"&stationary_minimum_seconds=90&stationary_distance_meters=1.11e2": 0,
	} {
		r := s.get(target+rule, key, 200)
		if got := bytes.Count(r.body, []byte(`"radius_miles"`)); got != stays {
			t.Errorf("%s: %d stays, want %d: %s", rule, got, stays, r.body)
		}
	}
	for _, wrong := range []string{
		"stationary_distance_meters=0", "stationary_distance_meters=-1", "stationary_distance_meters=1000001", "stationary_distance_meters=NaN",
		"stationary_distance_meters=inf", "stationary_distance_meters=0x10", "stationary_distance_meters=", "stationary_distance_meters=1e999",
		"stationary_minimum_seconds=0", "stationary_minimum_seconds=1.5", "stationary_minimum_seconds=31622401", "stationary_gap_seconds=0", "stationary_gap_seconds=x",
	} {
		p := s.get(target+"&"+wrong, key, 422).problem(t)
		if name, _, _ := strings.Cut(wrong, "="); p.Errors[0].Loc[1] != name {
			t.Errorf("%s: %v", wrong, p)
		}
	}
}

func TestAnswersAreEncodedAsTheClientLikes(t *testing.T) {
	t.Parallel()
	s := start(t)
	long := s.long(5_000)
	short := strings.Replace(long, "2026-01-16T00:00:00Z", "2026-01-15T00:00:00.005Z", 1)
	nothing := strings.Replace(long, "2026-01-16T00:00:00Z", "2026-01-15T00:00:00.0001Z", 1)
	nothing = strings.Replace(nothing, "start_timestamp=2026", "start_timestamp=2025", 1)
	key, _ := s.key("org_a", schema.KindAPIKey)
	for _, target := range []string{long, short, long + "&format=csv", long + "&format=ndjson"} {
		want := s.get(target, key, 200)
		if want.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s is encoded although nobody asked", target)
		}
		for _, encoding := range []string{"gzip", "zstd"} {
			for range 2 { // the second time with an encoder that has been used
				r := s.get(target, key, 200, header{"Accept-Encoding", encoding})
				got, err := decoded(t, r.Header.Get("Content-Encoding"), r.body)
				if err != nil || !bytes.Equal(got, want.body) || r.Header.Get("Content-Encoding") != encoding || len(r.body) >= len(want.body) {
					t.Errorf("%s in %q: %d bytes of %d, %v", target, r.Header.Get("Content-Encoding"), len(r.body), len(want.body), err)
				}
				if head := s.do("HEAD", target, key, nil, header{"Accept-Encoding", encoding}); head.Header.Get("Content-Encoding") != encoding ||
					head.Header.Get("Content-Length") != r.Header.Get("Content-Length") {
					t.Errorf("HEAD of %s in %s: %v", target, encoding, head.Header)
				}
			}
		}
	}
	for _, target := range []string{long + "&format=parquet", long + "&format=arrow&compression=zstd", nothing + "&format=csv"} {
		if r := s.get(target, key, 200, header{"Accept-Encoding", "gzip, zstd"}); r.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s is encoded, though that makes it no smaller", target)
		}
	}
	if r := s.get(long+"&format=xml", key, 422, header{"Accept-Encoding", "gzip"}); r.Header.Get("Content-Encoding") != "" || r.problem(t).Detail == "" {
		t.Errorf("a refusal is encoded: %v", r.Header)
	}
}

// noise is text that encoding hardly makes smaller.
func noise(bytes int) string {
	random := rand.New(rand.NewPCG(7, 7))
	text := make([]byte, bytes)
	for i := range text {
		text[i] = byte(random.UintN(256))
	}
	return string(text)
}

func TestAFailureLeavesAnEncodedAnswerWithoutItsEnd(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is on fire")
	for c, name := range map[stream.Coding]string{stream.Gzip: "gzip", stream.Zstd: "zstd"} {
		t.Run(name+" after the first byte", func(t *testing.T) {
			plain := []string{noise(200_000), noise(100_000), noise(100_000)}
			s := start(t, func(with *setup) {
				with.handle = func(call *call) error { return call.stream(newScript(broken, plain...), c) }
			})
			answer := raw(t, s.address, anyRequest)
			head, chunks, _ := strings.Cut(answer, "\r\n\r\n")
			if !strings.HasPrefix(head, "HTTP/1.1 200") || !strings.Contains(head, "Content-Encoding: "+name) || len(chunks) < 100_000 {
				t.Fatalf("got %q and %d bytes", head, len(chunks))
			}
			if strings.HasSuffix(answer, "0\r\n\r\n") {
				t.Error("the answer ends as if it were whole")
			}
			r, err := s.client.Get("http://" + s.address + "/")
			if err != nil {
				t.Fatal(err)
			}
			defer r.Body.Close()
			body, err := io.ReadAll(r.Body)
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("a client sees %v, want an unexpected end", err)
			}
			if got, err := decoded(t, name, body); err == nil {
				t.Errorf("what arrived, %d bytes, decodes as if it were whole", len(got))
			}
		})
		t.Run(name+" before the first byte", func(t *testing.T) {
			s := start(t, func(with *setup) {
				with.handle = func(call *call) error {
					return call.stream(newScript(broken, "one piece", "another", "a third"), c)
				}
			})
			if r := s.get("/", "", 500); r.Header.Get("Content-Encoding") != "" || r.problem(t).Detail == "" {
				t.Errorf("headers %v", r.Header)
			}
		})
		t.Run(name+" when the source panics", func(t *testing.T) {
			from := newScript(nil, noise(200_000), noise(200_000), "last")
			from.hold = func() { panic("the secret sauce") }
			s := start(t, func(with *setup) {
				with.handle = func(call *call) error { return call.stream(from, c) }
			})
			if answer := raw(t, s.address, anyRequest); !strings.HasPrefix(answer, "HTTP/1.1 200") || strings.HasSuffix(answer, "0\r\n\r\n") {
				t.Errorf("got %.100q", answer)
			}
			<-from.closed
		})
	}
}

func TestAClientThatLeavesAnEncodedAnswerFreesTheSource(t *testing.T) {
	t.Parallel()
	for _, c := range []stream.Coding{stream.Gzip, stream.Zstd} {
		from := newScript(nil, noise(1<<20), noise(1<<20), noise(1<<20), noise(1<<20), noise(1<<20), noise(1<<20), noise(1<<20), noise(1<<20))
		s := start(t, func(with *setup) {
			with.handle = func(call *call) error { return call.stream(from, c) }
		})
		client := dial(t, s.address)
		fmt.Fprint(client, anyRequest)
		if _, err := io.ReadFull(client, make([]byte, 100<<10)); err != nil {
			t.Fatal(err)
		}
		client.Close()
		<-from.closed
	}
}
