// Package dataset describes and loads the data that the load suite measures with: organisations,
// vehicles with a session each, and the points they sent. Everything follows from a Spec, so that
// processes that share nothing but its few numbers agree on every id and every coordinate.
package dataset

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"lastseen/schema"
)

// Spec is a reproducible data set. The zero value is empty.
type Spec struct {
	// Seed tells one data set from another.
	Seed uint64
	// Sessions is their number, Organisations that of the organisations they are spread over in turn.
	Sessions, Organisations int
	// PointsPerSession is the length of each session's history, at least 1.
	PointsPerSession int
	// Interval is the time between two points of a session, milliseconds.
	Interval int64
	// NewestAt is the timestamp of the newest points, Unix milliseconds.
	NewestAt int64
	// Described gives the sessions references and comments, a time each at which they were made, and ends to some.
	Described bool
	// Merged leaves the points and the checkpoints as a service has those that it has had for long: the
	// first minutes of a measurement would go into merging the parts that loading leaves.
	Merged bool
	// ByArrival loads the points in the order in which they arrived, so that parts are those of a service; otherwise
	// session by session.
	ByArrival bool
}

// spread is over how many milliseconds the sessions' newest points lie.
const spread = 1000

// Organisation returns which organisation owns a session.
func (s *Spec) Organisation(session int) int { return session % s.Organisations }

// OrgID returns an organisation's id.
func (s *Spec) OrgID(organisation int) string { return fmt.Sprintf("org_bench%04d", organisation) }

// SessionID returns a session's id.
func (s *Spec) SessionID(session int) schema.ID { return s.id(session, 0x5e55) }

// DeviceID returns the id of the device of a session.
func (s *Spec) DeviceID(session int) schema.ID { return s.id(session, 0xde1c) }

// MAC returns the address of the device of a session.
func (s *Spec) MAC(session int) string {
	h := mix(mix(s.Seed) ^ 0x3ac<<32 ^ uint64(session))
	return fmt.Sprintf("02:%02X:%02X:%02X:%02X:%02X", byte(h>>32), byte(session>>24), byte(session>>16), byte(session>>8), byte(session))
}

func (s *Spec) id(session int, kind uint64) schema.ID {
	var id schema.ID
	binary.BigEndian.PutUint32(id[:], uint32(s.NewestAt/1000-3600))
	binary.BigEndian.PutUint64(id[4:], mix(mix(s.Seed)^kind<<40^uint64(session)))
	return id
}

// mix is the output function of SplitMix64: distinct inputs have distinct, scattered outputs.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// NewestTimestamp returns the timestamp of a session's newest point, Unix milliseconds.
func (s *Spec) NewestTimestamp(session int) int64 { return s.NewestAt - int64(session%spread) }

// createdAt is when the data set's devices, and at the latest its sessions, were made.
func (s *Spec) createdAt() time.Time {
	return time.UnixMilli(s.NewestAt - int64(s.PointsPerSession)*s.Interval).UTC()
}

// Point fills p with the number-th point of a session, 0 being the oldest and PointsPerSession-1
// the newest. Vehicles drive closed curves, stop now and then, and jitter while they stand.
func (s *Spec) Point(session, number int, p *schema.DataPoint) {
	vehicle := mix(mix(s.Seed) ^ uint64(session))
	noise := mix(vehicle ^ uint64(number))
	*p = schema.DataPoint{SessionID: s.SessionID(session), Timestamp: s.NewestTimestamp(session) - int64(s.PointsPerSession-1-number)*s.Interval}
	p.ReceivedAt = p.Timestamp + 900 + int64(noise%400)
	p.Version = 0

	const period, standing = 300, 60 // points from one stop to the next, and at a stop
	progress, stands := number, number%period < standing
	if stands {
		progress -= number % period
	}
	angle := float64(progress)/2000 + float64(vehicle%6283)/1000
	latitude := 35 + float64(vehicle>>16%20000)/1000 + 0.05*math.Sin(angle)
	longitude := -10 + float64(vehicle>>32%40000)/1000 + 0.08*math.Cos(2*angle)
	p.Latitude = int32(latitude*1e7) + int32(noise%400) - 200 // about 2 m each way
	p.Longitude = int32(longitude*1e7) + int32(noise>>12%400) - 200
	p.Altitude = int32(1000 + 500*math.Sin(angle/3))
	p.Accuracy = uint32(30 + noise>>24%60)
	p.Heading = uint16(int(angle*573+3600000) % 3600)
	p.Speed = uint16(900 + noise>>32%500)
	if stands {
		p.Speed = 0
	}
	p.Temperature = float32(40+int(noise>>40%20)) / 10
	p.Battery = uint16(10000 - number%9000)
}

// OwnedPoint is Point with the organisation and the device.
func (s *Spec) OwnedPoint(session, number int, p *schema.OwnedPoint) {
	s.Point(session, number, &p.DataPoint)
	p.OrgID = s.OrgID(s.Organisation(session))
	p.DeviceID = s.DeviceID(session)
}
