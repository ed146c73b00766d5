package main

import (
	"bufio"
	gocmp "cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lastseen/keys"
	"lastseen/schema/schematest"
)

const historyPath = "/tracking/timeseries/session_by_device/data_points/v1"

// TestAConsumerOfTheFeedThatIsKilledEndsWithWhatIsStored lets writers write late, out of order, again
// and with other values, over the end of a month, and mark outliers, while one consumer polls the feed of a session and
// another one that of all. The consumers are killed within pages and go on from their saved cursors; the service is
// killed, and later stopped, under all of it.
func TestAConsumerOfTheFeedThatIsKilledEndsWithWhatIsStored(t *testing.T) {
	t.Parallel()
	if schematest.Layout() != schematest.Embedded && os.Getenv("LASTSEEN_TEST_FEED") == "" {
		t.Skip("on a server the feed shows what is new a minute after a start; make test-feed waits for it")
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	f := &feedTrial{dir: t.TempDir(), acknowledged: make(chan struct{}, 10_000)}
	f.start(t)
	f.sessions = []string{f.newSession(t, f.token, "feed"), f.newSession(t, f.token, "feed-too")}
	for i := range 3 {
		f.writers = append(f.writers, &feedWriter{number: i, session: f.sessions[i/2], rng: rand.New(rand.NewPCG(seed, uint64(i))), want: map[string]float64{}})
	}
	for i, path := range []string{historyPath, allFeedPath} {
		f.consumers = append(f.consumers, &feedConsumer{
			path: path, rng: rand.New(rand.NewPCG(seed, 9+uint64(i))), file: filepath.Join(t.TempDir(), "cursor"),
			points: map[string]string{}, killed: make(chan struct{}, 10_000),
		})
	}
	f.run(t, f.kill)
	f.start(t)
	f.run(t, f.terminate)
	f.start(t)
	f.run(t, nil)
	for i, c := range f.consumers {
		c.finish(t, f)
		marked := f.check(t, c, f.sessions[:i+1])
		t.Logf("%s: %d points, %d of them outliers, in %d places of the feed, %d pages, killed %d times", c.path, len(c.points), marked, c.places, c.pages, c.kills)
		if c.places <= len(c.points) || marked == 0 {
			t.Error("no point was replaced after the consumer had it, or none is marked")
		}
	}
}

const allFeedPath = "/tracking/timeseries/session_by_device/data_points_feed/v1"

// finish pulls what is left.
func (c *feedConsumer) finish(t *testing.T, f *feedTrial) {
	t.Helper()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for more := 1; (more > 0 || time.Since(f.started) < feedWithheld()) && !t.Failed(); <-poll.C {
		var err error
		if more, err = c.page(t.Context(), f, false); err != nil {
			t.Fatal(err)
		}
	}
}

// feedWithheld is how long after a start the feed may show nothing new.
func feedWithheld() time.Duration {
	if schematest.Layout() == schematest.Embedded {
		return 0
	}
	return time.Minute + 5*time.Second
}

// feedTrial is a service, those who write sessions and those who follow them.
type feedTrial struct {
	*service
	dir, token, key string
	sessions        []string // the second one is followed only where all are
	writers         []*feedWriter
	consumers       []*feedConsumer
	acknowledged    chan struct{}
	started         time.Time // the service, the last time
	stopping        atomic.Bool
}

func (f *feedTrial) start(t *testing.T) {
	t.Helper()
	s, err := startService(f.dir, "--ingest-interval", "5ms", "--outliers=off")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.process.ProcessState == nil {
			s.kill()
		}
	})
	f.service, f.started = s, time.Now()
	f.stopping.Store(false)
	if f.token = s.token(t, "org_feed", keys.RoleOwner); f.key == "" {
		f.key, _ = s.newKey(t, f.token, "consumer")
	}
}

// run lets all work until there were some acknowledgements and each consumer was killed twice, and
// then stops the service; without stop it waits until the writers have written some more.
func (f *feedTrial) run(t *testing.T, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout+feedWithheld())
	defer cancel()
	var writing, consuming sync.WaitGroup
	for _, w := range f.writers {
		writing.Go(func() {
			for n := 0; (stop != nil || n < 15) && w.send(ctx, t, f) && w.mark(ctx, t, f); n++ {
				f.acknowledged <- struct{}{}
			}
		})
	}
	written := make(chan struct{})
	for _, c := range f.consumers {
		consuming.Go(func() {
			for c.live(ctx, t, f) {
				select {
				case <-written:
					return
				default:
				}
			}
		})
	}
	for range 30 {
		f.await(ctx, t, f.acknowledged)
	}
	kills := 2
	if stop == nil && feedWithheld() > 0 {
		kills = 0 // the few points that are written show all at once, when the writers are done
	}
	for range kills {
		for _, c := range f.consumers {
			f.await(ctx, t, c.killed)
		}
	}
	if stop != nil {
		f.stopping.Store(true)
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
	writing.Wait()
	close(written)
	consuming.Wait()
}

// await receives, unless the trial has failed by then.
func (f *feedTrial) await(ctx context.Context, t *testing.T, signals <-chan struct{}) {
	select {
	case <-signals:
	case <-ctx.Done():
		t.Errorf("the writers or the consumer do not get on: %v", context.Cause(ctx))
	}
}

// query are the parameters of the whole history of a session.
func (f *feedTrial) query(session string) url.Values {
	return url.Values{"session_id": {session}, "format": {"ndjson"},
		"start_timestamp": {"2026-01-01T00:00:00Z"}, "end_timestamp": {"2026-03-01T00:00:00Z"}}
}

// check compares what a consumer has with what the histories of its sessions say, and that with what was sent. It returns
// how many points are marked.
func (f *feedTrial) check(t *testing.T, c *feedConsumer, sessions []string) (marked int) {
	t.Helper()
	stored, latitudes, want := map[string]string{}, map[string]float64{}, map[string]float64{}
	for _, w := range f.writers {
		if slices.Contains(sessions, w.session) {
			maps.Copy(want, w.want)
		}
	}
	for _, session := range sessions {
		status, body, err := f.do(t.Context(), http.MethodGet, historyPath, f.query(session), f.key, "")
		if err != nil || status != http.StatusOK {
			t.Fatalf("%d %s %v", status, body, err)
		}
		for line := range strings.Lines(string(body)) {
			var p dataPoint
			if err := json.Unmarshal([]byte(line), &p); err != nil {
				t.Fatal(err)
			}
			stored[p.ID] = unmarked(line)
			if p.Metadata.Outlier {
				marked++
			}
			latitudes[p.Timestamp.UTC().Format(time.RFC3339)] = p.Location.Geometry.Coordinates[1]
		}
	}
	if diff := cmp.Diff(want, latitudes); diff != "" {
		t.Errorf("the history is not what was acknowledged (- acknowledged, + history):\n%s", diff)
	}
	if diff := cmp.Diff(stored, c.points); diff != "" {
		t.Errorf("the consumer of %s does not have what is stored (- stored, + consumer):\n%s", c.path, diff)
	}
	return marked
}

// feedWriter writes points of its own of a session, many more than once.
type feedWriter struct {
	number  int
	session string
	rng     *rand.Rand
	next    int                // how many timestamps there are
	unknown []feedSent         // of the request that got no answer
	want    map[string]float64 // the latitude of each timestamp that was acknowledged
}

type feedSent struct {
	at       string
	latitude float64
}

// batch returns points of which some are new, some late and some from before, with the same value or
// another. The timestamps lie on both sides of the end of January.
func (w *feedWriter) batch() (points []feedSent) {
	midnight := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	for range 1 + w.rng.IntN(20) {
		n := w.rng.IntN(w.next + 1)
		if w.rng.IntN(3) == 0 {
			w.next++
			n = w.next
		}
		at := midnight.Add(time.Duration(1-2*(n%2)) * time.Duration(3*n+w.number) * time.Second)
		points = append(points, feedSent{at.Format(time.RFC3339), float64(w.rng.IntN(3))})
	}
	return points
}

// send sends the batch whose fate is unknown again, or a new one, and reports whether it was acknowledged.
func (w *feedWriter) send(ctx context.Context, t *testing.T, f *feedTrial) bool {
	if w.unknown == nil {
		w.unknown = w.batch()
	}
	lines := make([]string, len(w.unknown))
	for i, p := range w.unknown {
		lines[i] = fmt.Sprintf(`{"session_id":%q,"timestamp":%q,"latitude":%v,"longitude":%d}`, w.session, p.at, p.latitude, w.number)
	}
	status, answer, err := f.do(ctx, http.MethodPost, "/tracking/timeseries/session_by_device/ingest/v1", nil, f.token, "["+strings.Join(lines, ",")+"]")
	var result struct{ Accepted int }
	if err == nil && status == http.StatusOK && json.Unmarshal(answer, &result) == nil && result.Accepted == len(lines) {
		for _, p := range w.unknown {
			w.want[p.at] = p.latitude
		}
		w.unknown = nil
		return true
	}
	f.stopped(t, status, answer, err)
	return false
}

// mark marks or unmarks one of the points of the next batch, now and then, if it is stored already.
func (w *feedWriter) mark(ctx context.Context, t *testing.T, f *feedTrial) bool {
	w.unknown = w.batch()
	at, err := time.Parse(time.RFC3339, w.unknown[0].at)
	if _, stored := w.want[w.unknown[0].at]; !stored || err != nil || w.rng.IntN(3) > 0 {
		return err == nil
	}
	body := fmt.Sprintf(`{"outlier":%t,"tracking_session_by_device_data_point_ids":["%s.%d"]}`, w.rng.IntN(3) > 0, w.session, at.UnixMilli())
	status, answer, err := f.do(ctx, http.MethodPost, "/tracking/timeseries/session_by_device/outlier/v1", nil, f.token, body)
	if err == nil && status == http.StatusOK && strings.Contains(string(answer), `"successful_updates":1`) {
		return true
	}
	f.stopped(t, status, answer, err)
	return false
}

// stopped fails the test when a request failed for another reason than that the service was stopping.
func (f *feedTrial) stopped(t *testing.T, status int, answer []byte, err error) {
	if !f.stopping.Load() || err == nil && status != http.StatusServiceUnavailable {
		t.Errorf("%d %s %v", status, answer, err)
	}
}

// unmarked is a point without its mark, which the feed does not bring again.
func unmarked(line string) string {
	return strings.NewReplacer(`"outlier":true`, `"outlier":false`, `,"outlier_labeller":"user"`, "").Replace(line)
}

// feedConsumer keeps the latest version of each point that the feed gave it.
type feedConsumer struct {
	path                 string // of the feed of the first session, or of all
	rng                  *rand.Rand
	file                 string            // holds the cursor
	points               map[string]string // the line of each id
	last                 feedPlace         // that of the last point of a whole page
	pages, places, kills int
	killed               chan struct{}
}

// live is one life of the consumer, a few pages long. It reports false when the service has stopped.
func (c *feedConsumer) live(ctx context.Context, t *testing.T, f *feedTrial) bool {
	for age := range 20 {
		_, err := c.page(ctx, f, age > c.rng.IntN(10))
		if errors.Is(err, errKilled) {
			c.killed <- struct{}{}
			return true
		}
		if err != nil {
			if !f.stopping.Load() {
				t.Error(err)
			}
			return false
		}
	}
	return true
}

var errKilled = errors.New("the consumer was killed")

// page pulls a page from the saved cursor on, applies it and saves the next cursor. A consumer that
// dies does so with the page half read, sometimes after it has applied what it has read of it.
func (c *feedConsumer) page(ctx context.Context, f *feedTrial, dies bool) (points int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	query := f.query(f.sessions[0])
	query.Set("order", "received")
	if c.path == allFeedPath {
		query = url.Values{"format": {"ndjson"}}
	}
	if limit := []string{"", "1", "7", "100"}[c.rng.IntN(4)]; limit != "" {
		query.Set("limit", limit)
	}
	cursor, err := os.ReadFile(c.file)
	if err == nil {
		query.Set("cursor", string(cursor))
	} else if !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.base+c.path+"?"+query.Encode(), nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "Bearer "+f.key)
	response, err := requests.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	next := response.Header.Get("Next-Cursor")
	if response.StatusCode != http.StatusOK || next == "" {
		return 0, fmt.Errorf("the feed answered %s with the cursor %q", response.Status, next)
	}
	var read []string
	for reader := bufio.NewReader(response.Body); ; {
		line, err := reader.ReadString('\n')
		if err == io.EOF && line == "" {
			break
		}
		if err != nil {
			return 0, err
		}
		read = append(read, line)
		if dies && c.rng.IntN(len(read)+1) == 0 {
			cancel()
			if c.kills++; c.kills%2 == 0 {
				return 0, errKilled
			}
			_, err := c.apply(read)
			return 0, errors.Join(err, errKilled)
		}
	}
	last, err := c.apply(read)
	if err != nil {
		return 0, err
	}
	c.last = last
	c.pages, c.places = c.pages+1, c.places+len(read)
	return len(read), os.WriteFile(c.file, []byte(next), 0o600)
}

// feedPlace is a place in the order of arrival.
type feedPlace struct {
	received  time.Time
	session   string
	timestamp time.Time
}

func (p feedPlace) compare(other feedPlace) int {
	return gocmp.Or(p.received.Compare(other.received), strings.Compare(p.session, other.session), p.timestamp.Compare(other.timestamp))
}

// apply keeps the points of a page and returns the place of the last. Each place comes once and after
// those before it.
func (c *feedConsumer) apply(lines []string) (last feedPlace, err error) {
	last = c.last
	for _, line := range lines {
		var p dataPoint
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			return last, err
		}
		session, _, _ := strings.Cut(p.ID, ".")
		place := feedPlace{p.ReceivedAt, session, p.Timestamp}
		if place.compare(last) <= 0 {
			return last, fmt.Errorf("the feed gave the place of %s after %v", line, last)
		}
		last = place
		c.points[p.ID] = unmarked(line)
	}
	return last, nil
}
