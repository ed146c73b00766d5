package stays

import (
	"math"
	"testing"
)

// FuzzHaversineBounds: the bounds hold what they bound.
func FuzzHaversineBounds(f *testing.F) {
	f.Add(int32(480_000_000), int32(110_000_000), int32(900), int32(-1300))
	f.Add(int32(899_999_000), int32(0), int32(900), int32(closeBy))
	f.Add(int32(-900_000_000), int32(1_800_000_000), int32(closeBy), int32(closeBy))
	f.Add(int32(0), int32(0), int32(0), int32(1))
	f.Fuzz(func(t *testing.T, latitude, longitude, north, east int32) {
		a := Position{latitude % 900_000_001, longitude % 1_800_000_001}
		b := Position{a.Latitude + north%(2*closeBy), a.Longitude + east%(2*closeBy)}
		if max(b.Latitude, -b.Latitude) > 900_000_000 {
			return
		}
		sin, cos := math.Sincos(float64(a.Latitude) * storedUnit)
		least, most := haversineBounds(a, b, sin, cos)
		if h := haversine(a, b, cos); h < least || h > most {
			t.Errorf("from %v to %v it is %v, which is not from %v to %v", a, b, h, least, most)
		}
	})
}
