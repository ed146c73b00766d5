package history

import (
	"lastseen/query/history/stays"
	"lastseen/query/wire"
	"lastseen/schema"
)

// The stages of JSON make {"data_points":[…],"stationary_clusters":[…]}, with a next_cursor where there is one.

func (s *Stream) beginJSON() error {
	s.piece.buffer = append(s.piece.buffer, `{"data_points":[`...)
	s.encoder = wire.NewPointEncoder(s.session)
	s.stage = (*Stream).pointsJSON
	return nil
}

func (s *Stream) pointsJSON() error {
	inRange := s.page.whole && s.request.BucketSeconds == 0 && s.finder.Found() <= maxHeldStays // the points are all that clusters need
	out, separate, encoded := s.piece.buffer, s.points > 0, s.session
	for len(out) < pieceSize {
		p, err := s.nextPoint()
		if err != nil {
			return err
		}
		if p == nil {
			s.stage = (*Stream).beginStays
			break
		}
		if separate {
			out = append(out, ',')
		}
		separate = true
		if p.SessionID != encoded { // of a feed
			encoded = p.SessionID
			s.encoder.Of(encoded)
		}
		out = s.encoder.Append(out, p)
		if inRange {
			s.findIn(p)
		}
	}
	s.piece.buffer = out
	return nil
}

// maxHeldStays is how many clusters are kept while the points are made: 3/4 MiB. Of an answer with more the points are
// read once more, so that each cluster can be written as it is found.
const maxHeldStays = 1 << 14

// beginStays chooses where the clusters come from: from the points that were made, or, when those are but some of the
// range or have too many, from another look at all of it. Of several pages the first has the clusters of the whole range: a
// stay does not end with a page.
func (s *Stream) beginStays() error {
	s.piece.buffer = append(s.piece.buffer, `],"stationary_clusters":[`...)
	r := &s.request
	switch {
	case r.Order != OrderTimestamp || !s.page.first:
		s.stage = (*Stream).endJSON
	case s.page.whole && r.BucketSeconds == 0 && s.finder.Found() <= maxHeldStays:
		s.stays, s.stage = s.finder.Finish(), (*Stream).staysJSON
	default:
		s.finder = stays.NewFinder(r.Clusters)
		s.search = &staySearch{from: s.from}
		s.stage = (*Stream).searchStays
	}
	return nil
}

// staySearch is another look at the points of a range for its stays.
type staySearch struct {
	from int64 // the timestamp from which on points were not looked at, Unix milliseconds
}

// searchStays looks at the points of the range and writes the clusters as they are found.
func (s *Stream) searchStays() error {
	if s.query == nil {
		if err := s.read(s.history.db.ReadPositions(s.ctx, s.session, s.search.from, s.request.End)); err != nil {
			return s.failure(err)
		}
	}
	for !s.piece.full() {
		if !s.query.Next() {
			s.search = nil
			s.stays, s.stage = s.finder.Finish(), (*Stream).staysJSON
			return s.endQuery()
		}
		p := s.query.Point()
		s.search.from = p.Timestamp + 1
		s.findIn(p)
		if s.finder.Found() > 0 {
			s.appendStays(s.finder.Take())
		}
	}
	return nil
}

// findIn gives the finder of stays a point, unless it is an outlier.
func (s *Stream) findIn(p *schema.DataPoint) {
	if p.Outlier == schema.NotOutlier {
		s.finder.Add(p.Timestamp, stays.Position{Latitude: p.Latitude, Longitude: p.Longitude})
	}
}

func (s *Stream) staysJSON() error {
	for !s.piece.full() {
		if len(s.stays) == 0 {
			s.stage = (*Stream).endJSON
			return nil
		}
		s.appendStays(s.stays[:1])
		s.stays = s.stays[1:]
	}
	return nil
}

// appendStays writes clusters behind those that were written.
func (s *Stream) appendStays(found []stays.Stay) {
	for i := range found {
		if s.staysMade {
			s.piece.buffer = append(s.piece.buffer, ',')
		}
		s.piece.buffer, s.staysMade = appendStay(s.piece.buffer, &found[i]), true
	}
}

func (s *Stream) endJSON() error {
	out := append(s.piece.buffer, ']')
	if s.page.next != "" {
		out = append(append(append(out, `,"next_cursor":"`...), s.page.next...), '"')
	}
	s.piece.buffer = append(out, '}')
	s.stage = nil
	return nil
}

// appendStay appends the JSON of a stationary cluster.
func appendStay(dst []byte, c *stays.Stay) []byte {
	dst = append(dst, `{"centroid_location":{"type":"Feature","geometry":{"type":"Point","coordinates":[`...)
	dst = wire.AppendFloat(dst, c.Longitude, 64)
	dst = append(dst, ',')
	dst = wire.AppendFloat(dst, c.Latitude, 64)
	dst = append(dst, `]},"properties":{}},"start_timestamp":`...)
	dst = wire.AppendTime(dst, c.Start)
	dst = append(dst, `,"end_timestamp":`...)
	dst = wire.AppendTime(dst, c.End)
	dst = append(dst, `,"point_count":`...)
	dst = wire.AppendDecimal(dst, int64(c.Points), 0)
	dst = append(dst, `,"radius_miles":`...)
	dst = wire.AppendFloat(dst, c.RadiusMeters/stays.MetersPerMile, 64)
	return append(dst, '}')
}
