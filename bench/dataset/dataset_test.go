package dataset_test

import (
	"context"
	"testing"
	"time"

	"lastseen/bench/dataset"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

func TestMain(m *testing.M) { schematest.Main(m) }

var spec = dataset.Spec{Seed: 7, Sessions: 2500, Organisations: 3, PointsPerSession: 4, Interval: 10_000, NewestAt: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC).UnixMilli()}

func TestIdsAreDistinctAndReproducible(t *testing.T) {
	t.Parallel()
	again, other := spec, spec
	other.Seed++
	seen := map[schema.ID]bool{}
	for i := range spec.Sessions {
		for _, id := range []schema.ID{spec.SessionID(i), spec.DeviceID(i), other.SessionID(i)} {
			if seen[id] {
				t.Fatalf("session %d: the id %v is taken", i, id)
			}
			seen[id] = true
		}
		if again.SessionID(i) != spec.SessionID(i) || again.MAC(i) != spec.MAC(i) {
			t.Fatalf("session %d differs from itself", i)
		}
	}
}

func TestALoadedDataSetIsWhatTheSpecSays(t *testing.T) {
	t.Parallel()
	engine := schematest.Engine(t)
	ctx := context.Background()
	store, err := dataset.OpenOn(ctx, engine)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := dataset.Load(ctx, store, spec); err != nil {
		t.Fatal(err)
	}
	db := store.DB

	sessions := 0
	if err := db.EachSession(ctx, func(schema.Session) { sessions++ }); err != nil || sessions != spec.Sessions {
		t.Errorf("%d sessions: %v", sessions, err)
	}
	devices := 0
	if err := db.EachDeviceOwner(ctx, func(schema.DeviceOwner) { devices++ }); err != nil || devices != spec.Sessions {
		t.Errorf("%d devices: %v", devices, err)
	}
	newest := map[schema.ID]int64{}
	if err := db.LoadCheckpoints(ctx, func(c schema.Checkpoint) { newest[c.Point.SessionID] = c.NewestTimestamp }); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 1, 999, spec.Sessions - 1} {
		if newest[spec.SessionID(i)] != spec.NewestTimestamp(i) {
			t.Errorf("session %d was last seen at %d, want %d", i, newest[spec.SessionID(i)], spec.NewestTimestamp(i))
		}
		reader, err := db.ReadDataPoints(ctx, spec.SessionID(i), 0, spec.NewestAt+1)
		if err != nil {
			t.Fatal(err)
		}
		for k := range spec.PointsPerSession {
			var want schema.DataPoint
			spec.Point(i, k, &want)
			if !reader.Next() || *reader.Point() != want {
				t.Errorf("point %d of session %d is %+v, want %+v", k, i, reader.Point(), want)
			}
		}
		if reader.Next() || reader.Err() != nil {
			t.Errorf("session %d has more points, or %v", i, reader.Err())
		}
		reader.Close()
	}
}
