package terminal

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable returns text as one line that a terminal shows as it is: what would move the cursor, change
// colours or the direction of writing, or is no UTF-8, stands there in the form of a Go string, such as
// \x1b or \n.
func Printable(text string) string {
	return escape(text, "")
}

// escape quotes what does not print and is not among the kept characters.
func escape(text, kept string) string {
	prints := func(r rune) bool { return unicode.IsPrint(r) || strings.ContainsRune(kept, r) }
	if utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return !prints(r) }) < 0 {
		return text
	}
	var escaped strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		if prints(r) && (r != utf8.RuneError || size > 1) {
			escaped.WriteString(text[:size])
		} else {
			quoted := strconv.Quote(text[:size])
			escaped.WriteString(quoted[1 : len(quoted)-1])
		}
		text = text[size:]
	}
	return escaped.String()
}
