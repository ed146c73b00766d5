package trackfile

import (
	"bufio"
	"encoding/xml"
	"errors"
	"strings"
)

// readGPX yields the track points, under the name of their track. It decodes one at a time by hand,
// because the Go library for GPX reads a file whole and drops fractions of a second and time zones.
func (f *file) readGPX(in *bufio.Reader) error {
	track, found := f.device, false // a track may have no points, as an export of a session without any
	var by *logger
	err := f.eachXML(in, func(decoder *xml.Decoder, start *xml.StartElement, line int) (bool, error) {
		switch start.Name.Local {
		case "gpx":
			by = gpxCreator(start)
			return true, nil
		case "trkseg":
			return true, nil
		case "trk":
			track, found = f.device, true
			return true, nil
		}
		// Whatever else there is beside track points and a track's name is decoded to be skipped.
		var node xmlNode
		if err := decoder.DecodeElement(&node, start); err != nil {
			return false, err
		}
		switch name := strings.TrimSpace(node.Text); {
		case start.Name.Local == "name" && name != "" && !f.deviceGiven:
			track = name
		case start.Name.Local == "trkpt":
			found = true
			rec := record{place: Place{Line: line}, logger: by}
			f.resolver.addTrackPoint(&rec, &node)
			return f.emitAs(&rec, track), nil
		}
		return true, nil
	})
	if err == nil && !found {
		err = errors.New("the file has no track points; waypoints and routes are not read")
	}
	return err
}

// gpxCreator recognises a program whose tracks need to be understood in its own way.
func gpxCreator(gpx *xml.StartElement) *logger {
	for _, attr := range gpx.Attr {
		if attr.Name.Local == "creator" && strings.HasPrefix(attr.Value, "OsmAnd") {
			return osmAnd
		}
	}
	return nil
}

// addTrackPoint adds what a point says itself, and then what its extensions say besides, in which
// receivers put speed, course and temperature: those never come before the point's own.
func (r *resolver) addTrackPoint(rec *record, node *xmlNode) {
	for _, attr := range node.Attrs {
		rec.add(attr.Name.Local, attr.Value)
	}
	for i := range node.Nodes {
		if child := &node.Nodes[i]; child.XMLName.Local != "extensions" && len(child.Nodes) == 0 {
			rec.add(child.XMLName.Local, child.Text)
		}
	}
	for i := range node.Nodes {
		if child := &node.Nodes[i]; child.XMLName.Local == "extensions" || len(child.Nodes) > 0 {
			r.addLeaves(rec, child)
		}
	}
}

// addLeaves adds the attributes and the texts of the leaves below an element, under what is there.
func (r *resolver) addLeaves(rec *record, node *xmlNode) {
	for i := range node.Nodes {
		child := &node.Nodes[i]
		for _, attr := range child.Attrs {
			r.addUnder(rec, attr.Name.Local, attr.Value)
		}
		if len(child.Nodes) == 0 {
			r.addUnder(rec, child.XMLName.Local, child.Text)
		}
		r.addLeaves(rec, child)
	}
}
