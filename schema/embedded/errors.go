package embedded

import (
	"fmt"
	"regexp"
	"strconv"
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

// The exceptions that this package makes itself have ClickHouse's codes and
// form, because clickhouse-go takes them apart.

func notImplemented(what string) *exception {
	return &exception{48, fmt.Sprintf("Code: 48. DB::Exception: The embedded engine does not support %s. (NOT_IMPLEMENTED)", what)}
}

func syntaxError(why string) *exception {
	return &exception{62, fmt.Sprintf("Code: 62. DB::Exception: Syntax error: %s. (SYNTAX_ERROR)", why)}
}

func unknownSetting(name string) *exception {
	return &exception{115, fmt.Sprintf("Code: 115. DB::Exception: Unknown setting %q. (UNKNOWN_SETTING)", name)}
}
