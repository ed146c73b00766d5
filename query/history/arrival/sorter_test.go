package arrival_test

import (
	"bytes"
	"cmp"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"lastseen/query/history/arrival"
	"lastseen/schema"
)

// list is a source, which may break.
type list struct {
	points []schema.DataPoint
	at     int
	broken error
}

func (l *list) Next() bool {
	l.at++
	return l.at <= len(l.points)
}
func (l *list) Point() *schema.DataPoint { return &l.points[l.at-1] }
func (l *list) Err() error               { return l.broken }

// parts are points as they are stored: in each part by session and timestamp. Some rows are there twice, and of some
// there is a later version that arrived at the same time.
func parts(rng *rand.Rand, n, groups int) (points []schema.DataPoint) {
	for part := range 1 + rng.IntN(3) {
		begin := len(points)
		for i := range n {
			p := schema.NewDataPoint(schema.ID{11: byte(rng.IntN(20))}, rng.Int64N(1000), int32(part), int32(i))
			p.ReceivedAt = 1_000_000 + rng.Int64N(int64(groups))*rng.Int64N(3)
			if rng.IntN(3) == 0 {
				p.Version = rng.Uint32N(3)
			}
			points = append(points, p)
		}
		slices.SortFunc(points[begin:], byIdentity)
	}
	return points
}

func byIdentity(p, q schema.DataPoint) int {
	return cmp.Or(bytes.Compare(p.SessionID[:], q.SessionID[:]), cmp.Compare(p.Timestamp, q.Timestamp))
}

// sorted is the reference: places in their order, and for each the greatest version that is there.
func sorted(points []schema.DataPoint) []schema.DataPoint {
	points = slices.Clone(points)
	slices.SortFunc(points, func(p, q schema.DataPoint) int {
		return cmp.Or(cmp.Compare(p.ReceivedAt, q.ReceivedAt), byIdentity(p, q), cmp.Compare(q.Version, p.Version))
	})
	return slices.CompactFunc(points, func(p, q schema.DataPoint) bool { return p.ReceivedAt == q.ReceivedAt && byIdentity(p, q) == 0 })
}

type place struct {
	receivedAt int64
	session    schema.ID
	timestamp  int64
	version    uint32
}

func places(points []schema.DataPoint) (all []place) {
	for _, p := range points {
		all = append(all, place{p.ReceivedAt, p.SessionID, p.Timestamp, p.Version})
	}
	return all
}

func TestPointsComeInTheOrderOfTheirArrivalWhereverTheStepsEnd(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 1))
		points := parts(rng, rng.IntN(6000), 1+rng.IntN(500))
		ends := []int64{1_000_000 + 2*500}
		for range rng.IntN(8) {
			ends = append(ends, 1_000_000+rng.Int64N(1000))
		}
		slices.Sort(ends)
		ends = slices.Compact(ends)
		s, err := arrival.Sort(t.TempDir(), ends, &list{points: points})
		if err != nil {
			t.Fatal(err)
		}
		var got []schema.DataPoint
		for s.Next() {
			got = append(got, *s.Point())
		}
		if err := errors.Join(s.Err(), s.Close()); err != nil {
			t.Fatal(err)
		}
		if want := places(sorted(points)); !slices.Equal(places(got), want) {
			t.Fatalf("seed %d: of %d points in %d steps come %d, want %d, or in another order", seed, len(points), len(ends), len(got), len(want))
		}
	}
}

func TestASorterLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	points := parts(rand.New(rand.NewPCG(1, 2)), 5000, 100)
	ends := []int64{1_000_050, 1_000_100, 1_001_000}
	s, err := arrival.Sort(folder, ends, &list{points: points})
	if err != nil {
		t.Fatal(err)
	}
	if names, err := os.ReadDir(folder); err != nil || len(names) > 0 {
		t.Errorf("while it is used its folder has %v, %v", names, err)
	}
	if !s.Next() {
		t.Error("it gives nothing")
	}
	if err := s.Close(); err != nil { // also before the end, while steps are sorted ahead
		t.Error(err)
	}
	broken := errors.New("broken")
	if _, err := arrival.Sort(folder, ends, &list{points: points, broken: broken}); !errors.Is(err, broken) {
		t.Errorf("a source that breaks: %v", err)
	}
	if _, err := arrival.Sort(folder, []int64{1_000_001}, &list{points: points}); err == nil {
		t.Error("points after the last step are taken")
	}
	if _, err := arrival.Sort(folder+"/none", ends, &list{points: points}); err == nil {
		t.Error("a folder that is not there is no error")
	}
}

func TestThereIsRoomForWhatLeavesTheReserve(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if !arrival.Room(folder, 1, 0) {
		t.Skip("the disk is full, or nobody knows")
	}
	if arrival.Room(folder, 1, 1<<60) || arrival.Room(folder, 1<<55, 0) {
		t.Error("there is room for more than there is")
	}
}
