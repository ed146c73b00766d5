package schema_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"lastseen/schema"
	"lastseen/schema/schematest"
)

func loadCheckpoints(t *testing.T, db *schema.DB) map[schema.ID]schema.Checkpoint {
	t.Helper()
	loaded := make(map[schema.ID]schema.Checkpoint)
	err := db.LoadCheckpoints(t.Context(), func(c schema.Checkpoint) {
		if _, twice := loaded[c.Point.SessionID]; twice {
			t.Errorf("session %s was loaded twice", c.Point.SessionID)
		}
		loaded[c.Point.SessionID] = c
	})
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

func TestCheckpoints(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	random := rand.New(rand.NewPCG(7, 7))

	state, err := db.LastSeenState(t.Context())
	if err != nil || state != (schema.LastSeenState{}) {
		t.Errorf("before the first save the state is %+v, error %v; want zero", state, err)
	}
	want := make(map[schema.ID]schema.Checkpoint)
	var rows []schema.Checkpoint
	for i := range 1000 {
		p := randomPoint(random, schema.NewID(), may2026+int64(i))
		p.Version, p.Outlier = random.Uint32(), schema.Outlier(random.UintN(2))
		c := schema.Checkpoint{Point: p, NewestTimestamp: p.Timestamp + random.Int64N(1000), Stale: random.IntN(2) == 0}
		rows = append(rows, c)
		want[p.SessionID] = c
	}
	save := func(rows []schema.Checkpoint, version uint64, watermark int64) {
		t.Helper()
		if err := db.SaveCheckpoints(t.Context(), rows, version, watermark); err != nil {
			t.Fatal(err)
		}
	}
	save(rows, 7, 1000)
	if diff := gocmp.Diff(want, loadCheckpoints(t, db), sameTemperature); diff != "" {
		t.Errorf("loaded checkpoints differ (- want, + got):\n%s", diff)
	}

	newer := rows[:10:10]
	for i := range newer {
		newer[i].Point.Latitude++
		newer[i].Stale = !newer[i].Stale
		want[newer[i].Point.SessionID] = newer[i]
	}
	save(newer, 9, 3000)
	stale := slices.Clone(newer)
	stale[0].Point.Latitude = 42
	save(stale[:1], 8, 2000) // an older version that arrives late changes nothing
	if diff := gocmp.Diff(want, loadCheckpoints(t, db), sameTemperature); diff != "" {
		t.Errorf("after a second save, loaded checkpoints differ (- want, + got):\n%s", diff)
	}
	state, err = db.LastSeenState(t.Context())
	if want := (schema.LastSeenState{Version: 9, Watermark: 3000}); err != nil || state != want {
		t.Errorf("the state is %+v, error %v; want %+v", state, err, want)
	}
}

func TestNewestPoints(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	random := rand.New(rand.NewPCG(8, 8))
	sessions := make([]schema.ID, 40)
	for i := range sessions {
		sessions[i] = schema.NewID()
	}
	var rows []schema.DataPoint
	for range 3 {
		var inserted []schema.DataPoint
		for i, session := range sessions[1:] { // the first has no point
			for range 5 + 10*i {
				p := randomPoint(random, session, may2026+random.Int64N(50)*86_400_000)
				p.Version, p.ReceivedAt = random.Uint32(), 0
				if i%4 == 0 || random.IntN(3) > 0 { // every fourth session has outliers only
					p.Outlier = schema.OutlierByUser
				}
				inserted = append(inserted, p)
			}
		}
		insert(t, db, inserted...)
		rows = append(rows, inserted...)
	}
	want := make(map[schema.ID]schema.Checkpoint)
	for _, p := range fold(rows) {
		c, known := want[p.SessionID]
		c.NewestTimestamp = p.Timestamp
		if !known || p.Outlier == schema.NotOutlier || c.Point.Outlier != schema.NotOutlier {
			c.Point = p
		}
		want[p.SessionID] = c
	}
	for _, n := range []int{0, 1, 3, 8, 9, len(sessions)} {
		asked := sessions[:n]
		got, err := db.NewestPoints(t.Context(), asked)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != max(0, n-1) {
			t.Errorf("of %d sessions, %d newest points were found, want %d", n, len(got), max(0, n-1))
		}
		for _, c := range got {
			if diff := gocmp.Diff(want[c.Point.SessionID], c, sameTemperature); diff != "" {
				t.Errorf("of %d sessions, newest point differs (- want, + got):\n%s", n, diff)
			}
		}
	}
}
