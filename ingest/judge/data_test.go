package judge

import (
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

// Recorded positions, beside the project; see docs/outliers.md. LASTSEEN_TEST_DATA names another folder.
const (
	dataFolder   = "../../../shared/data/"
	busFile      = "liverpool_bus_route14.csv"
	aircraftFile = "switzerland_adsb.json.gz"
)

// open opens a file of recorded positions, and skips the test where there is none.
func open(t *testing.T, name string) *os.File {
	t.Helper()
	folder := os.Getenv("LASTSEEN_TEST_DATA")
	if folder == "" {
		folder = dataFolder
	}
	file, err := os.Open(folder + "/" + name)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("the recorded positions are not here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

func units(degrees float64) int32 { return int32(math.Round(degrees * 1e7)) }

func buses(t *testing.T) map[string][]Fix {
	rows, err := csv.NewReader(open(t, busFile)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	number := func(text string) float64 {
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
	tracks := map[string][]Fix{}
	for _, row := range rows[1:] {
		at, err := time.Parse(time.DateTime, row[3])
		if err != nil {
			t.Fatal(err)
		}
		tracks[row[1]] = append(tracks[row[1]], Fix{At: at.UnixMilli(), Latitude: units(number(row[4])), Longitude: units(number(row[5]))})
	}
	return inOrder(tracks)
}

// aircraft returns the flights. Without speeds they are judged by their positions alone.
func aircraft(t *testing.T, withSpeeds bool) map[string][]Fix {
	unpacked, err := gzip.NewReader(open(t, aircraftFile))
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		ICAO24              string
		Timestamp           int64
		Latitude, Longitude float64
		Knots               float64 `json:"groundspeed"`
	}
	if err := json.NewDecoder(unpacked).Decode(&rows); err != nil {
		t.Fatal(err)
	}
	tracks := map[string][]Fix{}
	for _, row := range rows {
		f := Fix{At: row.Timestamp, Latitude: units(row.Latitude), Longitude: units(row.Longitude)}
		if withSpeeds {
			f.Speed = float32(row.Knots * 1852 / 3600)
		}
		tracks[row.ICAO24] = append(tracks[row.ICAO24], f)
	}
	return inOrder(tracks)
}

// inOrder sorts tracks by time, of several fixes of one time the last.
func inOrder(tracks map[string][]Fix) map[string][]Fix {
	for name, fixes := range tracks {
		slices.SortStableFunc(fixes, func(a, b Fix) int { return int(a.At - b.At) })
		kept := fixes[:0]
		for _, f := range fixes {
			f.Received = f.At + 1000
			if n := len(kept); n > 0 && kept[n-1].At == f.At {
				kept[n-1] = f
				continue
			}
			kept = append(kept, f)
		}
		tracks[name] = kept
	}
	return tracks
}

// falselyTaken counts the fixes of true tracks that are taken for wrong.
func falselyTaken(t *testing.T, what string, tracks map[string][]Fix) {
	t.Helper()
	all, wrong := 0, 0
	for _, fixes := range tracks {
		_, order := run(fixes)
		for _, reason := range order {
			all++
			if reason != Plausible {
				wrong++
			}
		}
	}
	t.Logf("%s: %d tracks, %d fixes, %d taken for wrong: %.4f %%", what, len(tracks), all, wrong, 100*float64(wrong)/float64(all))
	if wrong*1000 > all {
		t.Errorf("%s: %d of %d true fixes are taken for wrong, more than one in a thousand", what, wrong, all)
	}
}

func TestTrueFixesAreTakenForTrue(t *testing.T) {
	t.Parallel()
	t.Run("buses", func(t *testing.T) { t.Parallel(); falselyTaken(t, "buses", buses(t)) })
	t.Run("aircraft", func(t *testing.T) {
		t.Parallel()
		falselyTaken(t, "aircraft", aircraft(t, false))
		falselyTaken(t, "aircraft that say how fast they are", aircraft(t, true))
	})
	t.Run("simulated", func(t *testing.T) {
		t.Parallel()
		for _, d := range drivers {
			falselyTaken(t, d.name, d.tracks(20, 2000))
		}
	})
}

// driver is how something moves and how well it knows where it is.
type driver struct {
	name            string
	speed           float64 // metres a second
	every           float64 // seconds between fixes
	error           float64 // metres, one standard deviation
	pause, longest  float64 // how likely a pause is at each step, and how long it is at most, in seconds
	accuracy, tells bool    // whether the device says its accuracy and speed
}

// drivers are what the recorded data do not have.
var drivers = []driver{
	{name: "walks, once a second", speed: 1.4, every: 1, error: 15, pause: 0.001, longest: 7200},
	{name: "walks among high houses", speed: 1.4, every: 1, error: 60, pause: 0.001, longest: 7200},
	{name: "ten fixes a second", speed: 15, every: 0.1, error: 20, pause: 0.001, longest: 600},
	{name: "phones by radio cells", speed: 10, every: 30, error: 800, pause: 0.01, longest: 7200, accuracy: true},
	{name: "ships", speed: 10, every: 10, error: 15, pause: 0.01, longest: 43200},
	{name: "trains at 300 km/h with tunnels", speed: 83, every: 5, error: 20, pause: 0.01, longest: 900},
	{name: "aircraft at 340 m/s", speed: 340, every: 1, error: 30, pause: 0.002, longest: 3600},
	{name: "aircraft at 260 m/s, gaps", speed: 260, every: 5, error: 100, pause: 0.01, longest: 14400},
	{name: "a fighter at 600 m/s that says so", speed: 600, every: 1, error: 30, tells: true},
}

func (d driver) tracks(count, length int) map[string][]Fix {
	random := rand.New(rand.NewPCG(5, uint64(d.speed*1000)))
	tracks := map[string][]Fix{}
	for i := range count {
		latitude, longitude, heading := random.Float64()*120-60, random.Float64()*300-150, random.Float64()*2*math.Pi
		at := float64(begin)
		var fixes []Fix
		for range length {
			after := d.every
			if random.Float64() < d.pause {
				after += random.Float64() * d.longest
			}
			at += after * 1000
			heading += random.NormFloat64() * 0.05
			const degree = 111_195
			east := degree * math.Cos(latitude*math.Pi/180)
			if math.Abs(latitude) > 70 {
				heading += math.Pi
			}
			latitude += math.Cos(heading) * d.speed * after / degree
			longitude += math.Sin(heading) * d.speed * after / east
			longitude = math.Mod(longitude+540, 360) - 180
			latitude = min(max(latitude, -75), 75)
			f := Fix{
				At: int64(at), Received: int64(at) + 1000,
				Latitude: units(latitude + random.NormFloat64()*d.error/degree), Longitude: units(longitude + random.NormFloat64()*d.error/east),
			}
			if d.accuracy {
				f.Accuracy = float32(d.error)
			}
			if d.tells {
				f.Speed = float32(d.speed)
			}
			fixes = append(fixes, f)
		}
		tracks[strconv.Itoa(i)] = fixes
	}
	return tracks
}

// spoil moves some of a track's fixes elsewhere, and says which.
type spoil func(random *rand.Rand, f *Fix)

// TestWrongFixesAreFound moves one in fifty of the recorded positions, singly or a few in a row, and counts how many of
// them are found and how many true ones are taken for wrong beside them.
func TestWrongFixesAreFound(t *testing.T) {
	t.Parallel()
	far := func(random *rand.Rand, f *Fix) {
		angle := random.Float64() * 2 * math.Pi
		f.Latitude += int32(2.7e7 * math.Sin(angle))
		f.Longitude += int32(4e7 * math.Cos(angle))
	}
	for _, test := range []struct {
		name  string
		run   int // in a row
		spoil spoil
		found float64 // the least part of them
	}{
		{"300 km away, one", 1, far, 0.99},
		{"300 km away, two in a row", 2, far, 0.99},
		{"20 km away, one", 1, func(_ *rand.Rand, f *Fix) { f.Latitude += 18e5 }, 0.95},
		{"at 0/0, twenty in a row", 20, func(_ *rand.Rand, f *Fix) { f.Latitude, f.Longitude = 0, 0 }, 0.99},
		{"near 0/0, twenty in a row", 20, func(random *rand.Rand, f *Fix) {
			f.Latitude, f.Longitude = random.Int32N(2e5)-1e5, random.Int32N(2e5)-1e5
		}, 0.99},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			spoiled(t, "buses", buses(t), test.run, test.spoil, test.found)
			spoiled(t, "aircraft", aircraft(t, false), test.run, test.spoil, test.found)
		})
	}
}

func spoiled(t *testing.T, what string, tracks map[string][]Fix, inARow int, spoil spoil, least float64) {
	random := rand.New(rand.NewPCG(6, 1))
	wrong, found, all, falsely := 0, 0, 0, 0
	for _, name := range slices.Sorted(maps.Keys(tracks)) {
		fixes := tracks[name]
		moved := make([]bool, len(fixes))
		for i := 3; i+inARow < len(fixes); i++ {
			if random.IntN(50*inARow) != 0 {
				continue
			}
			for range inARow {
				spoil(random, &fixes[i])
				moved[i] = true
				i++
			}
			i += 2
		}
		_, order := run(fixes)
		for i, reason := range order {
			switch {
			case moved[i]:
				wrong++
				if reason != Plausible {
					found++
				}
			case reason != Plausible:
				falsely++
				fallthrough
			default:
				all++
			}
		}
	}
	t.Logf("%s: %d of %d wrong fixes are found, %d of %d true ones taken for wrong", what, found, wrong, falsely, all)
	// After a wrong one that looks like a drive in a pause, two that are true are in doubt until the third.
	if float64(found) < least*float64(wrong) || falsely > 2+all/1000 {
		t.Errorf("%s: want at least %.0f %% found and one in a thousand at most taken for wrong", what, 100*least)
	}
}

// TestASpoofedFlight: a flight that jumps between where it is and where a jammer says that it is, once a second, in
// stretches of a few seconds. What is left of it has hardly a step that no aircraft makes.
func TestASpoofedFlight(t *testing.T) {
	t.Parallel()
	d := driver{name: "a flight", speed: 240, every: 1, error: 20}
	fixes := d.tracks(1, 4000)["0"]
	random := rand.New(rand.NewPCG(7, 1))
	for i := 500; i < 3500; i++ {
		if random.IntN(14) == 0 {
			for range 1 + random.IntN(4) {
				fixes[i].Latitude += 5e6 + random.Int32N(4e6)
				fixes[i].Longitude -= 3e6 + random.Int32N(4e6)
				i++
			}
		}
	}
	before, left, _ := judgedSteps(fixes)
	t.Logf("%d fixes, %d steps over 400 m/s; %d such steps are left", len(fixes), before, left)
	if before < 300 || left > before/100 {
		t.Errorf("%d of %d steps over 400 m/s are left", left, before)
	}
}

// TestARecordedFlightThatIsSpoofed: the longest recorded flights, in a stretch of each of which a jammer puts the aircraft
// over an airport for some fixes at a time, which lie ten seconds apart. Three of these in a row are believed.
func TestARecordedFlightThatIsSpoofed(t *testing.T) {
	t.Parallel()
	tracks := aircraft(t, false)
	names := slices.SortedFunc(maps.Keys(tracks), func(a, b string) int { return len(tracks[b]) - len(tracks[a]) })
	for _, longest := range []int{2, 8} { // in a row
		random := rand.New(rand.NewPCG(8, uint64(longest)))
		before, left, falsely, spoofed := 0, 0, 0, 0
		for _, name := range names[:5] {
			fixes := slices.Clone(tracks[name])
			moved := map[int64]bool{}
			for i := len(fixes) / 5; i < len(fixes)*4/5; i += 1 + random.IntN(3) {
				for range 1 + random.IntN(longest) {
					angle := 2 * math.Pi * float64(i) / 12 // in a circle, as spoofers lead it
					fixes[i].Latitude, fixes[i].Longitude = units(33.82+0.02*math.Sin(angle)), units(35.49+0.02*math.Cos(angle))
					moved[fixes[i].At] = true
					i++
				}
			}
			fast, stay, wrong := judgedSteps(fixes)
			before, left, spoofed = before+fast, left+stay, spoofed+len(moved)
			for _, at := range wrong {
				if !moved[at] {
					falsely++
				}
			}
		}
		t.Logf("up to %d in a row: %d spoofed fixes make %d steps over 400 m/s, of which %d are left; %d true fixes are taken for wrong", longest, spoofed, before, left, falsely)
		if longest < 3 && (left > before/50 || falsely > before/50) {
			t.Errorf("%d of %d steps over 400 m/s are left, and %d true fixes are taken for wrong", left, before, falsely)
		}
	}
}

// judgedSteps counts the steps of a track over 400 m/s, as it came and of what is taken for true, and returns the times of the rest.
func judgedSteps(fixes []Fix) (before, left int, wrong []int64) {
	steps := func(kept []Fix) (fast int) {
		for i := range kept[1:] {
			if speed(&kept[i], &kept[i+1]) > 400 {
				fast++
			}
		}
		return fast
	}
	_, order := run(fixes)
	var kept []Fix
	for i, reason := range order {
		if reason == Plausible {
			kept = append(kept, fixes[i])
		} else {
			wrong = append(wrong, fixes[i].At)
		}
	}
	return steps(fixes), steps(kept), wrong
}
