package trackfile

import (
	"encoding/json"
	"strconv"
	"strings"
)

// takeout is a position of Google Takeout's Records.json.
var takeout = &logger{columns: map[string]loggerColumn{
	"timestampms": {field: fieldTimestamp, unit: unitOf(times, "ms")}, "timestamp": {field: fieldTimestamp},
	"velocity": {field: fieldSpeed}, "devicetag": {ignored: true}, "source": {ignored: true},
}}

// emitTakeout yields a position of Google Takeout's Records.json, whose degrees are whole numbers of a
// ten-millionth. A position without coordinates, which those files have some of, is left out.
func (f *file) emitTakeout(place Place, object map[string]json.RawMessage) bool {
	if object["latitudeE7"] == nil && object["longitudeE7"] == nil {
		return true
	}
	rec := record{place: place, logger: takeout}
	for _, name := range []string{"timestamp", "timestampMs", "accuracy", "altitude", "velocity", "heading"} {
		if raw := object[name]; raw != nil {
			rec.add(name, valueText(raw))
		}
	}
	rec.add("latitude", degreesE7(object["latitudeE7"], 90))
	rec.add("longitude", degreesE7(object["longitudeE7"], 180))
	return f.emit(&rec)
}

// degreesE7 writes ten-millionths of a degree in degrees. Old files have some that overflowed 32 bits.
func degreesE7(raw json.RawMessage, most int64) string {
	text := valueText(raw)
	units, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return text // which is then said to be no number
	}
	if units > most*1e7 {
		units -= 1 << 32
	}
	return strconv.FormatFloat(float64(units)/1e7, 'f', -1, 64)
}
