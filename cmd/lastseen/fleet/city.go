package fleet

import "math"

// The city is the street grid of Midtown Manhattan: avenues that run 29° east of north and streets
// across them, laid out from the corner of Eighth Avenue and 23rd Street.
const (
	cornerLatitude  = 40.74443
	cornerLongitude = -73.99590
	uptownBearing   = 29.0 // degrees
	blockMeters     = 80.5 // from one street to the next
	lastStreet      = 36   // 59th
	metersPerDegree = 111_195
)

// avenueMeters are the distances of the avenues from Eighth Avenue.
var avenueMeters = []float64{0, 280, 560, 840, 970, 1110, 1250, 1450, 1650}

// corner is where an avenue and a street cross, by their numbers from 0.
type corner struct{ avenue, street int }

func (c corner) inCity() bool {
	return c.avenue >= 0 && c.avenue < len(avenueMeters) && c.street >= 0 && c.street <= lastStreet
}

// place is metres across town and uptown from the corner where the grid begins.
type place struct{ across, uptown float64 }

func (c corner) place() place {
	return place{avenueMeters[c.avenue], float64(c.street) * blockMeters}
}

// towards returns the place on the way from p to q that lies a part, 0 to 1, of the way.
func (p place) towards(q place, part float64) place {
	return place{p.across + (q.across-p.across)*part, p.uptown + (q.uptown-p.uptown)*part}
}

func (p place) distance(q place) float64 {
	return math.Hypot(p.across-q.across, p.uptown-q.uptown)
}

// bearing returns the direction from p to q in degrees clockwise from north, 0 to 360 exclusive.
func (p place) bearing(q place) float64 {
	degrees := math.Atan2(q.across-p.across, q.uptown-p.uptown)*180/math.Pi + uptownBearing
	return math.Mod(degrees+720, 360)
}

// coordinates returns the latitude and longitude in degrees.
func (p place) coordinates() (latitude, longitude float64) {
	sin, cos := math.Sincos(uptownBearing * math.Pi / 180)
	north := p.uptown*cos - p.across*sin
	east := p.uptown*sin + p.across*cos
	return cornerLatitude + north/metersPerDegree,
		cornerLongitude + east/(metersPerDegree*math.Cos(cornerLatitude*math.Pi/180))
}

// placeAt is the inverse of coordinates.
func placeAt(latitude, longitude float64) place {
	sin, cos := math.Sincos(uptownBearing * math.Pi / 180)
	north := (latitude - cornerLatitude) * metersPerDegree
	east := (longitude - cornerLongitude) * metersPerDegree * math.Cos(cornerLatitude*math.Pi/180)
	return place{across: east*cos - north*sin, uptown: north*cos + east*sin}
}

// nearestCorner returns the corner closest to a place, which may lie outside the city.
func nearestCorner(p place) corner {
	nearest := corner{}
	for a := range avenueMeters {
		c := corner{a, min(max(int(math.Round(p.uptown/blockMeters)), 0), lastStreet)}
		if c.place().distance(p) < nearest.place().distance(p) {
			nearest = c
		}
	}
	return nearest
}
