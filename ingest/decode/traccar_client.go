package decode

import "lastseen/schema"

// traccarMessage is what Traccar Client 9 sends.
type traccarMessage struct {
	Device   looseText `json:"device_id"`
	Location *struct {
		Timestamp looseText `json:"timestamp"`
		Coords    *struct {
			Latitude  *loose `json:"latitude"`
			Longitude *loose `json:"longitude"`
			Accuracy  *loose `json:"accuracy"`
			Speed     *loose `json:"speed"` // metres a second, unlike in the other generations
			Heading   *loose `json:"heading"`
			Altitude  *loose `json:"altitude"`
		} `json:"coords"`
		Battery struct {
			Level *loose `json:"level"` // 0 to 1
		} `json:"battery"`
	} `json:"location"`
}

// readTraccarClient reads the three generations of Traccar Client: parameters of the address (to 7), JSON
// (9), and a form (from 10).
func readTraccarClient(r *appReader) error {
	if isJSON, err := r.readForm(); err != nil {
		return err
	} else if isJSON {
		return readTraccarJSON(r)
	}
	p := knownNothing(r.first("id", "deviceid"))
	if !r.place(&p) || r.message.Parameter("valid") == "false" || r.message.Parameter("valid") == "0" {
		return nil // cells only, a token for messages to the app, or no fix
	}
	r.arrivalUnless(&p, r.message.Parameter("timestamp"))
	p.accuracy, p.altitude = unlessZero(unlessNegative(r.number("accuracy"))), r.number("altitude")
	p.speed, p.heading = unlessNegative(r.number("speed"))*knots, unlessNegative(r.number("bearing", "heading"))
	p.battery = unlessZero(unlessNegative(r.number("batt"))) / 100
	return r.add(&p)
}

// readTraccarJSON reads the message of Traccar Client 9.
func readTraccarJSON(r *appReader) error {
	var m traccarMessage
	if err := r.decodeJSON(&m); err != nil {
		return err
	}
	if m.Location == nil || m.Location.Coords == nil {
		return nil
	}
	c := m.Location.Coords
	p := knownNothing(string(m.Device))
	p.timestamp, p.timed = schema.ParseTimestamp(string(m.Location.Timestamp))
	p.latitude, p.longitude = c.Latitude.value(), c.Longitude.value()
	p.accuracy, p.altitude = unlessNegative(c.Accuracy.value()), c.Altitude.value()
	p.speed, p.heading = unlessNegative(c.Speed.value()), unlessNegative(c.Heading.value())
	p.battery = unlessNegative(m.Location.Battery.Level.value())
	return r.add(&p)
}
