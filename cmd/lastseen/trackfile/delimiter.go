package trackfile

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"strings"
)

// delimiters are those of tables, best first among equals: where a comma stands beside another one, it is
// more likely a decimal mark or part of a text.
const delimiters = ";\t|,"

// delimiter finds what stands between a table's columns, and how many lines come before the table: one
// when the file says sep=; or the like, as spreadsheets understand it, which is honoured.
func (f *file) delimiter(in *bufio.Reader) (comma rune, skipped int, err error) {
	start, _ := in.Peek(in.Size()) // an error shows again on the first read
	line, _, _ := bytes.Cut(start, []byte("\n"))
	said := strings.TrimSuffix(string(line), "\r")
	if value, ok := strings.CutPrefix(strings.ToLower(strings.Trim(said, `"`)), "sep="); ok && len(value) == 1 && value != `"` {
		_, err := in.Discard(min(len(line)+1, len(start)))
		return rune(value[0]), 1, err
	}
	comma = ','
	var best delimiterScore
	for _, candidate := range delimiters {
		if score := f.score(start, candidate); score.better(best) {
			comma, best = candidate, score
		}
	}
	return comma, 0, nil
}

// delimiterScore is how well a delimiter fits the first row.
type delimiterScore struct{ known, columns int }

func (s delimiterScore) better(than delimiterScore) bool {
	if s.known != than.known {
		return s.known > than.known
	}
	return s.columns > than.columns
}

// score splits the first row, as the table's reader would, and counts the columns and those of them that
// are known by their names.
func (f *file) score(start []byte, comma rune) (score delimiterScore) {
	reader := csv.NewReader(bytes.NewReader(start))
	reader.Comma, reader.FieldsPerRecord, reader.LazyQuotes = comma, -1, true
	row, err := reader.Read()
	if err != nil || len(row) < 2 {
		return score
	}
	by := loggerOf(columnNames(row, true))
	for _, name := range row {
		if f.resolver.find(by, strings.TrimSpace(name)).ok {
			score.known++
		}
	}
	score.columns = len(row)
	return score
}
