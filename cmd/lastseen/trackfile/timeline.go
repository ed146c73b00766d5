package trackfile

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// segment is a part of Google's Timeline, as phones export it since 2024: Android's Timeline.json holds a
// list of them under semanticSegments, iOS's location-history.json is the list.
type segment struct {
	StartTime    string `json:"startTime"`
	TimelinePath []struct {
		Point   string      `json:"point"`                              // "50.1°, 8.1°" or "geo:50.1,8.1"
		Time    string      `json:"time"`                               // Android
		Minutes json.Number `json:"durationMinutesOffsetFromStartTime"` // iOS
	} `json:"timelinePath"`
}

// emitSegment yields the points of a segment's path. Visits and activities are Google's guesses about
// the same time, and left out.
func (f *file) emitSegment(place Place, raw json.RawMessage) bool {
	var s segment
	if err := json.Unmarshal(raw, &s); err != nil {
		return f.reject(place, "the segment of the timeline does not parse")
	}
	for i, point := range s.TimelinePath {
		place.Part = i + 1
		rec := record{place: place}
		at := point.Time
		if at == "" {
			at = later(s.StartTime, point.Minutes)
		}
		rec.add("timestamp", at)
		rec.addLatLng(point.Point)
		if !f.emit(&rec) {
			return false
		}
	}
	return true
}

// later is a number of minutes after a time, or "" when either does not parse.
func later(start string, minutes json.Number) string {
	begin, err := time.Parse(time.RFC3339Nano, start)
	offset, wrong := strconv.ParseFloat(minutes.String(), 64)
	if err != nil || wrong != nil {
		return ""
	}
	return begin.Add(time.Duration(offset * float64(time.Minute))).Format(time.RFC3339Nano)
}

// emitSignal yields a position among the timeline's raw signals; other signals are no positions.
func (f *file) emitSignal(place Place, raw json.RawMessage) bool {
	var signal struct {
		Position map[string]json.RawMessage `json:"position"`
	}
	if json.Unmarshal(raw, &signal) != nil || signal.Position == nil {
		return true
	}
	rec := record{place: place}
	for from, to := range map[string]string{
		"timestamp": "timestamp", "accuracyMeters": "accuracy", "altitudeMeters": "altitude", "speedMetersPerSecond": "speed", "headingDegrees": "heading",
	} {
		rec.add(to, valueText(signal.Position[from]))
	}
	point := valueText(signal.Position["LatLng"])
	if point == "" {
		point = valueText(signal.Position["latLng"])
	}
	rec.addLatLng(point)
	return f.emit(&rec)
}

// addLatLng adds a position that stands in one text.
func (r *record) addLatLng(text string) {
	text = strings.ReplaceAll(strings.TrimPrefix(text, "geo:"), "°", "")
	latitude, longitude, _ := strings.Cut(text, ",")
	r.add("latitude", latitude)
	r.add("longitude", longitude)
}
