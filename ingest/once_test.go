package ingest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"lastseen/ingest/registry"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

// model is what the history should hold after a sequence of calls: what the promise Once says, in
// its simplest form.
type model map[schema.PointKey]schema.DataPoint

// send takes in one batch, of which the last of several points with one identity counts.
func (m model) send(now time.Time, fixes ...fix) {
	last := map[schema.PointKey]fix{}
	for _, f := range fixes {
		last[schema.PointKey{SessionID: f.session, Timestamp: f.timestamp()}] = f
	}
	for _, f := range last {
		p := schema.NewDataPoint(f.session, f.timestamp(), int32(f.latitude)*1e7, 7e7)
		p.ReceivedAt = now.UnixMilli()
		if old, there := m[keyOf(&p)]; there {
			if old.SameValues(&p) {
				continue
			}
			p.Outlier = old.Outlier
		}
		m[keyOf(&p)] = p
	}
}

func (m model) mark(outlier schema.Outlier, f fix) (there bool) {
	key := schema.PointKey{SessionID: f.session, Timestamp: f.timestamp()}
	p, there := m[key]
	if there {
		p.Outlier = outlier
		m[key] = p
	}
	return there
}

// history returns the points of some sessions as service.history does.
func (m model) history(sessions ...schema.ID) (points []schema.DataPoint) {
	for _, session := range sessions {
		from := len(points)
		for key, p := range m {
			if key.SessionID == session {
				points = append(points, p)
			}
		}
		slices.SortFunc(points[from:], func(x, y schema.DataPoint) int { return cmp.Compare(x.Timestamp, y.Timestamp) })
	}
	return points
}

// shown returns the timestamp of the point that last_seen should show of a session.
func (m model) shown(session schema.ID) (newest int64) {
	for key, p := range m {
		if key.SessionID == session && p.Outlier == schema.NotOutlier {
			newest = max(newest, p.Timestamp)
		}
	}
	return newest
}

// holds reports whether sending a fix would change nothing.
func (m model) holds(f fix) bool {
	p := schema.NewDataPoint(f.session, f.timestamp(), int32(f.latitude)*1e7, 7e7)
	old, there := m[keyOf(&p)]
	return there && old.SameValues(&p)
}

// withoutVersions drops what is nobody's business but the writer's: the version, and the milliseconds by which groups
// of one time are apart.
func withoutVersions(points []schema.DataPoint) []schema.DataPoint {
	for i := range points {
		points[i].Version = 0
		points[i].ReceivedAt -= points[i].ReceivedAt % 1000
	}
	return points
}

// TestOnceAgainstAModel makes random calls, of batches that overlap and repeat themselves, of marks,
// of failures and of restarts, and compares what is stored and shown with the model after each.
func TestOnceAgainstAModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			options, unit := WriterOptions{}, 1
			if seed > 1 { // nearly everything in slices, over some months
				options.limits, unit = small, 9*24*3600
			}
			s := newService(t, options)
			random := rand.New(rand.NewPCG(seed, 1))
			want := model{}
			var sessions []schema.ID
			for i := range 3 {
				_, session := s.session(ours, fmt.Sprint("van-", i))
				sessions = append(sessions, session)
			}
			randomFix := func(limit int) fix {
				return fix{sessions[random.IntN(len(sessions))], (random.IntN(limit) - 50) * unit, 1 + random.IntN(2)}
			}
			for step := range 40 {
				s.clock.Advance(time.Second)
				var did string
				switch random.IntN(8) {
				default:
					fixes := make([]fix, 1+random.IntN(8))
					for i := range fixes {
						fixes[i] = randomFix(step + 2) // time goes on, more or less
					}
					did = fmt.Sprint("send ", fixes)
					s.send(fixes...)
					want.send(s.clock.Now(), fixes...)
				case 0:
					f, outlier := randomFix(step+2), schema.Outlier(random.IntN(2))
					did = fmt.Sprint("mark ", f, outlier)
					if want.mark(outlier, f) {
						s.mark(outlier != schema.NotOutlier, 1, 0, f.id())
					} else {
						s.mark(outlier != schema.NotOutlier, 0, 1, f.id())
					}
				case 1:
					did = "restart"
					s.restart()
				case 2:
					did = "fail"
					f := randomFix(step + 9)
					s.faults.next(nil, []fault{executed, notExecuted}[random.IntN(2)])
					if _, err := s.try(t.Context(), registry.Caller{OrgID: ours}, lines(f)); err == nil && !want.holds(f) {
						t.Error("a write that failed went well")
					}
					s.faults.next(nil, nil)
					s.send(f) // which settles what became of it
					want.send(s.clock.Now(), f)
				}
				if d := schematest.Diff(want.history(sessions...), withoutVersions(s.history(sessions...))); d != "" {
					t.Fatalf("step %d, %s (-want +stored):\n%s", step, did, d)
				}
				for _, session := range sessions {
					if got := s.reader.shownTimestamp(session); got != want.shown(session) {
						t.Fatalf("step %d, %s: shown is %d, want %d", step, did, got, want.shown(session))
					}
				}
			}
		})
	}
}

// TestOnceWithManyWriters sends overlapping batches from many writers at once, in any order, and
// then all of them again, also after a restart.
func TestOnceWithManyWriters(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	const writers, points, size = 5, 30, 10
	var sessions []schema.ID
	for i := range 3 {
		_, session := s.session(ours, fmt.Sprint("van-", i))
		sessions = append(sessions, session)
	}
	var all []fix
	want := model{}
	for i := range points {
		all = append(all, fix{sessions[i%len(sessions)], i, 1 + i%80})
	}
	want.send(s.clock.Now(), all...)

	sendAll := func() {
		var wg sync.WaitGroup
		for writer := range writers {
			wg.Go(func() {
				random := rand.New(rand.NewPCG(uint64(writer), 2))
				for _, at := range random.Perm(points) {
					batch := slices.Clone(all[at:min(at+size, points)])
					random.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
					s.send(batch...)
				}
			})
		}
		wg.Wait()
	}
	for _, round := range []string{"at first", "again", "after a restart"} {
		if round == "after a restart" {
			s.restart()
		}
		sendAll()
		stored := s.history(sessions...)
		for i := range stored {
			// The clock stands still and no two groups have the same time, so they are milliseconds apart.
			stored[i].ReceivedAt -= stored[i].ReceivedAt % 1000
		}
		if d := schematest.Diff(want.history(sessions...), stored); d != "" {
			t.Fatalf("%s (-want +stored):\n%s", round, d)
		}
		s.clock.Advance(time.Minute) // so that a point that were written again would show it
	}
}

// TestOnceWhenLastSeenKnowsNothing: a table in memory may have dropped a session; then ClickHouse is
// asked.
func TestOnceWhenLastSeenKnowsNothing(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	_, session := s.session(ours, "van-1")
	s.send(fix{session, 1, 10}, fix{session, 2, 20})
	want := s.history(session)
	s.writer.Close()
	s.reader = newReader()
	s.writer = NewWriter(s.db, s.registry, s.reader, s.reader, WriterOptions{Now: s.clock.Now})
	s.clock.Advance(time.Minute)
	s.send(fix{session, 2, 20}, fix{session, 1, 10})
	if d := schematest.Diff(want, s.history(session)); d != "" {
		t.Errorf("(-before +after):\n%s", d)
	}
	for _, p := range s.reader.published[0] {
		if p.ReceivedAt != want[0].ReceivedAt {
			t.Errorf("published %+v, want it as it was first received", p)
		}
	}
}

// TestFreshForEveryWriter checks that each acknowledged point, or a newer one, is on show.
func TestFreshForEveryWriter(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	_, session := s.session(ours, "van-1")
	var wg sync.WaitGroup
	for writer := range 6 {
		wg.Go(func() {
			for i := range 10 {
				f := fix{session, 6*i + writer, 1}
				s.send(f)
				if got := s.reader.shownTimestamp(session); got < f.timestamp() {
					t.Errorf("after the point at %d was acknowledged %d is shown", f.timestamp(), got)
				}
			}
		})
	}
	wg.Wait()
}
