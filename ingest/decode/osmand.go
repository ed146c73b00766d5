package decode

// readOsmAnd reads the parameters of OsmAnd's online tracking. What it calls hdop is Android's accuracy in
// metres, and 0.0 is what it says when it does not know. With speed_unit=kn it reads what a Traccar server
// forwards with forward.type=url.
func readOsmAnd(r *appReader) error {
	if isJSON, err := r.readForm(); err != nil {
		return err
	} else if isJSON {
		return errAppJSON // which is of another app
	}
	p := knownNothing(r.first("id", "deviceid"))
	if !r.place(&p) && p.device == "" {
		return nil // somebody looks at the address
	}
	r.arrivalUnless(&p, r.message.Parameter("timestamp"))
	p.accuracy = unlessZero(unlessNegative(r.number("accuracy", "hdop")))
	p.altitude, p.heading = unlessZero(r.number("altitude")), unlessZero(unlessNegative(r.number("bearing", "heading")))
	p.speed = unlessZero(unlessNegative(r.number("speed")))
	if r.message.Parameter("speed_unit") == "kn" {
		p.speed *= knots
	}
	p.battery = unlessNegative(r.number("batproc", "batt")) / 100
	return r.add(&p)
}
