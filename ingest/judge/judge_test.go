package judge

import (
	"math"
	"math/rand/v2"
	"testing"
)

// course is the fixes of a test.
type course struct {
	fixes []Fix
	at    int64
}

var begin = int64(1_767_225_600_000) // 2026-01-01

// to appends a fix so many seconds after the one before, at degrees.
func (c *course) to(after float64, latitude, longitude float64) *course {
	if c.at == 0 {
		c.at = begin
	}
	c.at += int64(after * 1000)
	c.fixes = append(c.fixes, Fix{At: c.at, Received: c.at + 500, Latitude: int32(latitude * 1e7), Longitude: int32(longitude * 1e7)})
	return c
}

// stay appends n fixes in a place, each so many seconds after the one before.
func (c *course) stay(n int, every float64, latitude, longitude float64) *course {
	for i := range n {
		c.to(every, latitude+float64(i%3)*1e-4, longitude)
	}
	return c
}

// run judges fixes one by one, and returns what is thought of each in the end.
func run(fixes []Fix) (judged map[int64]Reason, order []Reason) {
	var t Track
	judged = make(map[int64]Reason)
	for _, f := range fixes {
		judged[f.At] = t.Next(f, func(at int64, now Reason) { judged[at] = now })
	}
	for _, f := range fixes {
		order = append(order, judged[f.At])
	}
	return judged, order
}

func word(order []Reason) string {
	text := make([]byte, len(order))
	for i, r := range order {
		text[i] = ".SNA"[r]
	}
	return string(text)
}

func TestTrack(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		course *course
		want   string
	}{
		"a walk":                               {new(course).stay(6, 10, 51.5, 0), "......"},
		"London is not null island":            {new(course).stay(3, 10, 51.5, 0).to(10, 51.5, 0.0001), "...."},
		"300 km there and back within seconds": {new(course).stay(3, 5, 52.5, 13.4).to(5, 49.8, 13.4).stay(3, 5, 52.5, 13.4), "...S..."},
		"twice there":                          {new(course).stay(3, 1, 52.5, 13.4).stay(4, 1, 49.8, 13.4).stay(3, 1, 52.5, 13.4), "...SSSS..."},
		"there and back, again and again":      {new(course).stay(2, 5, 52.5, 13.4).to(5, 49.8, 13.4).to(5, 52.5, 13.4).to(5, 49.8, 13.4).to(5, 52.5, 13.4).to(5, 49.8, 13.4).to(5, 52.5, 13.4), "..S.S.S."},
		"0/0 after good fixes":                 {new(course).stay(2, 10, 52.5, 13.4).stay(9, 10, 0, 0).stay(2, 10, 52.5, 13.4), "..NNNNNNNNN.."},
		"near 0/0 a day later":                 {new(course).stay(2, 10, 52.5, 13.4).to(86400, 0.02, -0.03).to(10, 52.5, 13.4), "..N."},
		"0/0 before anything else":             {new(course).stay(3, 10, 0, 0).stay(2, 10, 52.5, 13.4), "NNN.."},
		"nothing but 0/0":                      {new(course).stay(7, 10, 0, 0), "......."},
		"a ship at null island":                {new(course).to(60, 0.5, 0.5).to(7200, 0.02, 0.3).to(7200, 0.01, 0.02).to(7200, -0.02, -0.3), "...."},
		"a train out of a tunnel":              {new(course).stay(3, 10, 46.5, 8.6).to(600, 46.8745, 8.6).to(10, 46.88, 8.6), "....."},
		"switched on in another city":          {new(course).stay(3, 10, 52.5, 13.4).stay(4, 10, 48.1, 11.6), "......."},
		"and once a second":                    {new(course).stay(3, 1, 52.5, 13.4).stay(5, 1, 48.1, 11.6), "........"},
		"not yet":                              {new(course).stay(3, 1, 52.5, 13.4).stay(4, 1, 48.1, 11.6), "...SSSS"},
		"a cached position first":              {new(course).to(10, 40, -3).to(7200, 52.5, 13.4).stay(3, 5, 40.01, -3), ".S..."},
		"there and back after one fix":         {new(course).to(1, 52.5, 13.4).to(5, 49.8, 13.4).to(5, 52.5, 13.4), ".S."},
		"two wrong ones after a pause":         {new(course).stay(3, 10, 52.5, 13.4).to(3600, 49.8, 13.4).to(5, 55, 13.4).stay(3, 10, 52.5, 13.4), "...SS..."},
		"a word against a word":                {new(course).to(1, 52.5, 13.4).to(5, 49.8, 13.4).to(5, 10, 10).to(5, -20, 100), "...."},
		"a tour of the world in an hour":       {new(course).stay(2, 5, 52.5, 13.4).to(5, 49.8, 13.4).to(5, 10, 10).to(5, -20, 100), "..SSS"},
		"noise at short intervals":             {new(course).to(1, 52.5, 13.4).to(0.2, 52.5009, 13.4).to(0.2, 52.5, 13.4).to(0.2, 52.5009, 13.4).to(0.1, 52.5, 13.4), "....."},
		"steady, and faster than any aircraft": {new(course).to(1, 10, 10).to(1, 10.1, 10).to(1, 10.2, 10).to(1, 10.3, 10).to(1, 10.4, 10).to(1, 10.5, 10).to(1, 10.6, 10), "......."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, order := run(test.course.fixes); word(order) != test.want {
				t.Errorf("judged %s, want %s", word(order), test.want)
			}
		})
	}
}

func TestAClockThatIsAhead(t *testing.T) {
	t.Parallel()
	c := new(course).stay(3, 10, 52.5, 13.4)
	ahead := c.at + 50_000
	c.fixes = append(c.fixes, Fix{At: ahead, Received: c.at + 1000, Latitude: 52.5e7, Longitude: 13.4e7})
	c.to(10, 52.5, 13.4) // earlier than the one before, and not in the future
	if _, order := run(c.fixes); word(order) != "...A." {
		t.Errorf("judged %s, want the one that is ahead to be found", word(order))
	}
	for i := range 5 { // and meanwhile the device is switched on elsewhere
		c.to(1, 48.1, 11.6+float64(i)*1e-4)
	}
	if _, order := run(c.fixes); word(order) != "...A......" {
		t.Errorf("judged %s, want one that is ahead to stand in nobody's way", word(order))
	}
	c = new(course).stay(3, 10, 52.5, 13.4)
	for range 6 { // the clock is ahead for good
		c.to(10, 52.5, 13.4)
		c.fixes[len(c.fixes)-1].Received = c.at - 30_000
	}
	if _, order := run(c.fixes); word(order) != "........." {
		t.Errorf("judged %s, want a clock that stays ahead to be believed", word(order))
	}
	for i := range c.fixes {
		c.fixes[i].Received = c.fixes[i].At - 30_000
	}
	if _, order := run(c.fixes); word(order) != "........." {
		t.Errorf("judged %s, want a clock that always was ahead to be believed", word(order))
	}
}

// randomCourse moves about, jumps, stops, and errs.
func randomCourse(random *rand.Rand, n int) []Fix {
	c := new(course)
	latitude, longitude := random.Float64()*120-60, random.Float64()*360-180
	for range n {
		switch random.IntN(12) {
		case 0:
			latitude, longitude = random.Float64()*120-60, random.Float64()*360-180
		case 1:
			c.to(random.Float64()*30+0.001, random.Float64()*120-60, random.Float64()*360-180)
			continue
		case 2:
			c.to(random.Float64()*30+0.001, 0, 0)
			continue
		}
		latitude += random.Float64() * 1e-3
		c.to(random.Float64()*30+0.001, latitude, longitude)
	}
	return c.fixes
}

// TestNothingLocks: after enough fixes in one place the track is there, whatever came before.
func TestNothingLocks(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		fixes := randomCourse(random, 40)
		c := course{fixes: fixes, at: fixes[len(fixes)-1].At}
		c.stay(5, 1, random.Float64()*120-60, random.Float64()*360-180)
		if _, order := run(c.fixes); order[len(order)-1] != Plausible {
			t.Fatalf("judged %s: five fixes that agree are not believed", word(order))
		}
	}
}

// TestReviewOfWhatCameInOrder: to review a whole course at once is to judge it fix by fix, and a review of what
// has been judged changes nothing.
func TestReviewOfWhatCameInOrder(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(2, 1))
	for range 500 {
		fixes := randomCourse(random, 60)
		_, order := run(fixes)
		points := make([]Point, len(fixes))
		for i, f := range fixes {
			points[i] = Point{Fix: f, New: true}
		}
		Review(points)
		for i := range points {
			if points[i].Is != order[i] {
				t.Fatalf("at once fix %d is %d, one by one %s", i, points[i].Is, word(order))
			}
			points[i].Was, points[i].New = points[i].Is, false
		}
		Review(points)
		for i := range points {
			if points[i].Is != order[i] {
				t.Fatalf("a second look changes fix %d of %s to %d", i, word(order), points[i].Is)
			}
		}
	}
}

func reviewed(points []Point) string {
	Review(points)
	var order []Reason
	for _, p := range points {
		order = append(order, p.Is)
	}
	return word(order)
}

// stored makes points of a course, judged one by one.
func stored(fixes []Fix) (points []Point) {
	_, order := run(fixes)
	for i, f := range fixes {
		points = append(points, Point{Fix: f, Was: order[i]})
	}
	return points
}

func TestReviewOfLatePoints(t *testing.T) {
	t.Parallel()
	berlin := new(course).stay(3, 10, 52.5, 13.4).stay(3, 10, 52.5, 13.4).fixes
	berlin[3].Latitude = 49e7
	points := stored(append(berlin[:3:3], berlin[4:]...))
	points = append(points[:3:3], append([]Point{{Fix: berlin[3], New: true}}, points[3:]...)...)
	if got := reviewed(points); got != "...S.." {
		t.Errorf("a late point far away: %s", got)
	}

	c := new(course).stay(2, 10, 52.5, 13.4).to(10, 53.5, 13.4) // 111 km in ten seconds
	points = stored(c.fixes)
	if points[2].Was != TooFast {
		t.Fatal("the step is not too fast")
	}
	c.fixes[0].At -= 1_200_000
	points[0].At -= 1_200_000
	points[1].At -= 1_200_000
	var way []Point
	for i := 1; i < 10; i++ {
		f := points[1].Fix
		f.At += int64(i) * 120_000
		f.Latitude += int32(i) * 1e6
		way = append(way, Point{Fix: f, New: true})
	}
	points = append(points[:2:2], append(way, points[2])...)
	if got := reviewed(points); got != "............" {
		t.Errorf("late points that lead to one in doubt: %s", got)
	}

	// A point that could be reached in a long pause turns out to be wrong when the pause is filled.
	points = stored(new(course).stay(2, 10, 52.5, 13.4).to(600, 51, 13.4).fixes)
	for _, after := range []int64{500_000, 590_000} {
		f := points[1].Fix
		f.At, f.Received = f.At+after, f.At+3_600_000
		points = append(points[:len(points)-1], Point{Fix: f, New: true}, points[len(points)-1])
	}
	if got := reviewed(points); got != "....S" {
		t.Errorf("a pause that is filled: %s", got)
	}
}

func TestAPersonIsRight(t *testing.T) {
	t.Parallel()
	points := stored(new(course).stay(2, 10, 52.5, 13.4).to(10, 48, 11).stay(3, 10, 52.5, 13.4).fixes)
	points[2].Decided, points[2].Was = SaidTrue, Plausible
	points[4].New = true
	if Review(points); points[2].Is != Plausible {
		t.Error("a point that a person calls true is taken for wrong")
	}
	points[2].Decided = SaidOutlier
	if got := reviewed(points); got != "......" {
		t.Errorf("beside a point that does not count: %s", got)
	}
}

func FuzzReview(f *testing.F) {
	f.Add(uint64(1), uint8(20), uint8(3))
	f.Fuzz(func(t *testing.T, seed uint64, length, late uint8) {
		random := rand.New(rand.NewPCG(seed, 3))
		fixes := randomCourse(random, int(length)+1)
		var points []Point
		for i, x := range fixes {
			p := Point{Fix: x, New: random.IntN(int(late)+1) == 0 && i > 0, Decided: Decision(random.IntN(3))}
			if !p.New {
				p.Was = Reason(random.IntN(4))
			}
			points = append(points, p)
		}
		track := Review(points)
		for i := range points {
			if p := &points[i]; p.Decided != Undecided && !p.New && p.Is != p.Was {
				t.Errorf("what a person has decided was changed from %d to %d", p.Was, p.Is)
			}
		}
		// Whatever it saw, it ends somewhere and goes on.
		end := course{at: fixes[len(fixes)-1].At}
		end.stay(5, 60, 10, 10)
		var last Reason
		for _, x := range end.fixes {
			last = track.Next(x, func(int64, Reason) {})
		}
		if last != Plausible {
			t.Error("five fixes that agree are not believed")
		}
	})
}

func TestAtMostIsNoLessThanTheDistance(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(4, 1))
	for range 10_000 {
		a := Fix{Latitude: int32(random.IntN(180e7) - 90e7), Longitude: int32(random.Int64N(360e7+1) - 180e7)}
		b := Fix{Latitude: int32(random.IntN(180e7) - 90e7), Longitude: int32(random.Int64N(360e7+1) - 180e7)}
		if d := distance(&a, &b); d > atMost(&a, &b)+1 || math.IsNaN(d) {
			t.Fatalf("%+v %+v: distance %f, at most %f", a, b, d, atMost(&a, &b))
		}
	}
}

func BenchmarkNext(b *testing.B) {
	b.ReportAllocs()
	amend := func(int64, Reason) {}
	f := Fix{At: begin, Received: begin, Latitude: 52e7, Longitude: 13e7}
	for b.Loop() {
		t := From(f)
		f.At, f.Received, f.Latitude = f.At+1000, f.Received+1000, f.Latitude+1000
		if f.Latitude > 60e7 {
			f.Latitude = 52e7
		}
		t.Next(f, amend)
	}
}
