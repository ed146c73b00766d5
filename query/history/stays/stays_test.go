package stays

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// fix is a point as clusters see it.
type fix struct {
	timestamp int64 // Unix milliseconds
	at        Position
}

func findClusters(rule Rule, memberLimit int, fixes []fix) []Stay {
	c := NewFinder(rule)
	c.memberLimit = memberLimit
	for _, f := range fixes {
		c.Add(f.timestamp, f.at)
	}
	return c.Finish()
}

// referenceRun is a closed run of the reference.
type referenceRun struct {
	first, last int // indices
}

// referenceRuns cuts points into runs by the words of the definition.
func referenceRuns(rule Rule, fixes []fix) (runs []referenceRun) {
	for i := range fixes {
		if i > 0 {
			run := &runs[len(runs)-1]
			soon := fixes[i].timestamp-fixes[i-1].timestamp <= rule.Gap.Milliseconds()
			if soon && referenceDistance(degrees(fixes[run.first].at), degrees(fixes[i].at)) < rule.DistanceMeters {
				run.last = i
				continue
			}
		}
		runs = append(runs, referenceRun{i, i})
	}
	return runs
}

// coordinates in degrees.
type coordinates struct{ latitude, longitude float64 }

func degrees(p Position) coordinates {
	return coordinates{float64(p.Latitude) / 1e7, float64(p.Longitude) / 1e7}
}

// referenceDistance is the textbook haversine distance in metres.
func referenceDistance(a, b coordinates) float64 {
	const radians = math.Pi / 180
	north := math.Pow(math.Sin((b.latitude-a.latitude)*radians/2), 2)
	east := math.Pow(math.Sin((b.longitude-a.longitude)*radians/2), 2)
	return 2 * 6_371_000 * math.Asin(math.Min(1, math.Sqrt(north+math.Cos(a.latitude*radians)*math.Cos(b.latitude*radians)*east)))
}

// referenceClusters makes clusters of the runs that are long enough.
func referenceClusters(rule Rule, fixes []fix) (clusters []Stay) {
	for _, run := range referenceRuns(rule, fixes) {
		members := fixes[run.first : run.last+1]
		if members[len(members)-1].timestamp-members[0].timestamp < rule.Minimum.Milliseconds() {
			continue
		}
		var latitude, sin, cos float64
		for _, m := range members {
			d := degrees(m.at)
			latitude += d.latitude / float64(len(members))
			sin += math.Sin(d.longitude * math.Pi / 180)
			cos += math.Cos(d.longitude * math.Pi / 180)
		}
		c := Stay{
			Latitude: latitude, Longitude: math.Atan2(sin, cos) * 180 / math.Pi,
			Start: members[0].timestamp, End: members[len(members)-1].timestamp, Points: len(members),
		}
		for _, m := range members {
			c.RadiusMeters = max(c.RadiusMeters, referenceDistance(coordinates{c.Latitude, c.Longitude}, degrees(m.at)))
		}
		clusters = append(clusters, c)
	}
	return clusters
}

// sameClusters compares to a tenth of a millimetre, which is what the reference's own rounding allows.
func sameClusters(t *testing.T, want, got []Stay) {
	t.Helper()
	if len(want) != len(got) {
		t.Fatalf("got %d clusters, want %d\ngot  %+v\nwant %+v", len(got), len(want), got, want)
	}
	for i := range want {
		w, g := want[i], got[i]
		apart := referenceDistance(coordinates{w.Latitude, w.Longitude}, coordinates{g.Latitude, g.Longitude})
		if w.Start != g.Start || w.End != g.End || w.Points != g.Points || apart > 1e-4 || math.Abs(w.RadiusMeters-g.RadiusMeters) > 1e-4 {
			t.Errorf("cluster %d differs by %v m:\ngot  %+v\nwant %+v", i, apart, g, w)
		}
		if g.Longitude < -180 || g.Longitude > 180 {
			t.Errorf("cluster %d has the longitude %v", i, g.Longitude)
		}
	}
}

// journey is a random sequence of stays, drives and gaps that starts somewhere.
func journey(random *rand.Rand, from coordinates, points int) []fix {
	const metersPerDegree = 2 * math.Pi * earthRadiusMeters / 360
	here, now := from, int64(1_700_000_000_000)
	driving, heading := false, 0.0
	fixes := make([]fix, 0, points)
	for range points {
		switch random.IntN(40) {
		case 0:
			driving = !driving
			heading = random.Float64() * 2 * math.Pi
		case 1:
			now += random.Int64N(1_800_000) // a gap
		}
		now += 1000 * (1 + random.Int64N(59))
		step := random.ExpFloat64() * 15 // jitter
		if driving {
			step = 30 + random.Float64()*100
		} else {
			heading = random.Float64() * 2 * math.Pi
		}
		here.latitude += step * math.Cos(heading) / metersPerDegree
		here.longitude += step * math.Sin(heading) / metersPerDegree / max(1e-6, math.Cos(here.latitude*math.Pi/180))
		here.latitude = min(90, max(-90, here.latitude))
		here.longitude = math.Remainder(here.longitude, 360)
		fixes = append(fixes, fix{now, Position{int32(math.Round(here.latitude * 1e7)), int32(math.Round(here.longitude * 1e7))}})
	}
	return fixes
}

// starts are places where formulas like to fail, and one where they do not.
var starts = map[string]coordinates{
	"mid-latitude": {48.1, 11.5}, "equator": {0, 0}, "antimeridian": {-17, 179.9999}, "north pole": {89.9999, 10}, "south pole": {-90, -170},
	"pole and antimeridian": {89.999, -179.9999},
}

func TestClustersEqualTheReference(t *testing.T) {
	t.Parallel()
	rules := map[string]Rule{
		"default":   DefaultRule(),
		"small":     {DistanceMeters: 5, Minimum: time.Second, Gap: 30 * time.Second},
		"large":     {DistanceMeters: 5000, Minimum: time.Hour, Gap: 24 * time.Hour},
		"continent": {DistanceMeters: 1_000_000, Minimum: time.Minute, Gap: 24 * time.Hour},
	}
	for place, start := range starts {
		for kind, rule := range rules {
			t.Run(place+"/"+kind, func(t *testing.T) {
				t.Parallel()
				for seed := range uint64(20) {
					fixes := journey(rand.New(rand.NewPCG(seed, 1)), start, 500)
					want := referenceClusters(rule, fixes)
					sameClusters(t, want, findClusters(rule, defaultMemberLimit, fixes))
					sameClusters(t, want, findClusters(rule, 3, fixes)) // prunes all the time
				}
			})
		}
	}
}

func TestClusterProperties(t *testing.T) {
	t.Parallel()
	rule := DefaultRule()
	clusters := 0
	for place, start := range starts {
		for seed := range uint64(30) {
			fixes := journey(rand.New(rand.NewPCG(seed, 2)), start, 400)
			last := int64(math.MinInt64)
			for i, c := range findClusters(rule, defaultMemberLimit, fixes) {
				clusters++
				fail := func(what string) { t.Errorf("%s, seed %d, cluster %d (%+v) %s", place, seed, i, c, what) }
				from := slices.IndexFunc(fixes, func(f fix) bool { return f.timestamp >= c.Start && f.timestamp > last })
				members := fixes[from : from+c.Points]
				if members[0].timestamp != c.Start || members[len(members)-1].timestamp != c.End {
					fail("is not what it says of consecutive points after the cluster before")
				}
				if c.End-c.Start < rule.Minimum.Milliseconds() {
					fail("is too short")
				}
				far := 0.0
				for k, m := range members {
					if referenceDistance(degrees(members[0].at), degrees(m.at)) >= rule.DistanceMeters {
						fail("has a member too far from its first point")
					}
					if k > 0 && m.timestamp-members[k-1].timestamp > rule.Gap.Milliseconds() {
						fail("has a gap")
					}
					far = max(far, referenceDistance(coordinates{c.Latitude, c.Longitude}, degrees(m.at)))
				}
				if math.Abs(far-c.RadiusMeters) > 1e-4 {
					fail(fmt.Sprintf("has its farthest member at %v", far))
				}
				if next := from + c.Points; next < len(fixes) &&
					fixes[next].timestamp-c.End <= rule.Gap.Milliseconds() &&
					referenceDistance(degrees(members[0].at), degrees(fixes[next].at)) < rule.DistanceMeters {
					fail("leaves out the point after it")
				}
				last = c.End
			}
		}
	}
	if clusters < 100 {
		t.Errorf("only %d clusters were tried", clusters)
	}
}

// east returns a position some metres east of where the equator meets the prime meridian.
func east(meters float64) Position {
	return Position{0, int32(math.Round(meters / earthRadiusMeters / storedUnit))}
}

// stay is a cluster on the equator with its centroid some metres east.
func stay(start, end int64, points int, eastMeters, radius float64) Stay {
	return Stay{Longitude: eastMeters / earthRadiusMeters / storedUnit / 1e7, Start: start, End: end, Points: points, RadiusMeters: radius}
}

func TestClustersByHand(t *testing.T) {
	t.Parallel()
	const minute = 60_000
	here, far := east(0), east(500)
	for _, test := range []struct {
		name  string
		fixes []fix
		want  []Stay
	}{
		{"no point", nil, nil},
		{"one point", []fix{{0, here}}, nil},
		{"five minutes are enough", []fix{{0, here}, {5 * minute, here}}, []Stay{stay(0, 5*minute, 2, 0, 0)}},
		{"a millisecond less is not", []fix{{0, here}, {5*minute - 1, here}}, nil},
		{"a gap of fifteen minutes is bridged", []fix{{0, here}, {15 * minute, here}}, []Stay{stay(0, 15*minute, 2, 0, 0)}},
		{"a longer gap ends the stay, which goes on as another", []fix{{0, here}, {6 * minute, here}, {21*minute + 1, here}, {30 * minute, here}},
			[]Stay{stay(0, 6*minute, 2, 0, 0), stay(21*minute+1, 30*minute, 2, 0, 0)}},
		{"a point 100 m away is out, one a little nearer is in", []fix{{0, here}, {5 * minute, east(99.98)}, {6 * minute, east(100.02)}},
			[]Stay{stay(0, 5*minute, 2, 49.99, 49.99)}},
		{"a slow drift is cut where it leaves the first point",
			[]fix{{0, here}, {4 * minute, east(60)}, {8 * minute, east(90)}, {12 * minute, east(120)}, {16 * minute, east(150)}, {20 * minute, east(180)}},
			[]Stay{stay(0, 8*minute, 3, 50, 50), stay(12*minute, 20*minute, 3, 150, 30)}},
		{"a return to the place is another stay", []fix{{0, here}, {6 * minute, here}, {8 * minute, far}, {10 * minute, here}, {16 * minute, here}},
			[]Stay{stay(0, 6*minute, 2, 0, 0), stay(10*minute, 16*minute, 2, 0, 0)}},
		{"equal timestamps are points like others", []fix{{0, here}, {0, here}, {5 * minute, here}, {5 * minute, here}}, []Stay{stay(0, 5*minute, 4, 0, 0)}},
		{"a stay across the antimeridian",
			[]fix{{0, Position{0, 1_799_999_000}}, {5 * minute, Position{0, -1_799_997_000}}},
			[]Stay{{Longitude: -179.9999, End: 5 * minute, Points: 2, RadiusMeters: 2000 * storedUnit * earthRadiusMeters}}},
		{"a stay around the pole",
			[]fix{{0, Position{899_999_000, 0}}, {4 * minute, Position{899_999_000, 900_000_000}}, {8 * minute, Position{899_999_000, 900_000_000}}, {9 * minute, Position{899_999_000, 1_800_000_000}}},
			[]Stay{{Latitude: 89.9999, Longitude: 90, End: 9 * minute, Points: 4, RadiusMeters: math.Sqrt2 * 1000 * storedUnit * earthRadiusMeters}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := findClusters(DefaultRule(), defaultMemberLimit, test.fixes)
			if len(got) != len(test.want) {
				t.Fatalf("got %+v, want %+v", got, test.want)
			}
			for i, w := range test.want {
				g := got[i]
				if g.Start != w.Start || g.End != w.End || g.Points != w.Points || math.Abs(g.Latitude-w.Latitude) > 1e-7 ||
					math.Abs(g.Longitude-w.Longitude) > 1e-7 || math.Abs(g.RadiusMeters-w.RadiusMeters) > 0.01 {
					t.Errorf("cluster %d: got %+v, want %+v", i, g, w)
				}
			}
		})
	}
}

func TestALongStayTakesBoundedMemory(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 3))
	c := NewFinder(DefaultRule())
	const points = 300_000
	fixes := make([]fix, 0, points)
	for i := range int64(points) {
		at := Position{480_000_000 + int32(random.NormFloat64()*1500), 110_000_000 + int32(random.NormFloat64()*2000)}
		fixes = append(fixes, fix{i * 1000, at})
		c.Add(i*1000, at)
	}
	if n := cap(c.run.members); n > 2*defaultMemberLimit {
		t.Errorf("what is kept of one stay takes room for %d positions, want at most %d", n, 2*defaultMemberLimit)
	}
	sameClusters(t, referenceClusters(DefaultRule(), fixes), c.Finish())
}
