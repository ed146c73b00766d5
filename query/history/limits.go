package history

import (
	"fmt"
	"lastseen/schema"
	"time"
)

// Limits bound one answer of a history; zero means no bound.
type Limits struct {
	Points int64
	Bytes  int64 // before a content coding
	Time   time.Duration
}

// check returns a schema.Invalid about limit when an answer is past a limit.
func (l *Limits) check(points, bytes int64, began time.Time) error {
	switch {
	case l.Points > 0 && points > l.Points:
		return l.tooManyPoints()
	case l.Bytes > 0 && bytes > l.Bytes:
		return tooLong(fmt.Sprintf("%d bytes", l.Bytes))
	case l.ended(began):
		return tooLong(l.Time.String())
	}
	return nil
}

// ends returns when an answer has taken as long as it may, the zero time where there is no such limit.
func (l *Limits) ends(began time.Time) time.Time {
	if l.Time <= 0 {
		return time.Time{}
	}
	return began.Add(l.Time)
}

func (l *Limits) ended(began time.Time) bool {
	ends := l.ends(began)
	return !ends.IsZero() && time.Now().After(ends)
}

func (l *Limits) tooManyPoints() error {
	return tooLong(fmt.Sprintf("%d points", l.Points))
}

// tooLong says which limit was reached and how to get the rest.
func tooLong(limit string) error {
	return schema.Invalid.About("limit", "the answer would pass the limit of %s: ask for it in pages with limit, and go on with cursor from each Next-Cursor, or for a shorter range", limit)
}
