package decode

import (
	"encoding/json"
	"net/url"
)

// readGPSLogger reads what GPSLogger for Android sends to a custom address: parameters, a form, or a JSON
// object that its user has typed, with the same names or those of our own ingest body.
func readGPSLogger(r *appReader) error {
	if isJSON, err := r.readForm(); err != nil {
		return err
	} else if !isJSON {
		return readGPSLoggerPoint(r)
	}
	var body map[string]json.RawMessage
	if err := r.decodeJSON(&body); err != nil {
		return err
	}
	var points []map[string]json.RawMessage
	if json.Unmarshal(body["points"], &points) != nil {
		points = []map[string]json.RawMessage{body}
	}
	outer := r.message.Parameter
	for _, point := range points {
		r.with(func(name string) string {
			var text string
			if raw := point[name]; raw == nil || string(raw) == "null" {
				return outer(name)
			} else if json.Unmarshal(raw, &text) != nil {
				text = string(raw)
			}
			return text
		})
		if err := readGPSLoggerPoint(r); err != nil {
			return err
		}
	}
	return nil
}

// readGPSLoggerPoint reads one position. 0.0 is what the app says of what it does not know.
func readGPSLoggerPoint(r *appReader) error {
	p := knownNothing(r.first("id", "deviceid", "device_mac_address", "device_id", "aid", "ser"))
	if !r.place(&p) && p.device == "" {
		return nil // somebody looks at the address
	}
	at := r.first("time", "timestamp", "timeoffset")
	if decoded, err := url.PathUnescape(at); err == nil {
		at = decoded // which the app encodes once more in every text but the address's
	}
	r.arrivalUnless(&p, at)
	p.altitude, p.accuracy = unlessZero(r.number("alt", "altitude")), unlessZero(unlessNegative(r.number("acc", "accuracy")))
	p.heading, p.speed = unlessZero(unlessNegative(r.number("dir", "heading", "bearing"))), unlessZero(unlessNegative(r.number("spd", "speed")))
	if kmh := r.number("spd_kph"); p.speed != p.speed && kmh > 0 {
		p.speed = kmh / 3.6
	}
	p.battery = unlessNegative(r.number("batt")) / 100
	return r.add(&p)
}
