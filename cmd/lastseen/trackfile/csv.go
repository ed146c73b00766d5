package trackfile

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// readCSV yields the rows of a table. A first row with a number in it is data, and the columns are
// then called 1, 2, 3 and so on.
func (f *file) readCSV(in *bufio.Reader) error {
	reader := csv.NewReader(in)
	reader.Comma = delimiter(in)
	reader.FieldsPerRecord = -1
	reader.ReuseRecord = true
	reader.LazyQuotes = true
	var columns []string
	var rec record
	for {
		row, err := reader.Read()
		if err == io.EOF {
			break
		}
		if syntax := (*csv.ParseError)(nil); errors.As(err, &syntax) {
			rowErr := &RowError{Place: Place{Line: syntax.StartLine}, Detail: "the row does not parse: " + syntax.Err.Error()}
			if !f.yield(Fix{}, rowErr) {
				return nil
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("read the table: %w", err)
		}
		line, _ := reader.FieldPos(0)
		if columns == nil {
			header := isHeader(row)
			columns = columnNames(row, header)
			if err := f.resolver.checkColumns(columns); err != nil {
				return err
			}
			if header {
				continue
			}
		}
		if len(row) != len(columns) {
			rowErr := &RowError{Place: Place{Line: line}, Detail: fmt.Sprintf("the row has %d columns where the first row has %d", len(row), len(columns))}
			if !f.yield(Fix{}, rowErr) {
				return nil
			}
			continue
		}
		rec = record{place: Place{Line: line}, names: columns, values: row}
		if !f.emit(&rec) {
			return nil
		}
	}
	if columns == nil {
		return errors.New("the file is empty")
	}
	return nil
}

// delimiter tells comma, semicolon and tab apart by counting them in the first line.
func delimiter(in *bufio.Reader) rune {
	start, _ := in.Peek(in.Size()) // an error shows again on the first read
	start, _, _ = bytes.Cut(start, []byte("\n"))
	best := ','
	for _, candidate := range ",;\t" {
		if bytes.Count(start, []byte(string(candidate))) > bytes.Count(start, []byte(string(best))) {
			best = candidate
		}
	}
	return best
}

// isHeader reports whether a first row names columns: no cell of it is a number.
func isHeader(row []string) bool {
	for _, cell := range row {
		if _, err := strconv.ParseFloat(strings.TrimSpace(cell), 64); err == nil {
			return false
		}
	}
	return true
}

func columnNames(row []string, header bool) []string {
	names := make([]string, len(row))
	for i, cell := range row {
		names[i] = strconv.Itoa(i + 1)
		if header {
			names[i] = strings.TrimSpace(strings.Clone(cell))
		}
	}
	return names
}
