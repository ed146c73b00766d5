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
	inRange := s.page.whole && s.request.BucketSeconds == 0 // the points are all that clusters need
	out, separate, encoded := s.piece.buffer, s.points > 0, s.session
	for len(out) < pieceSize {
		p, err := s.nextPoint()
		if err != nil {
			return err
		}
		if p == nil {
			s.stage = (*Stream).findStays
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

// findStays ends the search for stays, after a look at all points of the range when those that were made are but some. Of
// several pages the first has the clusters of the whole range: a stay does not end with a page.
func (s *Stream) findStays() (err error) {
	if s.request.Order == OrderTimestamp && s.page.first && (s.request.BucketSeconds > 0 || !s.page.whole) {
		s.query, err = s.history.db.ReadPositions(s.ctx, s.session, s.from, s.request.End)
		if err != nil {
			return s.failure(err)
		}
		for s.query.Next() {
			s.findIn(s.query.Point())
		}
		if err := s.endQuery(); err != nil {
			return err
		}
	}
	s.stays = s.finder.Finish()
	s.piece.buffer = append(s.piece.buffer, `],"stationary_clusters":[`...)
	s.stage = (*Stream).staysJSON
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
		s.piece.buffer = appendStay(s.piece.buffer, &s.stays[0])
		if s.stays = s.stays[1:]; len(s.stays) > 0 {
			s.piece.buffer = append(s.piece.buffer, ',')
		}
	}
	return nil
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
