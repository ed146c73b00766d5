package latest_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"lastseen/query/latest"
	"lastseen/query/querytest"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

func TestLoad(t *testing.T) {
	t.Parallel()
	const outlier = schema.OutlierByUser

	t.Run("shows what was saved, and what was received since", func(t *testing.T) {
		t.Parallel()
		f := newFleet(t, 4)
		points := f.receive(querytest.At(f.session[0], 1), querytest.At(f.session[1], 1), querytest.At(f.session[2], 2))
		f.store(points)
		f.table.Publish(points)
		f.flush()
		f.clock.Advance(time.Hour)
		f.store(f.receive(querytest.At(f.session[0], 5), querytest.At(f.session[2], 1), querytest.At(f.session[3], 9))) // newer, late, new
		f.restart()
		f.check()
		f.flush()
		f.restart()
		f.check()
	})
	t.Run("shows the history when nothing was ever saved", func(t *testing.T) {
		t.Parallel()
		f := newFleet(t, 2)
		f.store(f.receive(querytest.At(f.session[0], 1), querytest.At(f.session[0], 2), querytest.Version(querytest.At(f.session[0], 3), 1, outlier)))
		f.restart()
		f.check()
	})
	t.Run("shows points whose insert was on its way during a save", func(t *testing.T) {
		t.Parallel()
		f := newFleet(t, 2)
		slow := f.receive(querytest.At(f.session[0], 5))
		f.clock.Advance(30 * time.Second)
		quick := f.receive(querytest.At(f.session[1], 5))
		f.store(quick)
		f.table.Publish(quick)
		f.flush()
		f.store(slow)
		f.restart()
		f.check()
	})
	t.Run("believes the history after a mark that was cut short", func(t *testing.T) {
		t.Parallel()
		for name, steps := range map[string]func(f *fleet, id schema.ID){
			"before it was written": func(f *fleet, id schema.ID) { f.beginMark(id) },
			"before it was shown": func(f *fleet, id schema.ID) {
				f.beginMark(id)
				f.store([]schema.OwnedPoint{f.marked(id, 2, outlier)})
			},
			"before it was shown, with a save in between": func(f *fleet, id schema.ID) {
				f.beginMark(id)
				newer := f.receive(querytest.At(id, 1))
				f.store(newer)
				f.table.Publish(newer)
				f.flush()
				f.store([]schema.OwnedPoint{f.marked(id, 2, outlier)})
				f.flush()
			},
			"before it was saved": func(f *fleet, id schema.ID) {
				f.beginMark(id)
				f.store([]schema.OwnedPoint{f.marked(id, 2, outlier)})
				f.endMark(id)
				f.check()
			},
			"after it was saved": func(f *fleet, id schema.ID) {
				f.beginMark(id)
				f.store([]schema.OwnedPoint{f.marked(id, 2, outlier)})
				f.endMark(id)
				f.flush()
				f.check()
			},
			"of every point of the session": func(f *fleet, id schema.ID) {
				f.beginMark(id)
				f.store([]schema.OwnedPoint{f.marked(id, 2, outlier), f.marked(id, 0, outlier)})
			},
			"of a session without points": func(f *fleet, id schema.ID) { f.beginMark(f.session[1]) },
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f := newFleet(t, 2)
				id := f.session[0]
				points := f.receive(querytest.At(id, 0), querytest.At(id, 2))
				f.store(points)
				f.table.Publish(points)
				f.flush()
				f.clock.Advance(time.Hour) // the mark keeps the time of receipt, so no replay shows it
				steps(f, id)
				f.restart()
				f.check()
				f.flush()
				f.restart()
				f.check()
			})
		}
	})
	t.Run("knows who may see a session", func(t *testing.T) {
		t.Parallel()
		db := schematest.Open(t)
		s := querytest.NewSession()
		yes := true
		s.Public, s.SharedWithOrgIDs = &yes, []string{"org_b"}
		querytest.SaveSession(t, db, s)
		table := querytest.Load(t, db, time.Now)
		var p schema.DataPoint
		text := []byte(s.ID.String())
		for org, want := range map[string]latest.Status{"org_a": latest.NoPoint, "org_b": latest.NoPoint, "org_c": latest.NotFound} {
			if got := table.Lookup(text, org, &p); got != want {
				t.Errorf("%s: got %v, want %v", org, got, want)
			}
		}
		if got := table.LookupPublic(text, &p); got != latest.NoPoint {
			t.Errorf("nobody: got %v", got)
		}
	})
	t.Run("reports its progress", func(t *testing.T) {
		t.Parallel()
		f := newFleet(t, 3)
		points := f.receive(querytest.At(f.session[0], 1), querytest.At(f.session[1], 1))
		f.store(points)
		f.table.Publish(points)
		f.flush()
		f.beginMark(f.session[0])
		var last latest.Progress
		table := latest.New(f.db, f.clock.Now)
		if err := table.Load(t.Context(), func(p latest.Progress) { last = p }); err != nil {
			t.Fatal(err)
		}
		if want := (latest.Progress{Checkpoints: 2, Replayed: 2, Recomputed: 1}); last != want {
			t.Errorf("got %+v, want %+v", last, want)
		}
	})
	t.Run("fails when it is given up", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := latest.New(schematest.Open(t), time.Now).Load(ctx, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v", err)
		}
	})
}

// TestLoadAfterAnyCrash lets a fleet report, marks and unmarks points and saves, all at random, and
// restarts the service at random moments, in the middle of a mark or of an insert too.
func TestLoadAfterAnyCrash(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		random := rand.New(rand.NewPCG(seed, 3))
		f := newFleet(t, 5)
		crashed := func() bool {
			if random.IntN(6) > 0 {
				return false
			}
			f.restart()
			f.check()
			return true
		}
		for range 60 {
			f.clock.Advance(time.Duration(random.IntN(40)) * time.Second)
			switch random.IntN(4) {
			case 0, 1:
				points := f.receive(f.randomPoints(random)...)
				if random.IntN(3) == 0 {
					f.clock.Advance(time.Duration(random.IntN(30)) * time.Second)
					f.flush()
				}
				f.store(points)
				if !crashed() {
					f.table.Publish(points)
				}
			case 2:
				f.randomMark(random, crashed)
			case 3:
				f.flush()
			}
			if !t.Failed() && !crashed() {
				f.check()
			}
			if t.Failed() {
				t.Fatalf("with seed %d", seed)
			}
		}
	}
}

// randomPoints are new, late and replaced ones, a group of the writer's.
func (f *fleet) randomPoints(random *rand.Rand) []schema.OwnedPoint {
	points := make(map[schema.PointKey]schema.OwnedPoint)
	for range 1 + random.IntN(8) {
		p := querytest.At(f.session[random.IntN(len(f.session))], random.Int64N(40))
		key := schema.PointKey{SessionID: p.SessionID, Timestamp: p.Timestamp}
		if stored, ok := f.history[key]; ok {
			p = querytest.Version(p, stored.Version+1, stored.Outlier)
			p.Latitude = random.Int32()
		}
		points[key] = p
	}
	var group []schema.OwnedPoint
	for _, p := range points {
		group = append(group, p)
	}
	return group
}

func (f *fleet) randomMark(random *rand.Rand, crashed func() bool) {
	var ids []schema.ID
	var marks []schema.OwnedPoint
	for key, p := range f.history {
		if random.IntN(4) == 0 {
			marks = append(marks, querytest.Version(p, p.Version+1, schema.Outlier(random.UintN(2))))
			if !slices.Contains(ids, key.SessionID) {
				ids = append(ids, key.SessionID)
			}
		}
	}
	if len(marks) == 0 {
		return
	}
	f.beginMark(ids...)
	if crashed() {
		return
	}
	f.store(marks)
	if random.IntN(2) == 0 {
		f.flush()
	}
	if !crashed() {
		f.endMark(ids...)
	}
}
