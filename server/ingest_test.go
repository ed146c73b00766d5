package server

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"lastseen/keys"
	"lastseen/schema"
)

// point returns a point of a session as one line of JSON, some seconds into 15 January 2026.
func point(session string, seconds int) string {
	at := time.Date(2026, 1, 15, 0, 0, seconds, 0, time.UTC)
	return fmt.Sprintf(`{"session_id":%q,"timestamp":%q,"latitude":40.5,"longitude":-73.5}`+"\n", session, at.Format(time.RFC3339))
}

func points(session string, from, to int) string {
	var lines strings.Builder
	for i := from; i < to; i++ {
		lines.WriteString(point(session, i))
	}
	return lines.String()
}

func gzipped(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, text)
	w.Close()
	return b.Bytes()
}

func zstandard(text string) []byte {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	defer w.Close()
	return w.EncodeAll([]byte(text), nil)
}

func TestIngest(t *testing.T) {
	t.Parallel()
	s := start(t)
	session := s.session("org_a", "00:00:00:00:00:01")
	driver := s.token("org_a", keys.RoleDriver)
	credential, _ := s.key("org_a", schema.KindDeviceCredential)
	array := func(from, to int) string {
		return "[" + strings.TrimSuffix(strings.ReplaceAll(points(session, from, to), "\n", ","), ",") + "]"
	}
	for i, test := range []struct {
		name                  string
		body                  io.Reader
		contentType, encoding string
		accepted              int
	}{
		{"an array", strings.NewReader(array(0, 3)), "application/json", "", 3},
		{"an object", strings.NewReader(`{"points":` + array(3, 5) + `}`), "application/json; charset=utf-8", "", 2},
		{"lines", strings.NewReader(points(session, 5, 9)), "application/x-ndjson", "identity", 4},
		{"lines in gzip", bytes.NewReader(gzipped(points(session, 9, 10))), "application/x-ndjson", "gzip", 1},
		{"lines in zstd", bytes.NewReader(zstandard(points(session, 10, 12))), "application/x-ndjson", "ZSTD", 2},
		{"chunks", io.MultiReader(strings.NewReader(points(session, 12, 14))), "application/x-ndjson", "", 2},
		{"the same again", strings.NewReader(points(session, 0, 14)), "application/x-ndjson", "", 14},
	} {
		caller := []string{driver, credential}[i%2]
		r := s.do("POST", pathIngest, caller, test.body, header{"Content-Type", test.contentType}, header{"Content-Encoding", test.encoding})
		if want := fmt.Sprintf(`{"accepted":%d,"rejected":[],"replaced":0,"dropped_values":0}`, test.accepted); r.StatusCode != 200 || string(r.body) != want {
			t.Errorf("%s: %s %s, want %s", test.name, r.Status, r.body, want)
		}
	}
	key, _ := s.key("org_a", schema.KindAPIKey)
	r := s.get(pathDataPoints+"?session_id="+session+"&start_timestamp=2026-01-15T00:00:00Z&end_timestamp=2026-01-16T00:00:00Z", key, 200)
	var history struct {
		DataPoints []json.RawMessage `json:"data_points"`
	}
	if err := json.Unmarshal(r.body, &history); err != nil || len(history.DataPoints) != 14 {
		t.Errorf("%d points are stored, want 14 (%v)", len(history.DataPoints), err)
	}
	if r := s.get(pathLastSeen+"?session_id="+session, key, 200); !bytes.Contains(r.body, []byte(`"timestamp":"2026-01-15T00:00:13Z"`)) {
		t.Errorf("last seen %s", r.body)
	}
}

func TestIngestSaysWhatItReplacedAndLeftOut(t *testing.T) {
	t.Parallel()
	s := start(t)
	session := s.session("org_a", "00:00:00:00:00:04")
	driver := s.token("org_a", keys.RoleDriver)
	at := func(second int, latitude float64, more string) string {
		return fmt.Sprintf(`{"session_id":%q,"timestamp":"2026-01-15T00:00:%02dZ","latitude":%g,"longitude":8%s}`+"\n", session, second, latitude, more)
	}
	for _, test := range []struct{ name, body, want string }{
		{"three places at one time", at(0, 50, "") + at(0, 50.1, "") + at(0, 50.2, ""), `{"accepted":3,"rejected":[],"replaced":2,"dropped_values":0}`},
		{"what is stored", at(0, 50.2, ""), `{"accepted":1,"rejected":[],"replaced":0,"dropped_values":0}`},
		{"another place than is stored", at(0, 50, "") + at(1, 50, ""), `{"accepted":2,"rejected":[],"replaced":1,"dropped_values":0}`},
		{"the same twice", at(2, 50, "") + at(2, 50, ""), `{"accepted":2,"rejected":[],"replaced":0,"dropped_values":0}`},
		{"values that are not known or cannot be", at(3, 50, `,"speed":-1,"heading":null,"battery":87,"accuracy":"?","altitude":5`), `{"accepted":1,"rejected":[],"replaced":0,"dropped_values":4}`},
	} {
		r := s.do("POST", pathIngest, driver, strings.NewReader(test.body), header{"Content-Type", "application/x-ndjson"})
		if string(r.body) != test.want {
			t.Errorf("%s: %s %s, want %s", test.name, r.Status, r.body, test.want)
		}
	}
	if got := s.stored("org_a", session); len(got) != 4 || got[3] != "2026-01-15T00:00:03Z [8 50 5] {}" {
		t.Errorf("stored %q", got)
	}
	twice := `{"points":[` + strings.TrimSpace(at(4, 50, "")) + `],"points":[]}`
	if r := s.do("POST", pathIngest, driver, strings.NewReader(twice), header{"Content-Type", "application/json"}); r.StatusCode != 422 {
		t.Errorf("points twice: %s %s, want 422", r.Status, r.body)
	}
}

func TestBadIngestBodiesChangeNothing(t *testing.T) {
	t.Parallel()
	s := start(t)
	session, foreign := s.session("org_a", "00:00:00:00:00:02"), s.session("org_b", "00:00:00:00:00:03")
	driver := s.token("org_a", keys.RoleDriver)
	bomb := gzipped(strings.Repeat("\n", 33<<20))
	truncated := gzipped(points(session, 0, 100))
	for _, test := range []struct {
		name                  string
		body                  []byte
		contentType, encoding string
		status                int
	}{
		{"nothing", nil, "application/json", "", 422},
		{"no JSON", []byte("lat,lon\n1,2"), "application/json", "", 422},
		{"truncated JSON", []byte(`[` + point(session, 1)), "application/json", "", 422},
		{"a string", []byte(`"points"`), "application/json", "", 422},
		{"an unknown content type", []byte(point(session, 1)), "text/csv", "", 415},
		{"no content type", []byte(point(session, 1)), "", "", 415},
		{"an unknown encoding", []byte(point(session, 1)), "application/x-ndjson", "br", 415},
		{"two encodings", []byte(point(session, 1)), "application/x-ndjson", "gzip, gzip", 415},
		{"no gzip", []byte(point(session, 1)), "application/x-ndjson", "gzip", 422},
		{"truncated gzip", truncated[:len(truncated)-10], "application/x-ndjson", "gzip", 422},
		{"no zstd", []byte(point(session, 1)), "application/x-ndjson", "zstd", 422},
		{"a gzip bomb", bomb, "application/x-ndjson", "gzip", 413},
		{"too many points", []byte(strings.Repeat("{}\n", 100_001)), "application/x-ndjson", "", 413},
		{"too many bytes", []byte(`[` + strings.Repeat(" ", 33<<20) + `]`), "application/json", "", 413},
	} {
		r := s.do("POST", pathIngest, driver, bytes.NewReader(test.body), header{"Content-Type", test.contentType}, header{"Content-Encoding", test.encoding})
		if r.StatusCode != test.status {
			t.Errorf("%s: %s, want %d: %s", test.name, r.Status, test.status, r.body)
			continue
		}
		r.problem(t)
	}
	t.Run("bad points get an answer each", func(t *testing.T) {
		lines := point(foreign, 1) + strings.Replace(point(session, 2), "40.5", "95", 1) + strings.Replace(point(session, 3), "40.5", "NaN", 1) + point("x", 4)
		r := s.do("POST", pathIngest, driver, strings.NewReader(lines), header{"Content-Type", "application/x-ndjson"})
		if r.StatusCode != 200 && r.StatusCode != 422 {
			t.Errorf("%s %s", r.Status, r.body)
		}
		if bytes.Contains(r.body, []byte("org_b")) {
			t.Errorf("the answer tells of another organisation: %s", r.body)
		}
	})
	for org, id := range map[string]string{"org_a": session, "org_b": foreign} {
		if r := s.get(pathLastSeen+"?session_id="+id, s.token(org, keys.RoleOperator), 200); string(r.body) != "null" {
			t.Errorf("something was written: %s", r.body)
		}
	}
	if used := s.Server.services.Writer.Budget().InUse(); used != 0 {
		t.Errorf("%d bytes of the budget were not given back", used)
	}
}

// TestALargeBodyIsRefusedBeforeItIsRead sends 100 MB in the ways in which clients do that.
func TestALargeBodyIsRefusedBeforeItIsRead(t *testing.T) {
	t.Parallel()
	s := start(t)
	driver := s.token("org_a", keys.RoleDriver)
	const size = 100 << 20
	lines := func() io.Reader { return io.LimitReader(blankLines{}, size) }
	for _, test := range []struct {
		name, credential string
		length           int64
		status           int
	}{
		{"with its length", driver, size, 413},
		{"in chunks", driver, -1, 413},
		{"without a credential", "", size, 401},
		{"in chunks without a credential", "", -1, 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			request, _ := http.NewRequest("POST", "http://"+s.address+pathIngest, lines())
			request.ContentLength = test.length
			request.Header.Set("Content-Type", "application/x-ndjson")
			if test.credential != "" {
				request.Header.Set("Authorization", "Bearer "+test.credential)
			}
			response, err := s.client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, _ := io.ReadAll(response.Body)
			reply{response, body}.problem(t)
			if response.StatusCode != test.status {
				t.Errorf("%s, want %d", response.Status, test.status)
			}
			s.get("/healthz", "", 200)
		})
	}
	t.Run("by a client that reads the answer only when it has sent everything", func(t *testing.T) {
		const size = 40 << 20 // which can be sent in the time that the server lingers
		c := dial(t, s.address)
		w := bufio.NewWriter(c)
		fmt.Fprintf(w, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n", pathIngest, driver, size)
		if _, err := io.Copy(w, io.LimitReader(blankLines{}, size)); err != nil {
			t.Fatalf("the connection broke before everything was sent: %v", err)
		}
		w.Flush()
		if r := answer(t, c); r.StatusCode != 413 {
			t.Errorf("%s, want 413", r.Status)
		}
	})
}

// TestExpect is about clients that ask before they send a large body. It also watches over fasthttp:
// see Server.expect.
func TestExpect(t *testing.T) {
	t.Parallel()
	s := start(t)
	session := s.session("org_a", "00:00:00:00:00:04")
	driver := s.token("org_a", keys.RoleDriver)
	head := func(credential string, length int, contentType string) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n",
			pathIngest, credential, contentType, length)
	}
	for _, test := range []struct {
		name, head string
		status     int
	}{
		{"too long", head(driver, 100<<20, "application/x-ndjson"), 413},
		{"a wrong credential", head("x", 10, "application/x-ndjson"), 401},
		{"a wrong type", head(driver, 10, "text/csv"), 415},
		{"no such path", strings.Replace(head(driver, 10, "application/json"), pathIngest, "/nowhere", 1), 404},
	} {
		c := dial(t, s.address)
		io.WriteString(c, test.head)
		r := answer(t, c) // although not a byte of the body was sent
		if r.StatusCode != test.status || !r.Close {
			t.Errorf("%s: %s, closes %v, want %d", test.name, r.Status, r.Close, test.status)
		}
		r.problem(t)
	}
	body := points(session, 0, 2)
	c := dial(t, s.address)
	io.WriteString(c, head(driver, len(body), "application/x-ndjson"))
	r := bufio.NewReader(c)
	if line, _ := r.ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 100") {
		t.Fatalf("got %q, want 100 Continue", line)
	}
	r.ReadString('\n')
	io.WriteString(c, body)
	response, err := http.ReadResponse(r, nil)
	if err != nil || response.StatusCode != 200 {
		t.Fatalf("%v %v", response, err)
	}
	response.Body.Close()
	if n := strings.Count(s.log.String(), `"path":"`+pathIngest+`","status":200`); n != 1 {
		t.Errorf("the request was logged %d times", n)
	}
}

// TestAWriterThatTakesNothingIsHeardBeforeTheBody does not send a body to its end and gets its answer
// all the same. Of a body with a length, fasthttp waits for the beginning.
func TestAWriterThatTakesNothingIsHeardBeforeTheBody(t *testing.T) {
	t.Parallel()
	s := start(t)
	driver := s.token("org_a", keys.RoleDriver)
	s.Server.services.Writer.Close() // like a full queue, it takes nothing
	for name, rest := range map[string]string{
		"long":                           "Content-Length: 30000000\r\n\r\n" + strings.Repeat("\n", 64<<10),
		"in chunks":                      "Transfer-Encoding: chunked\r\n\r\n",
		"that asks before sending":       "Content-Length: 10\r\nExpect: 100-continue\r\n\r\n",
		"long, that asks before sending": "Content-Length: 30000000\r\nExpect: 100-continue\r\n\r\n",
	} {
		c := dial(t, s.address)
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/x-ndjson\r\n%s", pathIngest, driver, rest)
		r := answer(t, c)
		if r.StatusCode != 503 || r.Header.Get("Retry-After") != "1" {
			t.Errorf("%s: %s, Retry-After %q, want 503 and 1", name, r.Status, r.Header.Get("Retry-After"))
		}
		r.problem(t)
	}
	if used := s.Server.services.Writer.Budget().InUse(); used != 0 {
		t.Errorf("%d bytes of the budget were not given back", used)
	}
}

// TestABodyThatStopsHalfWay sends the beginning of a body of valid lines and then goes away, or stays silent.
func TestABodyThatStopsHalfWay(t *testing.T) {
	t.Parallel()
	s := start(t)
	session := s.session("org_a", "00:00:00:00:00:05")
	lines := points(session, 0, 1000)
	impatient := start(t, func(with *setup) { with.config.BodyTimeout = 300 * time.Millisecond })
	requests := map[string]string{
		"with a length": fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(lines)+1, lines),
		"in chunks":     fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(lines), lines),
	}
	for name, rest := range requests {
		for _, leaves := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, leaves %v", name, leaves), func(t *testing.T) {
				to, want := impatient, 408
				if leaves {
					to, want = s, 400
				}
				c := dial(t, to.address)
				fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/x-ndjson\r\n%s",
					pathIngest, to.token("org_a", keys.RoleDriver), rest)
				if leaves {
					c.(*net.TCPConn).CloseWrite()
				}
				r := answer(t, c)
				if r.StatusCode != want {
					t.Errorf("%s, want %d: %s", r.Status, want, r.body)
				}
				r.problem(t)
			})
		}
	}
	if r := s.get(pathLastSeen+"?session_id="+session, s.token("org_a", keys.RoleOperator), 200); string(r.body) != "null" {
		t.Errorf("something was written: %s", r.body)
	}
}

// blankLines is NDJSON without a point and without an end.
type blankLines struct{}

var manyLines = bytes.Repeat([]byte{'\n'}, 64<<10)

func (blankLines) Read(p []byte) (int, error) { return copy(p, manyLines), nil }

// TestShutdownUnderIngest stops a server that is being written to, and then finds every point in the
// database that was acknowledged.
func TestShutdownUnderIngest(t *testing.T) {
	t.Parallel()
	s := start(t)
	driver := s.token("org_a", keys.RoleDriver)
	const writers = 8
	sessions := make([]string, writers)
	acknowledged := make([]int, writers)
	for i := range sessions {
		sessions[i] = s.session("org_a", fmt.Sprintf("00:00:00:00:01:%02x", i))
	}
	var group sync.WaitGroup
	var total atomic.Int64
	stop := make(chan struct{})
	for i := range sessions {
		group.Go(func() {
			for n := 0; ; n++ {
				r, err := s.try("POST", pathIngest, driver, strings.NewReader(point(sessions[i], n)), header{"Content-Type", "application/x-ndjson"})
				if err != nil || r.StatusCode != 200 {
					return // the server is gone, or going
				}
				acknowledged[i] = n + 1
				if total.Add(1) == 10*writers {
					close(stop)
				}
			}
		})
	}
	<-stop
	if err := s.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	group.Wait()
	for i, session := range sessions {
		id, _ := schema.ParseID(session)
		day := time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC).UnixMilli()
		identities := make([]schema.PointKey, acknowledged[i])
		for n := range identities {
			identities[n] = schema.PointKey{SessionID: id, Timestamp: day + int64(n)*1000}
		}
		found, err := s.db.FindDataPoints(context.Background(), identities)
		if err != nil || len(found) != acknowledged[i] {
			t.Errorf("%d of %d acknowledged points are there (%v)", len(found), acknowledged[i], err)
		}
	}
	if acknowledged[0] == 0 {
		t.Error("nothing was acknowledged")
	}
}
