package fleet

import (
	"math"
	"math/rand/v2"
	"time"
)

const (
	drivingInterval = 5 * time.Second  // between two reports of a vehicle that drives
	parkedInterval  = 30 * time.Second // and of one that is parked
	jitterMeters    = 3.0              // the standard deviation of a fix in each direction
)

// vehicle is a delivery van that drives from corner to corner, waits at lights, parks at customers'
// and loses signal now and then. Its walk follows from its seed alone. It belongs to one goroutine.
type vehicle struct {
	rng *rand.Rand
	// at is the time of the next report.
	at time.Time

	from, to    corner
	part        float64       // of the way from one to the other
	speed       float64       // metres a second on this block
	waits       time.Duration // still to wait at a light
	parkedUntil time.Time     // zero while on the road
	lostUntil   time.Time     // until then there is no signal
	busy        bool          // never stops and always has signal
	cargo       float64       // degrees Celsius
	battery     float64       // of the tracker, 0 to 1
}

// report is what a vehicle's tracker takes down.
type report struct {
	at                  time.Time
	latitude, longitude float64
	accuracy, speed     float64
	heading             float64 // NaN while it stands
	cargo, battery      float64
	online              bool // whether the tracker could send it at once
}

// newVehicle returns a vehicle at a corner, whose first report is due at a time.
func newVehicle(seed uint64, start corner, at time.Time) *vehicle {
	v := &vehicle{rng: rand.New(rand.NewPCG(seed, 0)), at: at, from: start, to: start, cargo: 4.5}
	v.battery = 0.5 + v.rng.Float64()/2
	v.nextBlock()
	return v
}

// randomCorner returns a corner for a vehicle that has never been anywhere.
func randomCorner(seed uint64) corner {
	rng := rand.New(rand.NewPCG(seed, 1))
	return corner{rng.IntN(len(avenueMeters)), rng.IntN(lastStreet + 1)}
}

// step returns the report that is due and moves on to the next one.
func (v *vehicle) step() report {
	r := v.report()
	interval := drivingInterval
	switch {
	case v.at.Before(v.parkedUntil):
		interval = parkedInterval
	case v.busy:
	case v.rng.Float64() < 0.003: // about once in half an hour on the road
		v.lostUntil = v.at.Add(v.between(2*time.Minute, 6*time.Minute))
	}
	v.drive(v.at, interval)
	v.at = v.at.Add(interval)
	v.cargo = 4.5 + (v.cargo-4.5)*0.995 + v.rng.NormFloat64()*0.05
	v.battery -= interval.Seconds() / (40 * 3600)
	if v.battery < 0.15 {
		v.battery = 1 // somebody has plugged it in
	}
	return r
}

func (v *vehicle) report() report {
	from, to := v.from.place(), v.to.place()
	where := from.towards(to, v.part)
	where.across += v.rng.NormFloat64() * jitterMeters
	where.uptown += v.rng.NormFloat64() * jitterMeters
	r := report{
		at: v.at, accuracy: round(2+3*v.rng.Float64(), 10), heading: math.NaN(),
		cargo: round(v.cargo, 10), battery: round(v.battery, 100), online: !v.at.Before(v.lostUntil),
	}
	r.latitude, r.longitude = where.coordinates()
	r.latitude, r.longitude = round(r.latitude, 1e6), round(r.longitude, 1e6)
	if !v.at.Before(v.parkedUntil) && v.waits <= 0 {
		r.speed, r.heading = round(v.speed, 10), math.Mod(round(from.bearing(to), 10), 360)
	}
	return r
}

// driving reports whether the next report will come soon and from somewhere else.
func (v *vehicle) driving() bool {
	return v.waits <= 0 && v.at.After(v.parkedUntil) && v.at.After(v.lostUntil)
}

// keepMoving makes the vehicle leave where it stands, at now, and never stop or lose signal again.
func (v *vehicle) keepMoving(now time.Time) {
	v.busy, v.waits, v.parkedUntil, v.lostUntil = true, 0, time.Time{}, time.Time{}
	if soon := now.Add(drivingInterval); v.at.After(soon) {
		v.at = soon // it was parked, and reported seldom
	}
}

// drive moves the vehicle on by a length of time from now.
func (v *vehicle) drive(now time.Time, left time.Duration) {
	if parked := v.parkedUntil.Sub(now); parked > 0 {
		left -= min(parked, left)
	}
	for left > 0 {
		if v.waits > 0 {
			waited := min(v.waits, left)
			v.waits -= waited
			left -= waited
			continue
		}
		length := v.from.place().distance(v.to.place())
		rest := time.Duration(length * (1 - v.part) / v.speed * float64(time.Second))
		if rest > left {
			v.part += left.Seconds() * v.speed / length
			return
		}
		left -= rest
		v.nextBlock()
		if v.busy {
			continue
		}
		if v.rng.Float64() < 0.03 { // a customer, every three dozen blocks or so
			v.parkedUntil = now.Add(v.between(6*time.Minute, 20*time.Minute))
			return
		}
		if v.rng.Float64() < 0.3 {
			v.waits = v.between(5*time.Second, 40*time.Second)
		}
	}
}

// nextBlock leaves the corner that was reached, straight on in most cases.
func (v *vehicle) nextBlock() {
	straight := corner{2*v.to.avenue - v.from.avenue, 2*v.to.street - v.from.street}
	back := v.from
	v.from, v.part = v.to, 0
	v.speed = 5 + 8*v.rng.Float64()
	if straight != v.from && straight.inCity() && v.rng.Float64() < 0.65 {
		v.to = straight
		return
	}
	var ways []corner
	for _, way := range []corner{{v.from.avenue + 1, v.from.street}, {v.from.avenue - 1, v.from.street}, {v.from.avenue, v.from.street + 1}, {v.from.avenue, v.from.street - 1}} {
		if way.inCity() && way != back {
			ways = append(ways, way)
		}
	}
	v.to = ways[v.rng.IntN(len(ways))]
}

func (v *vehicle) between(shortest, longest time.Duration) time.Duration {
	return shortest + time.Duration(v.rng.Int64N(int64(longest-shortest)))
}

// round keeps as many decimals as a tracker sends: 10 for one, 100 for two.
func round(x, scale float64) float64 {
	return math.Round(x*scale) / scale
}
