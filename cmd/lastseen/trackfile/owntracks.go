package trackfile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
)

// readRec yields the locations of a file of the OwnTracks recorder: a time, a kind and the message as
// JSON, with tabs between them. Who it was says the message or the path, rec/USER/DEVICE/2026-05.rec.
func (f *file) readRec(in *bufio.Reader) error {
	f.deviceOfPath = false // which that of another file in the archive may have been
	if !f.deviceGiven {
		if name := recDevice(f.path); name != "" && f.member == "" {
			f.device, f.deviceOfPath = name, true
		} else if name := recDevice(f.member); name != "" {
			f.device, f.deviceOfPath = name, true
		}
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), maxLineBytes)
	line := 0
	for lines.Scan() {
		line++
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue
		}
		parts := bytes.SplitN(text, []byte("\t"), 3)
		var object map[string]json.RawMessage
		more := true
		switch {
		case len(parts) < 3:
			more = f.reject(Place{Line: line}, "the line is not a time, a kind and a message with tabs between them")
		case !bytes.HasPrefix(bytes.TrimSpace(parts[2]), []byte("{")):
			continue // an encrypted or a plain message
		case json.Unmarshal(parts[2], &object) != nil:
			more = f.reject(Place{Line: line}, "the message is not a JSON object")
		default:
			more = f.emitOwnTracks(Place{Line: line}, object)
		}
		if !more {
			return nil
		}
	}
	return lineError(lines.Err(), line, "OwnTracks recording")
}

// recDevice is the user and the device that the recorder's path names, or "".
func recDevice(path string) string {
	parts := strings.Split(filepath.ToSlash(path), "/")
	for i, part := range parts {
		if part == "rec" && len(parts) == i+4 {
			return parts[i+1] + "/" + parts[i+2]
		}
	}
	return ""
}

// emitOwnTracks yields a location message; messages of other kinds are no positions and left out.
func (f *file) emitOwnTracks(place Place, object map[string]json.RawMessage) bool {
	if valueText(object["_type"]) != "location" {
		return true
	}
	rec := record{place: place, logger: ownTracks}
	device := ownTracksDevice(object, f)
	for name, raw := range object {
		if name == "topic" && device != f.device || name == "tid" && (device != f.device || f.deviceOfPath) {
			continue // whose it is, is known
		}
		rec.add(name, valueText(raw))
	}
	return f.emitAs(&rec, device)
}

// ownTracksDevice is the device of a message: its topic without what OwnTracks puts around the names of
// the user and the device; else the file's; the two letters of tid name nobody for sure.
func ownTracksDevice(object map[string]json.RawMessage, f *file) string {
	topic, ours := strings.CutPrefix(valueText(object["topic"]), "owntracks/")
	if !ours || f.deviceGiven {
		return f.device
	}
	for _, tail := range []string{"/event", "/status", "/waypoint", "/waypoints", "/cmd", "/dump", "/step", "/beacon"} {
		topic = strings.TrimSuffix(topic, tail)
	}
	return topic
}
