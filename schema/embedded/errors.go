package embedded

import (
	"regexp"
	"strconv"
)

// Codes of ClickHouse's that this package reports itself.
const (
	codeUnknownSetting = 115
	codeNotImplemented = 48
	codeSyntaxError    = 62
)

// exception is an error of the engine's: ClickHouse's text and its code, 0 if
// the text has none.
type exception struct {
	code int
	text string
}

var exceptionCode = regexp.MustCompile(`Code: (\d+)\.`)

func newException(text string) *exception {
	e := &exception{text: text}
	if m := exceptionCode.FindStringSubmatch(text); m != nil {
		e.code, _ = strconv.Atoi(m[1])
	}
	return e
}

func (e *exception) Error() string { return e.text }
