package trackfile

import (
	"bufio"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// pltHeader is how many lines of an OziExplorer track file come before its points.
const pltHeader = 6

// oziExplorer is a row of OziExplorer's: altitude in feet.
var oziExplorer = &logger{utc: true, columns: map[string]loggerColumn{"altitude": {field: fieldAltitude, unit: unitOf(lengths, "ft")}}}

// readPLT yields the points of an OziExplorer track file, the format of the GeoLife data set too:
// latitude, longitude, whether a new line begins, feet, days since 1899-12-30, and the same as a date and
// a time in words of the program's language. Times are UTC, unless --time-zone says another zone.
func (f *file) readPLT(in *bufio.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), maxLineBytes)
	line := 0
	for lines.Scan() {
		line++
		text := strings.TrimSpace(lines.Text())
		if line == 2 && !strings.HasPrefix(strings.ReplaceAll(text, " ", ""), "WGS84") {
			return fmt.Errorf("the positions are in the datum %s, and only WGS 84 is read: convert them first", quote(text))
		}
		if line <= pltHeader || text == "" {
			continue
		}
		if !f.emitPLT(Place{Line: line}, strings.Split(text, ",")) {
			return nil
		}
	}
	if line < pltHeader && lines.Err() == nil {
		return errors.New("the PLT file ends within its header of six lines")
	}
	return lineError(lines.Err(), line, "PLT track")
}

// emitPLT yields a row's fix and reports whether to go on.
func (f *file) emitPLT(place Place, row []string) bool {
	if len(row) < 5 {
		return f.reject(place, fmt.Sprintf("the row has %d columns where a PLT track has five or more", len(row)))
	}
	rec := record{place: place, logger: oziExplorer}
	rec.add("latitude", row[0])
	rec.add("longitude", row[1])
	if feet := strings.TrimSpace(row[3]); feet != "-777" { // which says that there is none
		rec.add("altitude", feet)
	}
	at := ""
	if len(row) >= 7 {
		at = strings.TrimSpace(row[5]) + " " + strings.TrimSpace(row[6])
		if _, err := time.Parse(time.DateTime, at); err != nil {
			at = "" // not in the form of GeoLife
		}
	}
	if at == "" {
		days, err := strconv.ParseFloat(strings.TrimSpace(row[4]), 64)
		if err != nil || math.Abs(days) > 1e6 {
			return f.reject(place, "the timestamp "+quote(row[4])+" is not a number of days")
		}
		// A fraction of a day is no whole number of milliseconds, so the nearest one is meant.
		ms := int64(math.Round(days * 86_400_000))
		at = time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC).Add(time.Duration(ms) * time.Millisecond).Format("2006-01-02 15:04:05.000")
	}
	rec.add("timestamp", at)
	return f.emit(&rec)
}
