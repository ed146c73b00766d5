package schema

import (
	"math"
	"strconv"
)

// These mark an optional value that the device did not send.
const (
	NoAltitude = math.MinInt32
	NoAccuracy = math.MaxUint32
	NoSpeed    = math.MaxUint16
	NoHeading  = math.MaxUint16
	NoBattery  = math.MaxUint16
)

// Outlier says whether a point counts for last_seen, buckets and clusters, and who decided that.
type Outlier uint8

// A point counts unless a person marked it, or the service did because it cannot be true.
const (
	NotOutlier        Outlier = 0
	OutlierByUser     Outlier = 1
	OutlierTooFast    Outlier = 2 // nothing gets there in that time
	OutlierNullIsland Outlier = 3 // at 0/0, where receivers are that know no position
	OutlierAhead      Outlier = 4 // its time lies in the future
)

// Labeller and Reason are the words by which the API says who marked a point and why; Reason is empty for what a
// person marked.
func (o Outlier) Labeller() string {
	switch o {
	case NotOutlier:
		return ""
	case OutlierByUser:
		return "user"
	}
	return "auto"
}

// Reason is described at Labeller.
func (o Outlier) Reason() string {
	switch o {
	case OutlierTooFast:
		return "speed"
	case OutlierNullIsland:
		return "null_island"
	case OutlierAhead:
		return "future"
	}
	return ""
}

// PersonVersion is the least version of a row whose mark, or whose having none, is a person's decision. The service
// changes no such mark.
const PersonVersion = 1 << 31

// DataPoint is one position of one session in the fixed-point units in which it is stored. Its
// identity is the pair of SessionID and Timestamp. Use NewDataPoint to have the optional values
// absent instead of zero.
type DataPoint struct {
	SessionID  ID
	Timestamp  int64 // when the device was there, Unix milliseconds
	ReceivedAt int64 // when it first reached us with these values, Unix milliseconds

	Latitude, Longitude int32 // 1e-7 degree

	Altitude    int32   // decimetres, or NoAltitude
	Accuracy    uint32  // decimetres, or NoAccuracy
	Temperature float32 // degrees Celsius, or NaN
	Speed       uint16  // centimetres a second, or NoSpeed
	Heading     uint16  // tenths of a degree, 0 to 3599, or NoHeading
	Battery     uint16  // ten-thousandths of full, 0 to 10000, or NoBattery

	Outlier Outlier
	// Version decides which of two rows with the same identity counts: the higher one. What a
	// device sends first is 0; each replacement and each mark adds one, and a person's mark makes it PersonVersion
	// at least.
	Version uint32
}

// DecidedByPerson reports whether a person has said that the point is an outlier, or that it is none.
func (p *DataPoint) DecidedByPerson() bool {
	return p.Outlier == OutlierByUser || p.Version >= PersonVersion
}

// NewDataPoint returns a point whose optional values are absent.
func NewDataPoint(session ID, timestamp int64, latitude, longitude int32) DataPoint {
	return DataPoint{
		SessionID: session, Timestamp: timestamp, Latitude: latitude, Longitude: longitude,
		Altitude: NoAltitude, Accuracy: NoAccuracy, Temperature: float32(math.NaN()),
		Speed: NoSpeed, Heading: NoHeading, Battery: NoBattery,
	}
}

// SameValues reports whether two points of the same identity say the same thing, whenever each was
// received and whatever marks it carries.
func (p *DataPoint) SameValues(q *DataPoint) bool {
	return p.Latitude == q.Latitude && p.Longitude == q.Longitude && p.Altitude == q.Altitude &&
		p.Accuracy == q.Accuracy && p.Speed == q.Speed && p.Heading == q.Heading && p.Battery == q.Battery &&
		(p.Temperature == q.Temperature || isNaN(p.Temperature) && isNaN(q.Temperature))
}

func isNaN(f float32) bool { return f != f }

// AppendPointID appends the public `_id` of a point, which is derived from its identity and so needs
// no column: the session's id, a dot, the timestamp in Unix milliseconds.
func AppendPointID(b []byte, session ID, timestamp int64) []byte {
	return strconv.AppendInt(append(session.AppendHex(b), '.'), timestamp, 10)
}

// ParsePointID reads what AppendPointID wrote, and accepts nothing that it would not write.
func ParsePointID(text string) (session ID, timestamp int64, ok bool) {
	const digits = 2 * len(ID{})
	if len(text) < digits+2 || text[digits] != '.' {
		return ID{}, 0, false
	}
	session, ok = ParseID(text[:digits])
	if !ok {
		return ID{}, 0, false
	}
	timestamp, err := strconv.ParseInt(text[digits+1:], 10, 64)
	if err != nil || string(AppendPointID(nil, session, timestamp)) != text {
		return ID{}, 0, false
	}
	return session, timestamp, true
}
