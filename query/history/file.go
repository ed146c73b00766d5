package history

import (
	"fmt"
	"io"

	"lastseen/query/history/format"
	"lastseen/schema"
)

// startExport begins the query of a format that ClickHouse writes.
func (s *Stream) startExport() (err error) {
	r := &s.request
	s.file, err = s.history.db.ExportDataPoints(s.ctx, schema.Export{
		Session: s.session, Format: r.Format.Export(), Start: s.page.start, End: s.page.end,
		BucketSeconds: r.BucketSeconds, Receipts: s.page.receipts, MaxRows: s.history.limits.Points,
	})
	return err
}

// copyFile writes what ClickHouse writes. ClickHouse's pieces can be tiny, so they are collected.
func (s *Stream) copyFile(out *output) error {
	for {
		n, err := s.file.Read(out.buffer[len(out.buffer):pieceSize])
		out.buffer = out.buffer[:len(out.buffer)+n]
		if err == io.EOF { // no other error is the proper end
			err = s.file.Close()
			s.file = nil
			if err != nil {
				return fmt.Errorf("end the query of a history: %w", err)
			}
			return out.flush()
		}
		if err != nil {
			return s.failure(err)
		}
		if err := out.flushFull(); err != nil {
			return err
		}
	}
}

// writeFormat writes the points in a format that is written point by point.
func (s *Stream) writeFormat(out *output, points *format.Points) error {
	out.buffer = points.Begin(out.buffer, s.session)
	for first := true; s.nextPoint(); first = false {
		out.buffer = points.Point(out.buffer, s.points.Point(), first)
		out.points++
		if err := out.flushFull(); err != nil {
			return err
		}
	}
	if err := s.endPoints(); err != nil {
		return err
	}
	out.buffer = append(out.buffer, points.End...)
	if len(out.buffer) == 0 {
		return nil
	}
	return out.flush()
}
