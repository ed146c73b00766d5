package judge

import "math"

// Reason is why a position is taken for wrong.
type Reason uint8

// Plausible positions are not taken for wrong.
const (
	Plausible  Reason = iota
	TooFast           // nothing gets there from the position before in that time
	NullIsland        // it lies at 0/0, where receivers are that know no position, and those before lie elsewhere
	Ahead             // its time lies in the future, and the device's clock did not before
)

// Fix is a position as it is judged.
type Fix struct {
	At, Received        int64   // when the device was there, and when we heard of it; Unix milliseconds
	Latitude, Longitude int32   // 1e-7 degree
	Accuracy            float32 // metres, 0 when unknown
	Speed               float32 // metres a second, as the device says; 0 when unknown
}

// The numbers of the rule. docs/outliers.md says where they come from.
const (
	// fastest is the speed over ground, in metres a second, that airliners reach with the wind behind them.
	fastest = 350.0
	// fastestSaid is the highest speed that a device's own word is taken for, in metres a second.
	fastestSaid = 850.0
	// allowance is how many metres a track may be ahead of fastest: what positions err by, and what times do, of
	// aircraft's ten-second steps four seconds.
	allowance = 1500.0
	// noise is how many metres of a step are not held against it, however short its time is.
	noise = 60.0
	// mostInaccurate bounds the metres by which a device may say that it errs.
	mostInaccurate = 20_000.0
	// nullIsland is how far from 0/0 a receiver without a position is put at most, in 1e-7 degree, and farFromIt how
	// many metres away from it positions lie that are no ship's nearby.
	nullIsland = 1_000_000
	farFromIt  = 100_000.0
	// aheadOfUs is by how many milliseconds a clock may differ from ours without being wrong.
	aheadOfUs = 10_000
)

// AtNullIsland reports whether a fix lies where receivers are that know no position.
func (f *Fix) AtNullIsland() bool {
	return f.Latitude <= nullIsland && f.Latitude >= -nullIsland && f.Longitude <= nullIsland && f.Longitude >= -nullIsland
}

// ahead reports whether the device's clock was wrong about the future.
func (f *Fix) ahead() bool { return f.At-f.Received > aheadOfUs }

// seconds returns the time between two fixes.
func seconds(a, b *Fix) float64 { return math.Abs(float64(b.At-a.At)) / 1000 }

// inaccuracy is by how many metres two fixes may lie apart though they are one place, as the device says.
func inaccuracy(a, b *Fix) float64 {
	return min(float64(a.Accuracy), mostInaccurate) + min(float64(b.Accuracy), mostInaccurate)
}

// topSpeed is the speed that is possible between two fixes, in metres a second.
func topSpeed(a, b *Fix) float64 {
	return max(fastest, min(1.3*float64(max(a.Speed, b.Speed)), fastestSaid))
}

const (
	earthRadius   = 6_371_000.0
	unitsToRadian = math.Pi / 180 / 1e7
	unitsToMetres = earthRadius * unitsToRadian
	wholeTurn     = 3_600_000_000 // 360 degrees
)

// atMost returns a number of metres that is no less than the distance, in far less time than distance takes.
func atMost(a, b *Fix) float64 {
	north := math.Abs(float64(b.Latitude) - float64(a.Latitude))
	east := math.Abs(float64(b.Longitude) - float64(a.Longitude))
	return (north + min(east, wholeTurn-east)) * unitsToMetres
}

// distance is the great circle's, in metres.
func distance(a, b *Fix) float64 {
	phi1, phi2 := float64(a.Latitude)*unitsToRadian, float64(b.Latitude)*unitsToRadian
	sinNorth := math.Sin((phi2 - phi1) / 2)
	sinEast := math.Sin((float64(b.Longitude) - float64(a.Longitude)) * unitsToRadian / 2)
	h := sinNorth*sinNorth + math.Cos(phi1)*math.Cos(phi2)*sinEast*sinEast
	return 2 * earthRadius * math.Asin(math.Sqrt(min(h, 1)))
}

// speed is what getting from one fix to the other takes, in metres a second, what they err by left out.
func speed(a, b *Fix) float64 {
	return max(distance(a, b)-inaccuracy(a, b), 0) / max(seconds(a, b), 0.001)
}

// besideTime is how late a point may be, in seconds, to be taken by what is known of the newest good one.
const besideTime = 10.0

// Beside reports whether a fix lies so near to a good one, in time and place, that it is as good, whatever else came
// about then. Requests of one device that overtake each other bring such points all the time, and to look at what is
// stored around each would cost more than to write it.
func (f *Fix) Beside(good *Fix) bool {
	return seconds(f, good) <= besideTime && distance(f, good) <= allowance/2 && f.AtNullIsland() == good.AtNullIsland()
}
