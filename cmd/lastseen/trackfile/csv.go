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
	in = withLineFeeds(in)
	comma, skipped, err := f.delimiter(in)
	if err != nil {
		return err
	}
	reader := csv.NewReader(in)
	reader.Comma = comma
	reader.FieldsPerRecord = -1
	reader.ReuseRecord = true
	reader.LazyQuotes = true
	var columns []string
	var rec record
	last, rows := skipped, 0
	for {
		row, err := reader.Read()
		if err == io.EOF {
			break
		}
		if syntax := (*csv.ParseError)(nil); errors.As(err, &syntax) {
			if !f.reject(Place{Line: skipped + syntax.StartLine}, "the row does not parse: "+syntax.Err.Error()) {
				return nil
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("after line %d: %w", last, err)
		}
		line, _ := reader.FieldPos(0)
		line += skipped
		last = line
		if columns == nil {
			header := isHeader(row)
			columns = columnNames(row, header)
			rec.logger = loggerOf(columns)
			if err := f.resolver.checkColumns(rec.logger, columns); err != nil {
				return err
			}
			if header {
				continue
			}
		}
		rows++
		rec.place, rec.names, rec.values = Place{Line: line}, columns, withoutEmptyTail(row, len(columns))
		if n := swallowed(row, comma, len(columns)); n > 0 {
			if !f.reject(rec.place, fmt.Sprintf("a quote is not closed: what follows it has %d lines that look like rows", n)) {
				return nil
			}
			continue
		}
		if !f.emitRow(&rec) {
			return nil
		}
	}
	switch {
	case columns == nil:
		return errors.New("the file is empty")
	case rows == 0:
		f.note("the table has a header and no rows")
	}
	return nil
}

// emitRow yields a row's fix, when it has as many columns as the first one.
func (f *file) emitRow(rec *record) bool {
	if len(rec.values) == len(rec.names) {
		return f.emit(rec)
	}
	return f.reject(rec.place, fmt.Sprintf("the row has %d columns where the first row has %d", len(rec.values), len(rec.names)))
}

// swallowed returns how many lines of one cell look like rows of the table: a quote that is not closed makes the rest of the
// file, or all up to the next quote, the text of its cell.
func swallowed(row []string, comma rune, columns int) (lines int) {
	if columns <= 2 {
		return 0
	}
	for _, cell := range row {
		_, rest, _ := strings.Cut(cell, "\n")
		for line := range strings.SplitSeq(rest, "\n") {
			if strings.Count(line, string(comma)) == columns-1 {
				lines++
			}
		}
	}
	return lines
}

// withLineFeeds makes lines that end in a carriage return alone, as those of old spreadsheets do, end in a line feed.
func withLineFeeds(in *bufio.Reader) *bufio.Reader {
	start, _ := in.Peek(in.Size()) // an error shows again on the first read
	if bytes.IndexByte(start, '\n') >= 0 || bytes.IndexByte(start, '\r') < 0 {
		return in
	}
	return bufio.NewReaderSize(lineFeeds{in}, in.Size())
}

// lineFeeds reads carriage returns as line feeds.
type lineFeeds struct{ in io.Reader }

// Read implements io.Reader.
func (l lineFeeds) Read(p []byte) (int, error) {
	n, err := l.in.Read(p)
	for i, c := range p[:n] {
		if c == '\r' {
			p[i] = '\n'
		}
	}
	return n, err
}

// withoutEmptyTail leaves out what a delimiter at the end of a row adds.
func withoutEmptyTail(row []string, columns int) []string {
	for len(row) > columns && strings.TrimSpace(row[len(row)-1]) == "" {
		row = row[:len(row)-1]
	}
	return row
}

// isHeader reports whether a first row names columns: no cell of it is a number.
func isHeader(row []string) bool {
	for _, cell := range row {
		cell = strings.TrimSpace(cell)
		if _, err := strconv.ParseFloat(cell, 64); err == nil {
			return false
		}
		if _, err := strconv.ParseFloat(strings.Replace(cell, ",", ".", 1), 64); err == nil {
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
