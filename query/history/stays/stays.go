package stays

import (
	"math"
	"time"
)

const (
	earthRadiusMeters = 6_371_000
	// MetersPerMile is the length of a mile.
	MetersPerMile = 1609.344
	// storedUnit is the unit of stored coordinates, 1e-7 degree, in radians.
	storedUnit = math.Pi / 180 / 1e7
)

// The bounds of a Rule; its times are a second at least.
const (
	// MaxMeters keeps the points of a stay on less than a hemisphere, where they have a hull.
	MaxMeters = 1_000_000
	// MinMeters is below what coordinates can tell apart, and above where squares are lost.
	MinMeters = 0.001
	// MaxSeconds is 366 days.
	MaxSeconds = 366 * 24 * 60 * 60
)

// Rule is what makes points a stationary cluster.
type Rule struct {
	DistanceMeters float64       // a point this far from the run's first one, or farther, ends the run
	Minimum        time.Duration // between the first and the last point of a cluster, at least
	Gap            time.Duration // between two consecutive points of a run, at most
}

// DefaultRule returns the rule of the definition: 100 m, 5 minutes, 15 minutes.
func DefaultRule() Rule {
	return Rule{DistanceMeters: 100, Minimum: 5 * time.Minute, Gap: 15 * time.Minute}
}

// Stay is one stationary cluster.
type Stay struct {
	Latitude, Longitude float64 // of the centroid, degrees
	Start, End          int64   // timestamps of the first and the last point, Unix milliseconds
	Points              int
	RadiusMeters        float64
}

// Position is where a point lies, in units of 1e-7 degree.
type Position struct {
	Latitude, Longitude int32
}

// Finder finds the stationary clusters of a stream of points in ascending time. A run begins at
// its anchor; the next point joins it when it is near enough to the anchor and soon enough after the
// point before it, and else becomes the anchor of the next run. A Finder keeps the convex hull of one
// run, which is bounded, and 48 bytes a cluster that was found and not taken.
type Finder struct {
	minimum, gap int64   // milliseconds
	nearness     float64 // haversine of the distance that ends a run
	latitudeSpan int64   // a difference of latitude from which on a point is surely not near
	memberLimit  int     // how many positions of a run are kept before those that cannot matter are dropped

	found []Stay

	run struct {
		points       int
		start, last  int64
		anchor       Position
		cosAnchor    float64
		sinAnchor    float64
		latitudeSum  int64 // of all points, so that the mean is exact
		sinSum       float64
		cosSum       float64    // of the longitudes, relative to the anchor, without those of members not summed yet
		members      []Position // the points of the run that can be the farthest from the centroid
		unsummed     int        // members from here on are not in sinSum and cosSum
		pruneAtCount int
	}
}

// defaultMemberLimit is more than most stays have points, so that these cost no pruning.
const defaultMemberLimit = 1 << 16

// NewFinder returns a Finder that has seen nothing.
func NewFinder(rule Rule) *Finder {
	angle := rule.DistanceMeters / earthRadiusMeters
	half := math.Sin(angle / 2)
	return &Finder{
		minimum: rule.Minimum.Milliseconds(), gap: rule.Gap.Milliseconds(),
		nearness:     half * half,
		latitudeSpan: int64(angle/storedUnit) + 2,
		memberLimit:  defaultMemberLimit,
	}
}

// Add takes the next point that is not an outlier.
func (c *Finder) Add(timestamp int64, at Position) {
	if c.run.points > 0 && timestamp-c.run.last <= c.gap && c.isNear(at) {
		c.run.last = timestamp
		c.run.points++
		c.run.latitudeSum += int64(at.Latitude)
		c.run.members = append(c.run.members, at)
		if len(c.run.members) >= c.run.pruneAtCount {
			c.prune()
		}
		return
	}
	c.closeRun()
	r := &c.run
	r.points, r.start, r.last = 1, timestamp, timestamp
	r.anchor = at
	r.sinAnchor, r.cosAnchor = math.Sincos(float64(at.Latitude) * storedUnit)
	r.latitudeSum, r.sinSum, r.cosSum = int64(at.Latitude), 0, 0
	r.members, r.unsummed, r.pruneAtCount = append(r.members[:0], at), 0, c.memberLimit
}

// isNear reports whether a position is less than the rule's distance away from the anchor.
func (c *Finder) isNear(at Position) bool {
	anchor := c.run.anchor
	if at == anchor {
		return c.nearness > 0
	}
	north := int64(at.Latitude) - int64(anchor.Latitude)
	if north >= c.latitudeSpan || north <= -c.latitudeSpan {
		return false
	}
	if least, most := haversineBounds(anchor, at, c.run.sinAnchor, c.run.cosAnchor); most < c.nearness || least >= c.nearness {
		return most < c.nearness
	}
	return haversine(anchor, at, c.run.cosAnchor) < c.nearness
}

// closeBy is 1e-3 radian, 6 km, in units of 1e-7 degree.
const closeBy = 572_957

// haversineBounds returns what the haversine of the angle between two positions surely lies between.
// It takes no trigonometric function and decides nearly every time whether a point is near.
func haversineBounds(a, b Position, sinA, cosA float64) (least, most float64) {
	latitudes, longitudes := int64(b.Latitude)-int64(a.Latitude), int64(b.Longitude)-int64(a.Longitude)
	if latitudes > closeBy || latitudes < -closeBy || longitudes > closeBy || longitudes < -closeBy {
		return 0, 1
	}
	// For x of at most 1e-3, sin²(x/2) is x²/4 less at most a 1e-7th of it, and the cosine of b's
	// latitude is that of a's less x times its sine, to 5e-7.
	north, east := float64(latitudes)*storedUnit, float64(longitudes)*storedUnit
	northPart, eastPart := north*north/4, cosA*east*east/4
	middle := northPart + eastPart*(cosA-sinA*north)
	margin := 1e-6 * (northPart + eastPart)
	return middle - margin, middle + margin
}

// haversine returns the haversine of the angle between two positions, which grows with it.
func haversine(a, b Position, cosA float64) float64 {
	north := math.Sin(float64(int64(b.Latitude)-int64(a.Latitude)) * storedUnit / 2)
	east := math.Sin(float64(int64(b.Longitude)-int64(a.Longitude)) * storedUnit / 2)
	return north*north + cosA*math.Cos(float64(b.Latitude)*storedUnit)*east*east
}

// Found is how many clusters were found and not taken.
func (c *Finder) Found() int { return len(c.found) }

// Take returns the clusters that were found since the last call, in the order of time. They live until Add is called.
func (c *Finder) Take() []Stay {
	taken := c.found
	c.found = c.found[:0]
	return taken
}

// Finish closes the last run and returns the clusters that were not taken, in the order of time.
func (c *Finder) Finish() []Stay {
	c.closeRun()
	c.run.points = 0
	return c.found
}

// closeRun keeps the run if it is a cluster.
func (c *Finder) closeRun() {
	r := &c.run
	if r.points == 0 || r.last-r.start < c.minimum {
		return
	}
	c.sumLongitudes()
	latitude := float64(r.latitudeSum) / float64(r.points)
	longitude := float64(r.anchor.Longitude) + math.Atan2(r.sinSum, r.cosSum)/storedUnit
	switch {
	case longitude > 180e7:
		longitude -= 360e7
	case longitude < -180e7:
		longitude += 360e7
	}
	c.found = append(c.found, Stay{
		Latitude: latitude / 1e7, Longitude: longitude / 1e7,
		Start: r.start, End: r.last, Points: r.points,
		RadiusMeters: radius(latitude, longitude, r.members),
	})
}

// sumLongitudes adds the members' longitudes, as unit vectors relative to the anchor, to the sums.
func (c *Finder) sumLongitudes() {
	r := &c.run
	for _, member := range r.members[r.unsummed:] {
		sin, cos := math.Sincos(float64(int64(member.Longitude)-int64(r.anchor.Longitude)) * storedUnit)
		r.sinSum += sin
		r.cosSum += cos
	}
	r.unsummed = len(r.members)
}

// radius returns the greatest distance in metres from a centroid (1e-7 degree) to a member.
func radius(latitude, longitude float64, members []Position) float64 {
	cosLatitude := math.Cos(latitude * storedUnit)
	greatest := 0.0
	for _, member := range members {
		north := math.Sin((float64(member.Latitude) - latitude) * storedUnit / 2)
		east := math.Sin((float64(member.Longitude) - longitude) * storedUnit / 2)
		h := north*north + cosLatitude*math.Cos(float64(member.Latitude)*storedUnit)*east*east
		greatest = max(greatest, h)
	}
	return 2 * earthRadiusMeters * math.Asin(math.Min(1, math.Sqrt(greatest)))
}

// prune drops the members that cannot be the farthest from the centroid, wherever that will lie.
func (c *Finder) prune() {
	r := &c.run
	c.sumLongitudes()
	r.members = convexHull(r.anchor, r.members)
	r.unsummed = len(r.members)
	// Twice what is left, so that pruning costs no more than adding.
	r.pruneAtCount = max(c.memberLimit, 2*len(r.members))
}
