package embedded

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
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

// exceptionName is the name of the error, which is the last word of the text but for the version.
var exceptionName = regexp.MustCompile(`\(([A-Z][A-Z0-9_]+)\)`)

// forClient returns what clickhouse-go would make of the text, had a server
// put it into the body.
func (e *exception) forClient() error {
	if e.code == 0 {
		return e
	}
	const class = "DB::Exception"
	_, message, found := strings.Cut(e.text, class+": ")
	if !found {
		message = e.text
	}
	name := ""
	if all := exceptionName.FindAllStringSubmatch(message, -1); all != nil {
		name = all[len(all)-1][1]
	}
	return &clickhouse.Exception{Code: int32(e.code), Name: class, CodeName: name, Message: message}
}

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
