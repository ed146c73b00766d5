package trackfile

import (
	"bufio"
	"encoding/xml"
	"errors"
)

// readTCX yields the track points of Garmin's Training Center files. A point without a position, as
// there is while a watch has no reception, is left out.
func (f *file) readTCX(in *bufio.Reader) error {
	found, unplaced := false, 0
	err := f.eachXML(in, func(decoder *xml.Decoder, start *xml.StartElement, line int) (bool, error) {
		if start.Name.Local != "Trackpoint" {
			return true, nil
		}
		var node xmlNode
		if err := decoder.DecodeElement(&node, start); err != nil {
			return false, err
		}
		rec := record{place: Place{Line: line}}
		placed := false
		for i := range node.Nodes {
			child := &node.Nodes[i]
			switch child.XMLName.Local {
			case "Position":
				placed = true
				rec.add("latitude", child.child("LatitudeDegrees"))
				rec.add("longitude", child.child("LongitudeDegrees"))
			case "Time":
				rec.add("timestamp", child.Text)
			case "AltitudeMeters":
				rec.add("altitude", child.Text)
			case "Extensions":
				f.resolver.addLeaves(&rec, child)
			}
		}
		if !placed {
			unplaced++
			return true, nil
		}
		found = true
		return f.emit(&rec), nil
	})
	switch {
	case err != nil:
		return err
	case !found:
		return errors.New("the TCX file has no track points with a position")
	case unplaced > 0:
		f.note("%d track points have no position and are left out", unplaced)
	}
	return nil
}
