package apikey

import (
	"time"
	"unicode"
	"unicode/utf8"

	"lastseen/schema"
)

const (
	maxNameLength  = 100 // characters
	maxExpiryYears = 5
	// MaxGrace is the longest time that a replaced key may go on.
	MaxGrace = 7 * 24 * time.Hour
)

// checkName accepts 1 to 100 printable characters of any script, not only spaces.
func checkName(name string) error {
	if !utf8.ValidString(name) || utf8.RuneCountInString(name) > maxNameLength {
		return schema.Invalid.About("name", "Give a name of 1 to 100 characters.")
	}
	visible := false
	for _, c := range name {
		switch {
		case unicode.In(c, unicode.L, unicode.N, unicode.P, unicode.S):
			visible = true
		case c == '\u200c' || c == '\u200d': // joiners: Persian, Indic scripts and emoji are written with them
		case unicode.IsGraphic(c): // combining marks and spaces
		default:
			return schema.Invalid.About("name", "Give a name without control characters or other characters that cannot be seen.")
		}
	}
	if !visible {
		return schema.Invalid.About("name", "Give a name that is not empty or blank.")
	}
	return nil
}

// checkExpiry accepts a time in the future, at most five years ahead.
func checkExpiry(expiresAt, now time.Time) error {
	if !expiresAt.After(now) {
		return schema.Invalid.About("expires_at_timestamp", "Give an expiry that lies in the future.")
	}
	if expiresAt.After(now.AddDate(maxExpiryYears, 0, 0)) {
		return schema.Invalid.About("expires_at_timestamp", "Give an expiry at most 5 years from now.")
	}
	return nil
}
