package trackfile

import (
	"bufio"
	"encoding/xml"
	"errors"
	"strings"
)

// readKML yields the positions that have times: those of gx:Track, and placemarks with a Point and a
// TimeStamp. Lines and points without times say nothing about when somebody was there.
func (f *file) readKML(in *bufio.Reader) error {
	found, without := false, 0
	err := f.eachXML(in, func(decoder *xml.Decoder, start *xml.StartElement, line int) (bool, error) {
		if start.Name.Local != "Placemark" {
			return true, nil
		}
		var node xmlNode
		if err := decoder.DecodeElement(&node, start); err != nil {
			return false, err
		}
		before := found
		more := f.emitPlacemark(&node, Place{Line: line}, &found)
		if found == before && !before {
			without++
		}
		return more, nil
	})
	switch {
	case err != nil:
		return err
	case !found:
		return errors.New("the KML file has no positions with times: only tracks (gx:Track) and points with a TimeStamp can be imported")
	case without > 0:
		f.note("%d placemarks without times are left out", without)
	}
	return nil
}

// emitPlacemark yields the positions of a placemark, sets found when there is one, and reports whether
// to go on.
func (f *file) emitPlacemark(node *xmlNode, place Place, found *bool) bool {
	device := f.device
	if name := node.child("name"); name != "" && !f.deviceGiven {
		device = name
	}
	when := ""
	for i := range node.Nodes {
		child := &node.Nodes[i]
		switch child.XMLName.Local {
		case "TimeStamp":
			when = child.child("when")
		case "TimeSpan":
			when = child.child("begin")
		case "Track", "MultiTrack":
			for _, track := range tracksOf(child) {
				*found = true
				if !f.emitTrack(track, place, device) {
					return false
				}
			}
		}
	}
	if when == "" {
		return true
	}
	for i := range node.Nodes {
		if child := &node.Nodes[i]; child.XMLName.Local == "Point" {
			*found = true
			rec := record{place: place}
			rec.add("timestamp", when)
			rec.addCoordinates(strings.Split(child.child("coordinates"), ","))
			return f.emit(&rec) // the name of a placemark that is one point is that of a place
		}
	}
	return true
}

// tracksOf returns the track, or the tracks of a MultiTrack.
func tracksOf(node *xmlNode) []*xmlNode {
	if node.XMLName.Local == "Track" {
		return []*xmlNode{node}
	}
	var tracks []*xmlNode
	for i := range node.Nodes {
		if node.Nodes[i].XMLName.Local == "Track" {
			tracks = append(tracks, &node.Nodes[i])
		}
	}
	return tracks
}

// emitTrack yields a gx:Track, which lists its times, and then as many positions.
func (f *file) emitTrack(track *xmlNode, place Place, device string) bool {
	var times, positions []string
	for i := range track.Nodes {
		switch child := &track.Nodes[i]; child.XMLName.Local {
		case "when":
			times = append(times, child.Text)
		case "coord":
			positions = append(positions, child.Text)
		}
	}
	if len(times) != len(positions) {
		return f.reject(place, "the track has not as many times as positions")
	}
	for i := range times {
		place.Part = i + 1
		if strings.TrimSpace(positions[i]) == "" {
			continue // what a track has where nothing was received
		}
		rec := record{place: place}
		rec.add("timestamp", times[i])
		rec.addCoordinates(strings.Fields(positions[i]))
		if !f.emitAs(&rec, device) {
			return false
		}
	}
	return true
}

// addCoordinates adds longitude, latitude and perhaps altitude.
func (r *record) addCoordinates(coordinates []string) {
	for i, name := range []string{"longitude", "latitude", "altitude"} {
		if i < len(coordinates) {
			r.add(name, coordinates[i])
		}
	}
}
