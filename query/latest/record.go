package latest

import (
	"math"

	"lastseen/schema"
)

// record is what the table holds of one session.
type record struct {
	owner  uint32 // the owning organisation's number; 0 until the session is known
	flags  recordFlags
	newest int64 // timestamp of the newest point, outlier or not; 0 without hasPoint
	// point is the newest point that is not an outlier or, when all are outliers, the newest of
	// those. Its SessionID is always set, all else only with hasPoint.
	point schema.DataPoint
}

type recordFlags uint8

const (
	isPublic recordFlags = 1 << iota
	isShared             // with organisations that Table.shares lists
	hasPoint
	isStale  // point may have been marked since: its checkpoint must not be believed
	hasEnded // it was terminated, or its scheduled termination came due
	hasMoved // it is among its owner's moves
)

func (r *record) set(flag recordFlags, on bool) {
	if on {
		r.flags |= flag
	} else {
		r.flags &^= flag
	}
}

func (r *record) has(flag recordFlags) bool {
	return r.flags&flag != 0
}

// status says what a look-up of the record shows.
func (r *record) status() Status {
	if r.has(hasPoint) && r.point.Outlier == schema.NotOutlier {
		return Found
	}
	return NoPoint
}

// seenAt returns the timestamp of what is shown of the record, NotSeen for nothing.
func (r *record) seenAt() int64 {
	if r.status() != Found {
		return NotSeen
	}
	return r.point.Timestamp
}

// publish takes note of a point.
func (r *record) publish(p *schema.DataPoint) (changed bool) {
	if !r.has(hasPoint) {
		r.point, r.newest = *p, p.Timestamp
		r.set(hasPoint, true)
		return true
	}
	r.newest = max(r.newest, p.Timestamp)
	shown, isOutlier := &r.point, p.Outlier != schema.NotOutlier
	switch {
	case p.Timestamp == shown.Timestamp:
		if !p.Supersedes(shown) {
			return false
		}
		if isOutlier && shown.Outlier == schema.NotOutlier {
			r.set(isStale, true) // which point is the newest now, only the history knows
		}
	case isOutlier != (shown.Outlier != schema.NotOutlier):
		if isOutlier {
			return false
		}
	case p.Timestamp <= shown.Timestamp:
		return false
	}
	r.point = *p
	return true
}

// settle takes over what the history says, unless a point on show reached the table later.
func (r *record) settle(c *schema.Checkpoint) {
	r.set(isStale, false)
	if r.status() == Found && r.point.Timestamp > c.NewestTimestamp {
		return
	}
	r.newest = max(r.newest, c.NewestTimestamp)
	r.point = c.Point
	r.set(hasPoint, true)
}

// checkpoint returns the record as it is saved. One without a point is saved only while it is stale.
func (r *record) checkpoint() schema.Checkpoint {
	c := schema.Checkpoint{Point: r.point, NewestTimestamp: r.newest, Stale: r.has(isStale)}
	if !r.has(hasPoint) {
		c.Point.Outlier = schema.OutlierByUser // nothing to show
	}
	return c
}

// recordWords is the number of 64-bit words that a record is packed into.
const recordWords = 9

func (r *record) pack(words *[recordWords]uint64) {
	p := &r.point
	first, last := idWords(p.SessionID)
	*words = [recordWords]uint64{
		first,
		uint64(last) | uint64(r.owner)<<32,
		uint64(p.Version) | uint64(p.Battery)<<32 | uint64(p.Outlier)<<48 | uint64(r.flags)<<56,
		uint64(r.newest),
		uint64(p.Timestamp),
		uint64(p.ReceivedAt),
		uint64(uint32(p.Latitude)) | uint64(uint32(p.Longitude))<<32,
		uint64(uint32(p.Altitude)) | uint64(p.Accuracy)<<32,
		uint64(math.Float32bits(p.Temperature)) | uint64(p.Speed)<<32 | uint64(p.Heading)<<48,
	}
}

func (r *record) unpack(words *[recordWords]uint64) {
	r.unpackAccess(words)
	r.newest = int64(words[3])
	unpackPoint(words, &r.point)
}

// unpackAccess fills what says who may see the session.
func (r *record) unpackAccess(words *[recordWords]uint64) {
	r.owner = uint32(words[1] >> 32)
	r.flags = recordFlags(words[2] >> 56)
}

// unpackPoint fills p alone, which is what a look-up needs.
func unpackPoint(words *[recordWords]uint64, p *schema.DataPoint) {
	p.SessionID = wordsID(words[0], words[1])
	p.Version, p.Battery, p.Outlier = uint32(words[2]), uint16(words[2]>>32), schema.Outlier(words[2]>>48)
	p.Timestamp, p.ReceivedAt = int64(words[4]), int64(words[5])
	p.Latitude, p.Longitude = int32(words[6]), int32(words[6]>>32)
	p.Altitude, p.Accuracy = int32(words[7]), uint32(words[7]>>32)
	p.Temperature = math.Float32frombits(uint32(words[8]))
	p.Speed, p.Heading = uint16(words[8]>>32), uint16(words[8]>>48)
}
