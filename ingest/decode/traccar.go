package decode

import (
	"encoding/json"
	"strconv"

	"lastseen/schema"
)

// forwardedMessage is what a Traccar server forwards with forward.type=json.
type forwardedMessage struct {
	Event    json.RawMessage `json:"event"`
	Position *struct {
		FixTime    json.RawMessage `json:"fixTime"` // a text, or Unix milliseconds before 5.4
		Valid      *bool           `json:"valid"`
		Outdated   bool            `json:"outdated"`
		DeviceID   int64           `json:"deviceId"`
		Latitude   *loose          `json:"latitude"`
		Longitude  *loose          `json:"longitude"`
		Altitude   *loose          `json:"altitude"` // 0 unknown, as course and accuracy
		Speed      *loose          `json:"speed"`    // knots
		Course     *loose          `json:"course"`
		Accuracy   *loose          `json:"accuracy"`
		Attributes struct {
			BatteryLevel *loose `json:"batteryLevel"` // percent
			Temperature  *loose `json:"temp1"`
		} `json:"attributes"`
	} `json:"position"`
	Device *struct {
		UniqueID looseText `json:"uniqueId"`
	} `json:"device"`
}

// readForwarded reads a position that a Traccar server forwards. One without a fix, or that repeats an earlier
// place under a new time, is no position, and an event comes beside one.
func readForwarded(r *appReader) error {
	if isBlank(r.message.Body) {
		return nil
	}
	var m forwardedMessage
	if err := r.decodeJSON(&m); err != nil {
		return err
	}
	from := m.Position
	if m.Event != nil || from == nil || from.Outdated || from.Valid != nil && !*from.Valid {
		return nil
	}
	name := ""
	switch {
	case m.Device != nil:
		name = string(m.Device.UniqueID)
	case from.DeviceID != 0:
		name = "traccar-" + strconv.FormatInt(from.DeviceID, 10) // the server had lost the rest
	}
	p := knownNothing(name)
	var text string
	if json.Unmarshal(from.FixTime, &text) != nil {
		text = string(from.FixTime)
	}
	p.timestamp, p.timed = schema.ParseTimestamp(text)
	p.latitude, p.longitude = from.Latitude.value(), from.Longitude.value()
	p.altitude, p.accuracy = unlessZero(from.Altitude.value()), unlessZero(unlessNegative(from.Accuracy.value()))
	p.speed, p.heading = unlessNegative(from.Speed.value())*knots, unlessZero(unlessNegative(from.Course.value()))
	p.battery, p.temperature = unlessNegative(from.Attributes.BatteryLevel.value())/100, from.Attributes.Temperature.value()
	return r.add(&p)
}
