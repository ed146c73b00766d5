package history

import (
	"fmt"

	"lastseen/schema"
)

// Suspend gives the query up until the next point is wanted, and then begins it after the last one that was
// written. So who reads slowly keeps nothing of ClickHouse in the meantime, only a place. What was stored or
// dropped meanwhile may be in the rest. It may be called while WriteTo waits for its writer, by whom it waits
// for. It does nothing, and reports that, to a file that ClickHouse writes, which cannot be gone on with, and once
// all points are written. After an error WriteTo must not go on.
func (s *Stream) Suspend() (suspended bool, _ error) {
	if s.points == nil {
		return false, nil
	}
	s.page.goOnAfter(s.points.Point(), s.request.BucketSeconds)
	err := s.points.Close()
	s.points = nil
	if err != nil {
		return false, fmt.Errorf("suspend the query of a history: %w", err)
	}
	return true, nil
}

// goOnAfter leaves of a page what comes after a point.
func (p *page) goOnAfter(last *schema.DataPoint, bucketSeconds int) {
	switch {
	case p.receipts != nil:
		p.receipts.After = schema.Receipt{ReceivedAt: last.ReceivedAt, Timestamp: last.Timestamp}
	case bucketSeconds > 0: // one point was written for the whole bucket
		p.start = schema.BucketStart(last.Timestamp, bucketSeconds) + int64(bucketSeconds)*1000
	default:
		p.start = last.Timestamp + 1
	}
}

// nextPoint moves to the next point of the page and reports whether there is one.
func (s *Stream) nextPoint() bool {
	if s.primed {
		s.primed = false
		return true
	}
	if s.points == nil { // the stream was suspended
		if s.broken = s.openPoints(); s.broken != nil {
			return false
		}
	}
	return s.points.Next()
}
