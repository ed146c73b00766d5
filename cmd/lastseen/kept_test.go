package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"lastseen/keys"
)

// TestAcknowledgedPointsSurviveKill kills the real binary with kill -9 at random moments under ingest,
// now and then while it starts, and at last stops it with SIGTERM under ingest, and looks for every
// acknowledged point after the restart. LASTSEEN_KILL_CYCLES sets how often.
func TestAcknowledgedPointsSurviveKill(t *testing.T) {
	t.Parallel()
	cycles := killCycles(t, 5)
	k := newKillTrial(t)
	for cycle := range cycles + 1 {
		if cycle < cycles {
			k.stopUnderIngest(t, k.kill)
		} else {
			k.stopUnderIngest(t, k.terminate)
		}
		if cycle%3 == 1 {
			k.killWhileStarting(t)
		}
		k.start(t)
		k.check(t)
		if t.Failed() {
			t.Fatalf("after cycle %d", cycle)
		}
	}
	if err := k.terminate(); err != nil {
		t.Error(err)
	}
	t.Logf("%d cycles, %d points acknowledged", cycles, k.acknowledged())
}

// killCycles is how often to kill.
func killCycles(t *testing.T, usual int) int {
	t.Helper()
	text := os.Getenv("LASTSEEN_KILL_CYCLES")
	if text == "" {
		return usual
	}
	cycles, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("LASTSEEN_KILL_CYCLES: %v", err)
	}
	return cycles
}

// newKillTrial starts a service with flags, and three writers for it.
func newKillTrial(t *testing.T, flags ...string) *killTrial {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	k := &killTrial{rng: rand.New(rand.NewPCG(seed, 0)), dir: t.TempDir(), flags: flags, began: time.Now().Add(-24 * time.Hour).UnixMilli()}
	k.start(t)
	for i := range 3 {
		k.writers = append(k.writers, &killWriter{
			session: k.newSession(t, k.userToken, fmt.Sprintf("killed-%d", i)), rng: rand.New(rand.NewPCG(seed, uint64(i+1))),
			began: k.began, sent: map[int64]bool{}, acknowledged: map[int64]bool{},
		})
	}
	return k
}

func (k *killTrial) acknowledged() (points int) {
	for _, w := range k.writers {
		points += len(w.acknowledged)
	}
	return points
}

type killTrial struct {
	*service
	rng       *rand.Rand
	dir       string
	flags     []string
	survived  bool // the service was not killed, so that it does not know what an insert without an answer has stored
	userToken string
	began     int64 // of the points' time, Unix milliseconds
	writers   []*killWriter
}

// killWriter sends points of one session and remembers which were acknowledged.
type killWriter struct {
	session            string
	rng                *rand.Rand
	began, next        int64 // milliseconds; next is after began
	sent, acknowledged map[int64]bool
	unknown            []int64 // of the request that got no answer
}

func (k *killTrial) start(t *testing.T) {
	t.Helper()
	s, err := startService(k.dir, k.flags...)
	if err != nil {
		t.Fatal(err)
	}
	k.service = s
	t.Cleanup(func() {
		if s.process.ProcessState == nil {
			s.kill()
		}
	})
	k.userToken = s.token(t, "org_killed", keys.RoleOwner)
}

// stopUnderIngest lets the writers send until a random number of acknowledgements and a random part of
// an insert's time have passed, then stops the process.
func (k *killTrial) stopUnderIngest(t *testing.T, stop func() error) {
	t.Helper()
	acknowledgements := make(chan struct{})
	var writing sync.WaitGroup
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	for _, w := range k.writers {
		writing.Go(func() {
			for w.send(ctx, t, k.service, k.userToken) {
				acknowledgements <- struct{}{}
			}
		})
	}
	for range 1 + k.rng.IntN(60) {
		select {
		case <-acknowledgements:
		case <-ctx.Done():
			t.Fatal("the writers were not acknowledged in time")
		}
	}
	moment := time.After(time.Duration(k.rng.IntN(20_000)) * time.Microsecond)
	for waiting := true; waiting; {
		select {
		case <-acknowledgements:
		case <-moment:
			waiting = false
		}
	}
	stopped := make(chan error, 1)
	go func() {
		err := stop()
		writing.Wait()
		stopped <- err
	}()
	for {
		select {
		case <-acknowledgements: // on their way when the process stopped
		case err := <-stopped:
			if err != nil {
				t.Error(err)
			}
			return
		}
	}
}

// killWhileStarting starts the service and kills it as soon as it has logged a line or two, or none.
func (k *killTrial) killWhileStarting(t *testing.T) {
	t.Helper()
	s, lines, err := launchService(k.dir, append(k.flags, "--log-level", "debug")...)
	if err != nil {
		t.Fatal(err)
	}
	for range k.rng.IntN(3) {
		<-lines
	}
	killed := make(chan error, 1)
	go func() { killed <- s.kill() }()
	for range lines {
	}
	if err := <-killed; err != nil {
		t.Error(err)
	}
}

// send sends the batch whose fate is unknown again, or a new one, and reports whether it was acknowledged.
func (w *killWriter) send(ctx context.Context, t *testing.T, s *service, token string) bool {
	batch := w.unknown
	if batch == nil {
		for range 1 + w.rng.IntN(50) {
			w.next += 1000
			at := w.began + w.next
			if w.rng.IntN(5) == 0 {
				at -= 500 + 1000*w.rng.Int64N(1+w.next/1000) // late, between two others
			}
			batch = append(batch, at)
		}
		if w.rng.IntN(4) == 0 && len(w.acknowledged) > 0 { // and one from before
			for at := range w.acknowledged {
				batch = append(batch, at)
				break
			}
		}
	}
	w.unknown = batch
	var body strings.Builder
	body.WriteString(`{"points":[`)
	for i, at := range batch {
		w.sent[at] = true
		if i > 0 {
			body.WriteByte(',')
		}
		latitude, longitude := valuesAt(at)
		fmt.Fprintf(&body, `{"session_id":%q,"timestamp":%q,"latitude":%v,"longitude":%v}`,
			w.session, time.UnixMilli(at).UTC().Format("2006-01-02T15:04:05.000Z"), latitude, longitude)
	}
	body.WriteString(`]}`)
	status, answer, err := s.do(ctx, http.MethodPost, "/tracking/timeseries/session_by_device/ingest/v1", nil, token, body.String())
	if err != nil {
		return false // stopped
	}
	if status == http.StatusServiceUnavailable {
		return false // stopping, and this batch was not taken
	}
	var result struct{ Accepted int }
	if err := json.Unmarshal(answer, &result); status != http.StatusOK || err != nil || result.Accepted != len(batch) {
		t.Errorf("ingest: %d %s", status, answer)
		return false
	}
	for _, at := range batch {
		w.acknowledged[at] = true
	}
	w.unknown = nil
	return true
}

// valuesAt are the coordinates of the point with a timestamp, so that what is stored can be checked: some metres
// from all others.
func valuesAt(at int64) (latitude, longitude float64) {
	return float64(100_000_000+at%997) / 1e7, float64(200_000_000+at/997%991) / 1e7
}

// check looks at every writer's points: all that were acknowledged are there, nothing is that was not
// sent, values are whole, and last_seen shows the newest.
func (k *killTrial) check(t *testing.T) {
	t.Helper()
	for _, w := range k.writers {
		var got wireHistory
		k.get(t, "/tracking/timeseries/session_by_device/data_points/v1", url.Values{
			"session_id": {w.session}, "start_timestamp": {"2000-01-01T00:00:00Z"}, "end_timestamp": {"2100-01-01T00:00:00Z"},
		}, k.userToken, &got)
		stored := map[int64]bool{}
		previous := int64(0)
		for _, p := range got.Points {
			at := p.Timestamp.UnixMilli()
			latitude, longitude := valuesAt(at)
			if c := p.Location.Geometry.Coordinates; len(c) != 2 || c[0] != longitude || c[1] != latitude {
				t.Errorf("the point at %d has the coordinates %v, want %v, %v", at, c, longitude, latitude)
			}
			if at <= previous || !w.sent[at] {
				t.Errorf("the point at %d comes after %d, sent %t", at, previous, w.sent[at])
			}
			stored[at], previous = true, at
		}
		for at := range w.acknowledged {
			if !stored[at] {
				t.Errorf("%s: the acknowledged point at %d is lost", w.session, at)
			}
		}
		if len(w.acknowledged) == 0 {
			continue
		}
		var last dataPoint
		k.get(t, "/tracking/timeseries/session_by_device/last_seen/v1", url.Values{"session_id": {w.session}}, k.userToken, &last)
		newest := slices.Max(slices.Collect(maps.Keys(w.acknowledged)))
		if at := last.Timestamp.UnixMilli(); at < newest || at > previous || at != previous && !k.survived {
			t.Errorf("%s: last seen at %d, the newest acknowledged point is at %d, the newest stored one at %d", w.session, at, newest, previous)
		}
	}
}
