package stays

import (
	"cmp"
	"math"
	"slices"
)

// convexHull reduces members to those that can be the farthest from some point of the sphere within a
// quarter of its circumference; it reuses members. The points at most some distance from a point form a
// cap, and a cap is convex: where it holds the corners of the members' convex hull, it holds them all. In the gnomonic projection around the anchor great circles are straight
// lines, so the hull there is the hull on the sphere. Members must be less than a quarter of the
// circumference away from the anchor. Rounding can drop a corner that sticks out by a nanometre.
//
// Positions are a centimetre apart, so the hull of points within 100 m has some thousands of corners
// at most.
func convexHull(anchor Position, members []Position) []Position {
	projected := make([]projection, len(members))
	for i, member := range members {
		projected[i] = project(anchor, member)
	}
	projected = dropInner(projected)
	slices.SortFunc(projected, func(a, b projection) int {
		if a.x != b.x {
			return cmp.Compare(a.x, b.x)
		}
		return cmp.Compare(a.y, b.y)
	})
	hull := appendChain(members[:0], projected)
	slices.Reverse(projected)
	return appendChain(hull, projected)
}

// dropInner drops what lies inside the quadrilateral of the four outermost points, which is most, so
// that little is left to sort. It reuses projected.
func dropInner(projected []projection) []projection {
	west, south, east, north := projected[0], projected[0], projected[0], projected[0]
	for _, p := range projected {
		if p.x < west.x {
			west = p
		}
		if p.y < south.y {
			south = p
		}
		if p.x > east.x {
			east = p
		}
		if p.y > north.y {
			north = p
		}
	}
	return slices.DeleteFunc(projected, func(p projection) bool {
		return turnsLeft(west, south, p) && turnsLeft(south, east, p) && turnsLeft(east, north, p) && turnsLeft(north, west, p)
	})
}

// projection is a position in the plane that touches the sphere at an anchor; lengths are in radii.
type projection struct {
	x, y float64
	at   Position
}

func project(anchor, at Position) projection {
	sinAnchor, cosAnchor := math.Sincos(float64(anchor.Latitude) * storedUnit)
	cosAt := math.Cos(float64(at.Latitude) * storedUnit)
	north := float64(int64(at.Latitude)-int64(anchor.Latitude)) * storedUnit
	east := float64(int64(at.Longitude)-int64(anchor.Longitude)) * storedUnit
	halfEast := math.Sin(east / 2)
	// The usual formulas, turned so that nothing cancels when the two are close.
	bend := 2 * cosAt * halfEast * halfEast
	depth := math.Cos(north) - cosAnchor*bend
	return projection{
		x:  cosAt * math.Sin(east) / depth,
		y:  (math.Sin(north) + sinAnchor*bend) / depth,
		at: at,
	}
}

// appendChain appends half of the hull of points that are sorted along x: the corners at which a walk
// along it turns left (Andrew's monotone chain). The last point is left to the other half.
func appendChain(hull []Position, sorted []projection) []Position {
	var corners []projection
	for _, p := range sorted {
		for n := len(corners); n >= 2 && !turnsLeft(corners[n-2], corners[n-1], p); n-- {
			corners = corners[:n-1]
		}
		corners = append(corners, p)
	}
	if len(corners) > 1 {
		corners = corners[:len(corners)-1]
	}
	for _, corner := range corners {
		hull = append(hull, corner.at)
	}
	return hull
}

func turnsLeft(a, b, c projection) bool {
	return (b.x-a.x)*(c.y-a.y)-(b.y-a.y)*(c.x-a.x) > 0
}
