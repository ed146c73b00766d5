package trackfile

import (
	"bufio"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// gpxNode is an element of a track point, whatever it is called: the resolver knows which of them say
// something, also among the extensions in which receivers put speed, course and temperature.
type gpxNode struct {
	XMLName xml.Name
	Attrs   []xml.Attr `xml:",any,attr"`
	Text    string     `xml:",chardata"`
	Nodes   []gpxNode  `xml:",any"`
}

// readGPX yields the track points, under the name of their track. It decodes one at a time by hand,
// because the Go library for GPX reads a file whole and drops fractions of a second and time zones.
func (f *file) readGPX(in *bufio.Reader) error {
	decoder := xml.NewDecoder(in)
	track, found := f.device, false // a track may have no points, as an export of a session without any
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return wrapXML(decoder, err)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		line, _ := decoder.InputPos()
		switch start.Name.Local {
		case "gpx", "trkseg":
			continue
		case "trk":
			track, found = f.device, true
			continue
		}
		// Whatever else there is beside track points and a track's name is decoded to be skipped.
		var node gpxNode
		if err := decoder.DecodeElement(&node, &start); err != nil {
			return wrapXML(decoder, err)
		}
		switch name := strings.TrimSpace(node.Text); {
		case start.Name.Local == "name" && name != "" && !f.deviceGiven:
			track = name
		case start.Name.Local == "trkpt":
			found = true
			rec := record{place: Place{Line: line}}
			rec.addNode(&node)
			if !f.emitAs(&rec, track) {
				return nil
			}
		}
	}
	if !found {
		return errors.New("the file has no track points; waypoints and routes are not read")
	}
	return nil
}

// addNode adds an element's attributes and the texts of its leaves.
func (r *record) addNode(node *gpxNode) {
	for _, attr := range node.Attrs {
		r.add(attr.Name.Local, attr.Value)
	}
	for i := range node.Nodes {
		child := &node.Nodes[i]
		if len(child.Nodes) == 0 {
			r.add(child.XMLName.Local, child.Text)
		}
		r.addNode(child)
	}
}

// wrapXML says on which line reading stopped. Nothing after it can be read.
func wrapXML(decoder *xml.Decoder, err error) error {
	line, _ := decoder.InputPos()
	var syntax *xml.SyntaxError
	if errors.As(err, &syntax) {
		err = errors.New(syntax.Msg)
	}
	return fmt.Errorf("line %d is not XML, and nothing after it was read: %w", line, err)
}
