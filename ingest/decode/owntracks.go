package decode

import (
	"strings"

	"lastseen/schema"
)

// ownTracksMessage is what is read of a message of OwnTracks in HTTP mode.
type ownTracksMessage struct {
	Type      looseText `json:"_type"`
	Topic     looseText `json:"topic"`
	TID       looseText `json:"tid"`
	Latitude  *loose    `json:"lat"`
	Longitude *loose    `json:"lon"`
	Time      looseText `json:"tst"` // Unix seconds, of senders of its messages also milliseconds
	Accuracy  *loose    `json:"acc"` // metres, 0 unknown
	Altitude  *loose    `json:"alt"`
	Velocity  *loose    `json:"vel"` // km/h
	Course    *loose    `json:"cog"`
	Battery   *loose    `json:"batt"` // percent
}

// referenceDate is 2001-01-01, from which Overland counts in its OwnTracks mode, in Unix milliseconds.
const referenceDate = 978_307_200_000

// readOwnTracks reads a message. Only a location is a position: a transition comes beside one, and an
// encrypted message cannot be read. An empty body says that a friend is gone.
func readOwnTracks(r *appReader) error {
	if isBlank(r.message.Body) {
		return nil
	}
	var m ownTracksMessage
	if err := r.decodeJSON(&m); err != nil {
		return err
	}
	switch m.Type {
	case "location":
	case "encrypted":
		r.batch.Unreadable++
		return nil
	default:
		return nil
	}
	p := knownNothing(ownTracksDevice(r, &m))
	p.latitude, p.longitude = m.Latitude.value(), m.Longitude.value()
	if p.timestamp, p.timed = schema.ParseTimestamp(string(m.Time)); p.timed {
		if late := r.message.Now.UnixMilli() - (p.timestamp + referenceDate); late > -day && late < day {
			p.timestamp += referenceDate
			r.reply = ReplyOK // Overland wants to hear what it always hears
		}
	}
	p.accuracy, p.altitude = unlessZero(unlessNegative(m.Accuracy.value())), m.Altitude.value()
	p.speed, p.heading = unlessNegative(m.Velocity.value())/3.6, unlessNegative(m.Course.value())
	p.battery = unlessNegative(m.Battery.value()) / 100
	return r.add(&p)
}

// ownTracksTails are what follows the names of the user and the device in a topic.
var ownTracksTails = []string{"/event", "/status", "/waypoint", "/waypoints", "/cmd", "/dump", "/step", "/beacon"}

// ownTracksDevice is the device's name: of the topic, of the headers, of the address, or at last the two
// letters that the device shows on a map.
func ownTracksDevice(r *appReader, m *ownTracksMessage) string {
	if topic, ok := strings.CutPrefix(string(m.Topic), "owntracks/"); ok && topic != "" {
		for _, tail := range ownTracksTails {
			topic = strings.TrimSuffix(topic, tail)
		}
		return topic
	}
	for _, pair := range [][2]string{{r.message.User, r.message.Device}, {r.message.Parameter("u"), r.message.Parameter("d")}} {
		switch {
		case pair[0] != "" && pair[1] != "":
			return pair[0] + "/" + pair[1]
		case pair[1] != "":
			return pair[1]
		}
	}
	return string(m.TID)
}
