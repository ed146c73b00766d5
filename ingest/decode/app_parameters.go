package decode

import (
	"net/url"
	"strings"
	"time"

	"lastseen/schema"
)

// parameterTime reads a time among the parameters: in UTC where it says no zone, for Traccar's clients
// write such ones.
func parameterTime(text string) (ms int64, ok bool) {
	if ms, ok = schema.ParseTimestampIn(text, time.UTC); ok {
		return ms, true
	}
	// An unescaped + in an address arrives as a space.
	if i := strings.LastIndexByte(text, ' '); i > len("2026-01-15T") {
		return schema.ParseTimestamp(text[:i] + "+" + text[i+1:])
	}
	return 0, false
}

// first is the first parameter of some names that is there.
func (r *appReader) first(names ...string) string {
	for _, name := range names {
		if value := r.message.Parameter(name); value != "" {
			return value
		}
	}
	return ""
}

// number is the number of the first parameter that is there, or NaN.
func (r *appReader) number(names ...string) float64 {
	return looseNumber(r.first(names...))
}

// place reads the parameters lat and lon, or location=lat,lon, and reports whether there are any.
func (r *appReader) place(p *position) bool {
	latitude, longitude := r.first("lat", "latitude"), r.first("lon", "longitude")
	if latitude == "" && longitude == "" {
		latitude, longitude, _ = strings.Cut(r.message.Parameter("location"), ",")
	}
	p.latitude, p.longitude = looseNumber(latitude), looseNumber(longitude)
	return latitude != "" || longitude != ""
}

// arrivalUnless reads a time, and takes that of the arrival when there is none.
func (r *appReader) arrivalUnless(p *position, text string) {
	if text == "" {
		p.timestamp, p.timed = r.message.Now.UnixMilli(), true
		return
	}
	p.timestamp, p.timed = parameterTime(text)
}

// readForm makes the parameters those of the form in the body, and of the address where the form is silent. It changes
// nothing for a body that is empty or JSON, and reports whether it is JSON. No content type is asked: an app may
// send none, and a form that was passed over would be a position that is lost while its app takes it for stored.
func (r *appReader) readForm() (isJSON bool, err error) {
	if isBlank(r.message.Body) {
		return false, nil
	}
	text := strings.TrimSpace(string(r.message.Body))
	if text == "" || text[0] == '{' || text[0] == '[' {
		return true, nil
	}
	form, err := url.ParseQuery(text)
	if err != nil || !strings.Contains(text, "=") {
		return false, errAppForm
	}
	address := r.message.Parameter
	r.with(func(name string) string {
		if value := form.Get(name); value != "" {
			return value
		}
		return address(name)
	})
	return false, nil
}

// with makes the message's parameters those of another source.
func (r *appReader) with(parameter func(string) string) *appReader {
	message := *r.message
	message.Parameter = parameter
	r.message = &message
	return r
}
