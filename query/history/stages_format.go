package history

import (
	"fmt"
	"io"

	"lastseen/schema"
)

// The stages of a format that is written point by point.

func (s *Stream) beginFormat() error {
	s.piece.buffer = s.request.Format.Points().Begin(s.piece.buffer, s.session)
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
			out = append(out, points.End...)
			s.stage = nil
			break
		}
		out = points.Point(out, p, s.points == 1)
	}
	s.piece.buffer = out
	return nil
}

// openFile begins the query of a format that ClickHouse writes.
func (s *Stream) openFile() (err error) {
	r := &s.request
	s.file, err = s.history.db.ExportDataPoints(s.ctx, schema.Export{
		Session: s.session, Format: r.Format.Export(), Start: s.page.start, End: s.page.end,
		ArrowCompression: r.ArrowCompression, BucketSeconds: r.BucketSeconds, Receipts: s.page.receipts, MaxRows: s.history.limits.Points,
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
