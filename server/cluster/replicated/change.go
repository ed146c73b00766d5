package replicated

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"

	"lastseen/keys/apikey"
	"lastseen/schema"
	"lastseen/server/cluster/replica"
)

// The kinds of changes. What a kind's bytes are does not change; what is new gets a new kind.
const (
	kindPoints      = iota + 1 // points that are stored, and through when the feed is settled
	kindCheckpoints            // what the history says of sessions' newest points, some of which were marked
	kindSession                // a session as it is now
	kindDevice                 // a device that was registered
	kindKey                    // a notice about a key
	kindSpent                  // sign-in links and sessions that are spent
)

// pointBytes is what a point takes.
const pointBytes = 12 + 8 + 8 + 4*3 + 4 + 2*3 + 4 + 1 + 4

func appendPoint(b []byte, p *schema.DataPoint) []byte {
	b = append(b, p.SessionID[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(p.Timestamp))
	b = binary.LittleEndian.AppendUint64(b, uint64(p.ReceivedAt))
	for _, n := range [...]uint32{uint32(p.Latitude), uint32(p.Longitude), uint32(p.Altitude), p.Accuracy, math.Float32bits(p.Temperature), p.Version} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	for _, n := range [...]uint16{p.Speed, p.Heading, p.Battery} {
		b = binary.LittleEndian.AppendUint16(b, n)
	}
	return append(b, byte(p.Outlier))
}

// readPoint reads a point from the first pointBytes of b.
func readPoint(b []byte) (p schema.DataPoint) {
	le := binary.LittleEndian
	copy(p.SessionID[:], b)
	p.Timestamp, p.ReceivedAt = int64(le.Uint64(b[12:])), int64(le.Uint64(b[20:]))
	b = b[28:]
	p.Latitude, p.Longitude, p.Altitude, p.Accuracy = int32(le.Uint32(b)), int32(le.Uint32(b[4:])), int32(le.Uint32(b[8:])), le.Uint32(b[12:])
	p.Temperature, p.Version = math.Float32frombits(le.Uint32(b[16:])), le.Uint32(b[20:])
	b = b[24:]
	p.Speed, p.Heading, p.Battery, p.Outlier = le.Uint16(b), le.Uint16(b[2:]), le.Uint16(b[4:]), schema.Outlier(b[6])
	return p
}

func pointsChange(points []schema.OwnedPoint, received int64) replica.Change {
	data := binary.LittleEndian.AppendUint64(make([]byte, 0, 8+len(points)*pointBytes), uint64(received))
	for i := range points {
		data = appendPoint(data, &points[i].DataPoint)
	}
	return replica.Change{Kind: kindPoints, Data: data}
}

func checkpointsChange(checkpoints []schema.Checkpoint) replica.Change {
	data := make([]byte, 0, len(checkpoints)*(pointBytes+8))
	for i := range checkpoints {
		data = appendPoint(data, &checkpoints[i].Point)
		data = binary.LittleEndian.AppendUint64(data, uint64(checkpoints[i].NewestTimestamp))
	}
	return replica.Change{Kind: kindCheckpoints, Data: data}
}

// textChange makes a change of what is said as JSON. The types are ours and can be.
func textChange(kind uint8, value any) (replica.Change, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return replica.Change{}, fmt.Errorf("encode a change for the other nodes: %w", err)
	}
	return replica.Change{Kind: kind, Data: data}, nil
}

// change is a replica.Change that was read. One of its fields says what it is, by kind.
type change struct {
	kind        uint8
	points      []schema.OwnedPoint
	received    int64 // of points
	checkpoints []schema.Checkpoint
	session     schema.Session
	device      schema.DeviceOwner
	key         apikey.Notice
	spent       []schema.SpentToken
}

// errChange says that a change cannot be read.
func errChange(kind uint8) error {
	return fmt.Errorf("a change of kind %d cannot be read: give all nodes the same version of lastseen", kind)
}

// readChange reads a change, of which it keeps nothing.
func readChange(c replica.Change) (change, error) {
	read := change{kind: c.Kind}
	var err error
	switch c.Kind {
	case kindPoints:
		if len(c.Data) < 8 || (len(c.Data)-8)%pointBytes != 0 {
			return read, errChange(c.Kind)
		}
		read.received = int64(binary.LittleEndian.Uint64(c.Data))
		read.points = make([]schema.OwnedPoint, (len(c.Data)-8)/pointBytes)
		for i := range read.points {
			read.points[i].DataPoint = readPoint(c.Data[8+i*pointBytes:])
		}
	case kindCheckpoints:
		const size = pointBytes + 8
		if len(c.Data)%size != 0 {
			return read, errChange(c.Kind)
		}
		read.checkpoints = make([]schema.Checkpoint, len(c.Data)/size)
		for i := range read.checkpoints {
			row := c.Data[i*size:]
			read.checkpoints[i] = schema.Checkpoint{Point: readPoint(row), NewestTimestamp: int64(binary.LittleEndian.Uint64(row[pointBytes:]))}
		}
	case kindSession:
		err = json.Unmarshal(c.Data, &read.session)
	case kindDevice:
		err = json.Unmarshal(c.Data, &read.device)
	case kindKey:
		err = json.Unmarshal(c.Data, &read.key)
	case kindSpent:
		err = json.Unmarshal(c.Data, &read.spent)
	default:
		err = errChange(c.Kind)
	}
	return read, err
}

// touches calls each for every session of which something else may be shown after the change.
func (c *change) touches(each func(schema.ID)) {
	for i := range c.points {
		each(c.points[i].SessionID)
	}
	for i := range c.checkpoints {
		each(c.checkpoints[i].Point.SessionID)
	}
	if c.kind == kindSession {
		each(c.session.ID)
	}
}

// waits reports whether a change is pending until all have it.
func (c *change) waits() bool {
	return c.kind == kindPoints || c.kind == kindCheckpoints || c.kind == kindSession
}
