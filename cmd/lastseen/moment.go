package main

import (
	"fmt"
	"strings"
	"time"
)

// moment is a point in time on the command line: in RFC 3339, or a day, which stands for its beginning
// in UTC.
type moment struct{ time.Time }

// UnmarshalText reads a moment. Words such as yesterday are refused: the same command would mean another
// time when it is run again, and an export goes on when it is.
func (m *moment) UnmarshalText(text []byte) (err error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if m.Time, err = time.Parse(layout, string(text)); err == nil {
			return nil
		}
	}
	day := time.Now().UTC().Truncate(24 * time.Hour)
	switch strings.ToLower(string(text)) {
	case "yesterday":
		day = day.AddDate(0, 0, -1)
	case "tomorrow":
		day = day.AddDate(0, 0, 1)
	}
	return fmt.Errorf("%q is no time: give a day such as %s, which begins at midnight UTC, or a time such as %s",
		text, day.Format(time.DateOnly), day.Add(15*time.Hour+4*time.Minute).Format(time.RFC3339))
}
