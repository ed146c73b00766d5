package history

import (
	"fmt"
	"io"

	"lastseen/schema"
)

// The stages of a format that is written point by point.

func (s *Stream) beginFormat() error {
	points := s.request.Format.Points()
	s.piece.buffer = append(s.piece.buffer, points.Begin...)
	if points.Track != nil && !s.request.AllSessions { // also where there are no points
		s.piece.buffer = points.Track.Begin(s.piece.buffer, s.session)
		s.track = s.session
	}
	s.stage = (*Stream).pointsFormat
	return nil
}

func (s *Stream) pointsFormat() error {
	points, out := s.request.Format.Points(), s.piece.buffer
	for len(out) < pieceSize {
		p, err := s.nextPoint()
		if err != nil {
			return err
		}
		if p == nil {
			if s.track != (schema.ID{}) {
				out = append(out, points.Track.End...)
			}
			out = append(out, points.End...)
			s.stage = nil
			break
		}
		if points.Track != nil && p.SessionID != s.track {
			out = s.nextTrack(out, p.SessionID)
		}
		out = points.Point(out, p, s.points == 1)
	}
	s.piece.buffer = out
	return nil
}

// nextTrack ends the track of one session, if there is one, and begins that of another.
func (s *Stream) nextTrack(dst []byte, session schema.ID) []byte {
	track := s.request.Format.Points().Track
	if s.track != (schema.ID{}) {
		dst = append(dst, track.End...)
	}
	s.track = session
	return track.Begin(dst, session)
}

// openFile begins the query of a format that ClickHouse writes.
func (s *Stream) openFile() (err error) {
	r := &s.request
	s.file, err = s.history.db.ExportDataPoints(s.ctx, schema.Export{
		Session: s.session, Format: r.Format.Export(), Start: s.page.start, End: s.page.end,
		ArrowCompression: r.ArrowCompression, BucketSeconds: r.BucketSeconds, Arrivals: s.page.arrivals, MaxRows: s.history.limits.Points,
	})
	return err
}

// copyFile is the stage of what ClickHouse writes, in pieces that can be tiny, so they are collected.
func (s *Stream) copyFile() error {
	for !s.piece.full() {
		out := s.piece.buffer
		n, err := s.file.Read(out[len(out):pieceSize])
		s.piece.buffer = out[:len(out)+n]
		if err == io.EOF { // no other error is the proper end
			s.stage = nil
			err = s.file.Close()
			s.file = nil
			if err != nil {
				return fmt.Errorf("end the query of a history: %w", err)
			}
			return nil
		}
		if err != nil {
			return s.failure(err)
		}
	}
	return nil
}
