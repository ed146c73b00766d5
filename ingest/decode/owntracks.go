package decode

import (
	"strings"
)

// ownTracksMessage is what is read of a message of OwnTracks in HTTP mode.
type ownTracksMessage struct {
	Type      string `json:"_type"`
	Topic     string `json:"topic"`
	TID       string `json:"tid"`
	Latitude  *loose `json:"lat"`
	Longitude *loose `json:"lon"`
	Time      *loose `json:"tst"` // Unix seconds
	Accuracy  *loose `json:"acc"` // metres, 0 unknown
	Altitude  *loose `json:"alt"`
	Velocity  *loose `json:"vel"` // km/h
	Course    *loose `json:"cog"`
	Battery   *loose `json:"batt"` // percent
}

// referenceDate is 2001-01-01, from which Overland counts in its OwnTracks mode, in Unix seconds.
const referenceDate = 978_307_200

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
	if seconds := m.Time.value(); seconds > 0 && seconds < 1e11 {
		if late := float64(r.message.Now.Unix()) - (seconds + referenceDate); late > -86400 && late < 86400 {
			seconds += referenceDate
			r.reply = ReplyOK // Overland wants to hear what it always hears
		}
		p.timestamp, p.timed = int64(seconds*1000), true
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
	if topic, ok := strings.CutPrefix(m.Topic, "owntracks/"); ok && topic != "" {
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
	return m.TID
}
