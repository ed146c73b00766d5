package schema_test

import (
	"cmp"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"lastseen/schema"
	"lastseen/schema/schematest"
)

// may2026 is the Unix time in milliseconds around which test points lie.
var may2026 = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC).UnixMilli()

// sameTemperature compares points with the absent temperature, NaN, equal to itself.
var sameTemperature = gocmp.Comparer(func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) })

func insert(tb testing.TB, db *schema.DB, points ...schema.DataPoint) {
	tb.Helper()
	owned := make([]schema.OwnedPoint, len(points))
	for i, p := range points {
		owned[i] = schema.OwnedPoint{DataPoint: p, OrgID: "org_a", DeviceID: schema.ID{1}}
	}
	if err := db.InsertDataPoints(context.Background(), owned); err != nil {
		tb.Fatal(err)
	}
}

// collect reads a stream to its end.
func collect(tb testing.TB, reader *schema.PointReader, err error) []schema.DataPoint {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
	defer reader.Close()
	var points []schema.DataPoint
	for reader.Next() {
		points = append(points, *reader.Point())
	}
	if err := reader.Err(); err != nil {
		tb.Fatal(err)
	}
	if reader.Next() {
		tb.Error("Next returned true after the end")
	}
	return points
}

// randomPoint returns a point at a time with each optional value present or not.
func randomPoint(random *rand.Rand, session schema.ID, timestamp int64) schema.DataPoint {
	p := schema.NewDataPoint(session, timestamp, random.Int32N(1_800_000_001)-900_000_000, int32(random.Int64N(3_600_000_001)-1_800_000_000))
	p.ReceivedAt = timestamp + random.Int64N(10_000)
	if random.IntN(2) == 0 {
		p.Altitude, p.Accuracy, p.Speed = random.Int32N(100_000)-5000, random.Uint32N(10_000), uint16(random.UintN(65_535))
	}
	if random.IntN(2) == 0 {
		p.Temperature, p.Heading, p.Battery = random.Float32()*80-40, uint16(random.UintN(3600)), uint16(random.UintN(10_001))
	}
	return p
}

// fold is the reference: of each identity the row that counts, in the order of session and time.
func fold(rows []schema.DataPoint) []schema.DataPoint {
	newest := make(map[schema.PointKey]schema.DataPoint)
	for _, p := range rows {
		key := schema.PointKey{SessionID: p.SessionID, Timestamp: p.Timestamp}
		q, ok := newest[key]
		if !ok || p.Version > q.Version || p.Version == q.Version && p.ReceivedAt < q.ReceivedAt {
			newest[key] = p
		}
	}
	var points []schema.DataPoint
	for _, p := range newest {
		points = append(points, p)
	}
	slices.SortFunc(points, byTime)
	return points
}

func byTime(a, b schema.DataPoint) int {
	return cmp.Or(slices.Compare(a.SessionID[:], b.SessionID[:]), cmp.Compare(a.Timestamp, b.Timestamp))
}

func wantPoints(tb testing.TB, want, got []schema.DataPoint) {
	tb.Helper()
	if diff := gocmp.Diff(want, got, sameTemperature); diff != "" {
		tb.Errorf("points differ (- want, + got):\n%s", diff)
	}
}

func TestReadDataPoints(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	random := rand.New(rand.NewPCG(1, 1))
	session, other := schema.NewID(), schema.NewID()
	var all []schema.DataPoint
	for month := range int64(5) {
		for i := range int64(20) {
			all = append(all, randomPoint(random, session, may2026+month*31*86_400_000+i*1000))
		}
	}
	insert(t, db, all...)
	insert(t, db, randomPoint(random, other, may2026+500))

	t.Run("returns every value of every point of the session in ascending time", func(t *testing.T) {
		reader, err := db.ReadDataPoints(t.Context(), session, 0, math.MaxInt64)
		wantPoints(t, all, collect(t, reader, err))
	})
	t.Run("includes the start and excludes the end", func(t *testing.T) {
		reader, err := db.ReadDataPoints(t.Context(), session, all[3].Timestamp, all[30].Timestamp)
		wantPoints(t, all[3:30], collect(t, reader, err))
	})
	t.Run("takes ranges that no date can express", func(t *testing.T) {
		reader, err := db.ReadDataPoints(t.Context(), session, math.MinInt64, math.MaxInt64)
		wantPoints(t, all, collect(t, reader, err))
		reader, err = db.ReadDataPoints(t.Context(), session, math.MaxInt64-1, math.MaxInt64)
		wantPoints(t, nil, collect(t, reader, err))
		reader, err = db.ReadDataPoints(t.Context(), session, math.MinInt64, math.MinInt64+1)
		wantPoints(t, nil, collect(t, reader, err))
	})
	t.Run("finds nothing of an unknown session", func(t *testing.T) {
		reader, err := db.ReadDataPoints(t.Context(), schema.NewID(), 0, math.MaxInt64)
		wantPoints(t, nil, collect(t, reader, err))
	})
	t.Run("has positions only when only these are asked for", func(t *testing.T) {
		want := slices.Clone(all)
		for i, p := range all {
			want[i] = schema.NewDataPoint(session, p.Timestamp, p.Latitude, p.Longitude)
			want[i].ReceivedAt = p.ReceivedAt
		}
		reader, err := db.ReadPositions(t.Context(), session, 0, math.MaxInt64)
		wantPoints(t, want, collect(t, reader, err))
	})
}

func TestPointReaderFolds(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	random := rand.New(rand.NewPCG(2, 2))
	session := schema.NewID()

	// More rows than a block of the result has, so that identities straddle the blocks' ends.
	const identities = 60_000
	var rows []schema.DataPoint
	for part := range 4 {
		var inserted []schema.DataPoint
		for i := range int64(identities) {
			if part > 0 && random.IntN(3) > 0 {
				continue
			}
			p := randomPoint(random, session, may2026+i*1000)
			p.Version = random.Uint32N(3)
			p.ReceivedAt = int64(part+1)*100_000 + random.Int64N(3)
			p.Outlier = schema.Outlier(random.UintN(2))
			inserted = append(inserted, p)
		}
		insert(t, db, inserted...)
		rows = append(rows, inserted...)
	}
	want := fold(rows)
	// Rows of one identity and version are told apart by their receipt, which a merge does not know.
	compare := func(t *testing.T, got []schema.DataPoint) {
		t.Helper()
		if len(got) != len(want) {
			t.Fatalf("got %d points, want %d", len(got), len(want))
		}
		for i := range got {
			if got[i].Timestamp != want[i].Timestamp || got[i].Version != want[i].Version {
				t.Fatalf("point %d: got %+v, want %+v", i, got[i], want[i])
			}
		}
	}
	t.Run("all columns", func(t *testing.T) {
		reader, err := db.ReadDataPoints(t.Context(), session, 0, math.MaxInt64)
		compare(t, collect(t, reader, err))
	})
	t.Run("positions", func(t *testing.T) {
		reader, err := db.ReadPositions(t.Context(), session, 0, math.MaxInt64)
		compare(t, collect(t, reader, err))
	})
	t.Run("several sessions", func(t *testing.T) {
		reader, err := db.ReadReceivedSince(t.Context(), 0)
		compare(t, collect(t, reader, err))
	})
	t.Run("of equal versions the one that was received first counts", func(t *testing.T) {
		one := schema.NewDataPoint(schema.NewID(), may2026, 1, 1)
		one.ReceivedAt = may2026 + 5
		two := one
		two.Latitude, two.ReceivedAt = 2, may2026+4
		insert(t, db, one)
		insert(t, db, two)
		reader, err := db.ReadDataPoints(t.Context(), one.SessionID, 0, math.MaxInt64)
		wantPoints(t, []schema.DataPoint{two}, collect(t, reader, err))
	})
}

func TestPointReaderStops(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	random := rand.New(rand.NewPCG(3, 3))
	session := schema.NewID()
	points := make([]schema.DataPoint, 200_000)
	for i := range points {
		points[i] = randomPoint(random, session, may2026+int64(i)*1000)
	}
	insert(t, db, points...)

	t.Run("when it is closed before the end and gives its connection back", func(t *testing.T) {
		for range 30 { // more often than there are connections
			reader, err := db.ReadDataPoints(t.Context(), session, 0, math.MaxInt64)
			if err != nil {
				t.Fatal(err)
			}
			if !reader.Next() {
				t.Fatal(reader.Err())
			}
			if err := reader.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("when its context ends", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		reader, err := db.ReadDataPoints(ctx, session, 0, math.MaxInt64)
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		read := 0
		for reader.Next() {
			if read++; read == 10 {
				cancel()
			}
		}
		cancel()
		if !errors.Is(reader.Err(), context.Canceled) {
			t.Errorf("after %d of %d points the error is %v, want %v", read, len(points), reader.Err(), context.Canceled)
		}
	})
	t.Run("on a query that fails", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := db.ReadDataPoints(ctx, session, 0, math.MaxInt64); !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v, want %v", err, context.Canceled)
		}
	})
}

func TestReadBuckets(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	random := rand.New(rand.NewPCG(4, 4))
	session := schema.NewID()
	const month = 40 * 86_400_000 // into another partition
	var rows []schema.DataPoint
	for part := range 3 {
		var inserted []schema.DataPoint
		for range 2000 {
			p := randomPoint(random, session, may2026+random.Int64N(7200)*500+random.Int64N(2)*month)
			p.Version, p.ReceivedAt = random.Uint32N(1000), int64(part)
			if random.IntN(3) == 0 {
				p.Outlier = schema.OutlierByUser
			}
			inserted = append(inserted, p)
		}
		inserted = fold(inserted)
		insert(t, db, inserted...)
		rows = append(rows, inserted...)
	}
	for _, seconds := range []int{1, 7, 60, 3600, 604800} {
		start, end := may2026+1500, may2026+month+3_000_500
		newest := make(map[int64]schema.DataPoint)
		for _, p := range fold(rows) {
			if p.Timestamp >= start && p.Timestamp < end && p.Outlier == schema.NotOutlier {
				newest[p.Timestamp/1000/int64(seconds)] = p
			}
		}
		var want []schema.DataPoint
		for _, p := range newest {
			want = append(want, p)
		}
		slices.SortFunc(want, byTime)
		reader, err := db.ReadBuckets(t.Context(), session, start, end, seconds)
		got := collect(t, reader, err)
		for i := range got {
			got[i].ReceivedAt = want[i].ReceivedAt // equal versions tie
		}
		wantPoints(t, want, got)
	}
}

func TestReadReceivedSince(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	random := rand.New(rand.NewPCG(5, 5))
	var early, late []schema.DataPoint
	for range 50 {
		p := randomPoint(random, schema.NewID(), may2026-random.Int64N(400)*86_400_000)
		p.ReceivedAt = may2026 - 1
		early = append(early, p)
		p.SessionID, p.ReceivedAt = schema.NewID(), may2026
		late = append(late, p)
	}
	insert(t, db, early...)
	insert(t, db, late...)
	slices.SortFunc(late, byTime)
	reader, err := db.ReadReceivedSince(t.Context(), may2026)
	wantPoints(t, late, collect(t, reader, err))
}

func TestFindDataPoints(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	random := rand.New(rand.NewPCG(6, 6))
	sessions := []schema.ID{schema.NewID(), schema.NewID(), schema.NewID()}
	var stored []schema.DataPoint
	for i := range 12_000 {
		stored = append(stored, randomPoint(random, sessions[i%3], may2026+int64(i)*60_000))
	}
	insert(t, db, stored...)
	marked := stored[17]
	marked.Version, marked.Outlier = 1, schema.OutlierByUser
	insert(t, db, marked)
	stored[17] = marked

	want := make(map[schema.PointKey]schema.DataPoint)
	var keys []schema.PointKey
	for i, p := range stored {
		if i%2 == 1 { // more than one query's worth
			key := schema.PointKey{SessionID: p.SessionID, Timestamp: p.Timestamp}
			want[key] = p
			// Neighbours that are not stored, and one that another session has.
			keys = append(keys, key, schema.PointKey{SessionID: p.SessionID, Timestamp: p.Timestamp + 1},
				schema.PointKey{SessionID: sessions[(i+1)%3], Timestamp: p.Timestamp})
		}
	}
	got, err := db.FindDataPoints(t.Context(), keys)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(want, got, sameTemperature); diff != "" {
		t.Errorf("found points differ (- want, + got):\n%s", diff)
	}
	none, err := db.FindDataPoints(t.Context(), nil)
	if err != nil || len(none) != 0 {
		t.Errorf("for no keys: %v, %v", none, err)
	}
}
