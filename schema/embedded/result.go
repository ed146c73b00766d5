package embedded

import (
	"io"
	"regexp"
	"strings"
)

// source is the result of a statement that is running.
type source interface {
	// next returns the next chunk of the result, never empty, or io.EOF at the
	// end. The chunk dies with the following call. After an error there is no
	// further call but close.
	next() ([]byte, error)
	// close ends the statement, read to its end or not, and waits until the
	// engine has done with it.
	close()
}

// query starts a statement that is no insert of data. A SELECT is streamed,
// whatever its format; all else has small results or none and has run to its
// end when query returns.
func (l *lease) query(s *statement) (source, error) {
	statements, class := l.classify(s.sql)
	switch {
	case strings.TrimSpace(s.sql) == "":
		return nil, syntaxError("the statement is empty")
	case statements > 1:
		return nil, syntaxError("there is more than one statement")
	case statements == 0 && strings.Contains(s.sql, ";"):
		// The engine would run what precedes the error, statement by statement.
		return nil, syntaxError("the statement does not parse, and may be more than one")
	case class == classControl:
		// Like a request without a session, it leaves nothing behind.
		l.dirty = true
	}
	sql, format, ok := splitFormat(s.sql, s.format)
	if !ok || !selects.MatchString(sql) {
		return l.openWhole(s.sql, s.format, s.params)
	}
	if strings.EqualFold(format, "Native") {
		return l.openChunks(sql, format, s.params)
	}
	return l.openPipe(sql, format, s.params)
}

var (
	// selects matches what begins like a SELECT, comments skipped.
	selects    = regexp.MustCompile(`(?is)^(?:\s+|--[^\n]*\n|#[^\n]*\n|/\*.*?\*/)*(?:\(|SELECT\b|WITH\b|FROM\b)`)
	formatTail = regexp.MustCompile(`(?is)\sFORMAT\s+(\w+)[\s;]*$`)
	formatWord = regexp.MustCompile(`(?is)\bFORMAT\s+\w`)
	comment    = regexp.MustCompile(`--|#|/\*`)
)

// splitFormat takes a FORMAT clause off the end of a statement, together with
// a closing semicolon. It is not ok if there may be a clause in a place where
// only the parser can tell.
func splitFormat(sql, format string) (rest, name string, ok bool) {
	if m := formatTail.FindStringSubmatchIndex(sql); m != nil {
		if comment.MatchString(sql) {
			return "", "", false
		}
		return sql[:m[0]], sql[m[2]:m[3]], true
	}
	if formatWord.MatchString(sql) {
		return "", "", false
	}
	return strings.TrimRight(sql, "; \t\r\n"), format, true
}

// whole is a result that is complete in the engine's memory.
type whole struct {
	lease  *lease
	result uintptr
	read   bool
}

func (l *lease) openWhole(sql, format string, params map[string]string) (source, error) {
	w := &whole{lease: l}
	err := l.guard(func() (err error) {
		w.result, err = l.start(l.lib.query, sql, format, params)
		return err
	})
	if err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *whole) next() ([]byte, error) {
	data := w.lease.bytes(w.result)
	if w.read || len(data) == 0 {
		return nil, io.EOF
	}
	w.read = true
	return data, nil
}

func (w *whole) close() {
	if w.result != 0 {
		w.lease.lib.resultDestroy(w.result)
		w.result = 0
	}
}
