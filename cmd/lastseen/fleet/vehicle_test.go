package fleet

import (
	"math"
	"testing"
	"time"
)

var morning = time.Date(2026, 1, 15, 9, 0, 0, 0, time.UTC)

func TestAVehicleDrivesLikeOne(t *testing.T) {
	t.Parallel()
	const hours = 6
	stays, losses := 0, 0
	for seed := range uint64(40) {
		v := newVehicle(seed, randomCorner(seed), morning)
		var last report
		stayed := time.Duration(0)
		for v.at.Before(morning.Add(hours * time.Hour)) {
			r := v.step()
			if !last.at.IsZero() {
				gap := r.at.Sub(last.at)
				if gap < drivingInterval || gap > parkedInterval {
					t.Fatalf("seed %d: a report %v after the one before", seed, gap)
				}
				moved := placeAt(r.latitude, r.longitude).distance(placeAt(last.latitude, last.longitude))
				if limit := gap.Seconds()*13 + 8*jitterMeters; moved > limit {
					t.Fatalf("seed %d: moved %.0f m in %v", seed, moved, gap)
				}
				if math.IsNaN(r.heading) != (r.speed == 0) || r.speed > 13 || r.heading < 0 || r.heading >= 360 {
					t.Fatalf("seed %d: speed %v, heading %v", seed, r.speed, r.heading)
				}
				if r.speed == 0 {
					stayed += gap
				} else {
					stayed = 0
				}
				if stayed > 5*time.Minute && stayed-gap <= 5*time.Minute {
					stays++
				}
				if last.online && !r.online {
					losses++
				}
			}
			if r.cargo < 0 || r.cargo > 9 || r.battery < 0.1 || r.battery > 1 {
				t.Fatalf("seed %d: cargo at %v °C, battery %v", seed, r.cargo, r.battery)
			}
			for _, along := range []float64{placeAt(r.latitude, r.longitude).across - avenueMeters[0], placeAt(r.latitude, r.longitude).uptown} {
				if along < -8*jitterMeters || along > lastStreet*blockMeters+8*jitterMeters {
					t.Fatalf("seed %d: out of the city at %v, %v", seed, r.latitude, r.longitude)
				}
			}
			if !onAStreet(placeAt(r.latitude, r.longitude)) {
				t.Fatalf("seed %d: off the streets at %v, %v", seed, r.latitude, r.longitude)
			}
			last = r
		}
	}
	if perVehicle := float64(stays) / 40; perVehicle < 3 || perVehicle > 30 {
		t.Errorf("%.1f stays a vehicle in %d hours", perVehicle, hours)
	}
	if perVehicle := float64(losses) / 40; perVehicle < 1 || perVehicle > 20 {
		t.Errorf("signal lost %.1f times a vehicle in %d hours", perVehicle, hours)
	}
}

func onAStreet(p place) bool {
	const wide = 8 * jitterMeters
	if off := math.Mod(p.uptown+blockMeters, blockMeters); off < wide || off > blockMeters-wide {
		return true
	}
	for _, avenue := range avenueMeters {
		if math.Abs(p.across-avenue) < wide {
			return true
		}
	}
	return false
}

func TestCoordinatesRoundTrip(t *testing.T) {
	t.Parallel()
	for a := range avenueMeters {
		for s := range lastStreet + 1 {
			c := corner{a, s}
			if got := nearestCorner(placeAt(c.place().coordinates())); got != c {
				t.Fatalf("%v comes back as %v", c, got)
			}
		}
	}
	if got := nearestCorner(placeAt(53.4, -2.9)); !got.inCity() {
		t.Errorf("a place far away is nearest to %v", got)
	}
}
