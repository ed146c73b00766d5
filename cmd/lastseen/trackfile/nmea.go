package trackfile

import (
	"bufio"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/adrianmo/go-nmea"
)

// nmeaEpoch is what a receiver says about one moment, in several sentences.
type nmeaEpoch struct {
	place     Place
	timeOfDay string // hhmmss.sss, as it stands there; empty: nothing is known
	rec       record
	position  bool
}

// nmeaReader puts sentences together.
type nmeaReader struct {
	file   *file
	epoch  nmeaEpoch
	date   string // yyyy-mm-dd, of the last sentence that said one
	dateAt string // the time of day to which it belongs
}

// readNMEA yields the positions of an NMEA 0183 recording: RMC says position, date, speed and course, GGA
// altitude, ZDA a date, and all that name one time of day are one fix. The library reads the sentences;
// times are taken from their texts, because it rounds fractions of a second.
func (f *file) readNMEA(in *bufio.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), maxLineBytes)
	r := &nmeaReader{file: f}
	line := 0
	for lines.Scan() {
		line++
		_, text, found := strings.Cut(lines.Text(), "$")
		if !found {
			continue // a comment, or AIS beside it
		}
		if !r.sentence(Place{Line: line}, "$"+strings.TrimSpace(text)) {
			return nil
		}
	}
	if !r.flush() {
		return nil
	}
	if err := lineError(lines.Err(), line, "NMEA recording"); err != nil {
		return err
	}
	if !f.yielded {
		return errors.New("the NMEA recording has no valid position (RMC or GGA)")
	}
	return nil
}

// sentence takes in one sentence and reports whether to go on.
func (r *nmeaReader) sentence(place Place, text string) bool {
	if star := strings.LastIndexByte(text, '*'); star >= 0 && len(text) > star+3 {
		text = text[:star+3] // loggers add times of their own behind
	}
	parsed, err := nmea.Parse(text)
	var unknown *nmea.NotSupportedError
	switch {
	case errors.As(err, &unknown):
		return true
	case err != nil:
		return r.flush() && r.file.reject(place, "the sentence does not parse: "+printable(strings.TrimPrefix(err.Error(), "nmea: ")))
	}
	switch s := parsed.(type) {
	case nmea.RMC:
		return r.rmc(place, &s)
	case nmea.GGA:
		if s.FixQuality == nmea.Invalid {
			return true
		}
		if !r.at(place, s.Fields[0]) {
			return false
		}
		r.position(s.Latitude, s.Longitude)
		if s.Fields[8] != "" {
			r.epoch.rec.add("altitude", number(s.Altitude))
		}
	case nmea.ZDA:
		if s.Day > 0 {
			return r.dated(fmt.Sprintf("%04d-%02d-%02d", s.Year, s.Month, s.Day), s.Fields[0])
		}
	}
	return true
}

// rmc takes in the sentence that has almost everything.
func (r *nmeaReader) rmc(place Place, s *nmea.RMC) bool {
	if s.Date.Valid {
		century := 2000
		if s.Date.YY >= 80 { // GPS began in 1980
			century = 1900
		}
		if !r.dated(fmt.Sprintf("%04d-%02d-%02d", century+s.Date.YY, s.Date.MM, s.Date.DD), s.Fields[0]) {
			return false
		}
	}
	if s.Validity != nmea.ValidRMC {
		return true
	}
	if !r.at(place, s.Fields[0]) {
		return false
	}
	r.position(s.Latitude, s.Longitude)
	if s.Fields[6] != "" {
		r.epoch.rec.add("speed", number(s.Speed*1852/3600))
	}
	if s.Fields[7] != "" {
		r.epoch.rec.add("heading", number(s.Course))
	}
	return true
}

// dated takes in a date that holds at a time of day. The epoch before, which may lie days back, keeps the one that was known
// then, unless there was none.
func (r *nmeaReader) dated(date, at string) bool {
	if r.date != "" && r.epoch.timeOfDay != at && !r.flush() {
		return false
	}
	r.date, r.dateAt = date, at
	return true
}

// at makes an epoch the current one, and yields the one before.
func (r *nmeaReader) at(place Place, timeOfDay string) bool {
	if r.epoch.timeOfDay != timeOfDay && !r.flush() {
		return false
	}
	r.epoch.place, r.epoch.timeOfDay = place, timeOfDay
	return true
}

// position notes the first position of an epoch; RMC and GGA say the same one.
func (r *nmeaReader) position(latitude, longitude float64) {
	if r.epoch.position {
		return
	}
	r.epoch.position = true
	r.epoch.rec.add("latitude", number(latitude))
	r.epoch.rec.add("longitude", number(longitude))
}

// flush yields the current epoch and reports whether to go on.
func (r *nmeaReader) flush() bool {
	e := r.epoch
	r.epoch = nmeaEpoch{}
	switch {
	case !e.position:
		return true
	case r.date == "":
		return r.file.reject(e.place, "the position has no date: no RMC or ZDA sentence came before it")
	case len(e.timeOfDay) < 6:
		return r.file.reject(e.place, "the position has no time")
	}
	e.rec.place = e.place
	e.rec.add("timestamp", nmeaTime(r.date, r.dateAt, e.timeOfDay))
	return r.file.emit(&e.rec)
}

// nmeaTime joins a date, known at a time of day, to another time of day: after midnight until a sentence
// says the new date, and before it when the new date came first.
func nmeaTime(date, dateAt, timeOfDay string) string {
	at := date + "T" + timeOfDay[:2] + ":" + timeOfDay[2:4] + ":" + timeOfDay[4:] + "Z"
	ms, err := parseTime(at, nil)
	reference, wrong := parseTime(date+"T"+dateAt[:min(2, len(dateAt))]+":00:00Z", nil)
	const half, day = 12 * 3600 * 1000, 24 * 3600 * 1000
	switch {
	case err != nil || wrong != nil:
		return at // whose error says what is wrong with it
	case reference-ms > half:
		return unixMilliText(ms + day)
	case ms-reference > half:
		return unixMilliText(ms - day)
	}
	return at
}

func unixMilliText(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339Nano) }

func number(value float64) string { return strconv.FormatFloat(value, 'f', -1, 64) }
