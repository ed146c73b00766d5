package wire_test

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lastseen/query/querytest"
	"lastseen/query/wire"
	"lastseen/schema"
)

func TestAppendDataPoint(t *testing.T) {
	t.Parallel()
	session, _ := schema.ParseID("65a4f2c8d1e2f3a4b5c6d7e8")
	instant := func(text string) int64 {
		parsed, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return parsed.UnixMilli()
	}
	p := schema.NewDataPoint(session, instant("2026-01-15T09:30:00Z"), 407_484_000, -739_857_000)
	p.ReceivedAt = instant("2026-01-15T09:30:02.120Z")
	warm := p
	warm.Temperature = 4.5
	impossible := warm
	impossible.Outlier = schema.OutlierTooFast
	full := warm
	full.Altitude, full.Accuracy, full.Speed, full.Heading, full.Battery = -123, 85, 1250, 3599, 9876
	full.Outlier = schema.OutlierByUser
	least := schema.NewDataPoint(session, instant("1900-02-28T23:59:59.001Z"), 1, -1)
	least.Altitude, least.Accuracy, least.Speed, least.Heading, least.Battery, least.Temperature = 0, 0, 0, 0, 0, 0
	least.ReceivedAt = instant("2024-02-29T00:00:00Z")

	const id = `{"_id":"65a4f2c8d1e2f3a4b5c6d7e8.1768469400000","timestamp":"2026-01-15T09:30:00Z","received_at_timestamp":"2026-01-15T09:30:02.120Z","schema_version":1`
	const metadata = `"metadata":{"session_id":"65a4f2c8d1e2f3a4b5c6d7e8","outlier":false,"paused":false}}`
	for _, test := range []struct {
		name  string
		point schema.DataPoint
		want  string
	}{
		{"with the temperature alone, as in the contract", warm, id + `,"temperature":4.5,"location":{"type":"Feature","geometry":{"type":"Point","coordinates":[-73.9857,40.7484]},"properties":{}},` + metadata},
		{"without optional values", p, id + `,"location":{"type":"Feature","geometry":{"type":"Point","coordinates":[-73.9857,40.7484]},"properties":{}},` + metadata},
		{"with everything, marked", full, id + `,"temperature":4.5,"location":{"type":"Feature","geometry":{"type":"Point","coordinates":[-73.9857,40.7484,-12.3]},"properties":{"accuracy":8.5,"speed":12.5,"heading":359.9,"battery":0.9876}},` +
			`"metadata":{"session_id":"65a4f2c8d1e2f3a4b5c6d7e8","outlier":true,"paused":false,"outlier_labeller":"user"}}`},
		{"marked by the service", impossible, id + `,"temperature":4.5,"location":{"type":"Feature","geometry":{"type":"Point","coordinates":[-73.9857,40.7484]},"properties":{}},` +
			`"metadata":{"session_id":"65a4f2c8d1e2f3a4b5c6d7e8","outlier":true,"paused":false,"outlier_labeller":"auto","outlier_reason":"speed"}}`},
		{"with zeros, which are values", least, `{"_id":"65a4f2c8d1e2f3a4b5c6d7e8.-2203891200999","timestamp":"1900-02-28T23:59:59.001Z","received_at_timestamp":"2024-02-29T00:00:00Z","schema_version":1` +
			`,"temperature":0,"location":{"type":"Feature","geometry":{"type":"Point","coordinates":[-0.0000001,0.0000001,0]},"properties":{"accuracy":0,"speed":0,"heading":0,"battery":0}},` + metadata},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := string(wire.AppendDataPoint([]byte("before"), &test.point))
			if diff := cmp.Diff("before"+test.want, got); diff != "" {
				t.Errorf("JSON differs (- want, + got):\n%s", diff)
			}
		})
	}
}

// wirePoint is a data point as a client reads it.
type wirePoint struct {
	ID            string   `json:"_id"`
	Timestamp     string   `json:"timestamp"`
	ReceivedAt    string   `json:"received_at_timestamp"`
	SchemaVersion int      `json:"schema_version"`
	Temperature   *float32 `json:"temperature"`
	Location      struct {
		Type     string `json:"type"`
		Geometry struct {
			Type        string        `json:"type"`
			Coordinates []json.Number `json:"coordinates"`
		} `json:"geometry"`
		Properties map[string]json.Number `json:"properties"`
	} `json:"location"`
	Metadata struct {
		SessionID string  `json:"session_id"`
		Outlier   bool    `json:"outlier"`
		Paused    bool    `json:"paused"`
		Labeller  *string `json:"outlier_labeller"`
	} `json:"metadata"`
}

// point reads the stored values back from the text.
func (w *wirePoint) point(t *testing.T) schema.DataPoint {
	t.Helper()
	instant := func(text string) int64 {
		parsed, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			t.Fatal(err)
		}
		return parsed.UnixMilli()
	}
	fixed := func(text json.Number, unit float64) int64 {
		value, err := strconv.ParseFloat(string(text), 64)
		if err != nil {
			t.Fatal(err)
		}
		return int64(math.Round(value * unit))
	}
	session, _ := schema.ParseID(w.Metadata.SessionID)
	coordinates := w.Location.Geometry.Coordinates
	p := schema.NewDataPoint(session, instant(w.Timestamp), int32(fixed(coordinates[1], 1e7)), int32(fixed(coordinates[0], 1e7)))
	p.ReceivedAt = instant(w.ReceivedAt)
	if len(coordinates) == 3 {
		p.Altitude = int32(fixed(coordinates[2], 10))
	}
	for name, value := range w.Location.Properties {
		switch name {
		case "accuracy":
			p.Accuracy = uint32(fixed(value, 10))
		case "speed":
			p.Speed = uint16(fixed(value, 100))
		case "heading":
			p.Heading = uint16(fixed(value, 10))
		case "battery":
			p.Battery = uint16(fixed(value, 1e4))
		default:
			t.Fatalf("unknown property %q", name)
		}
	}
	if w.Temperature != nil {
		p.Temperature = *w.Temperature
	}
	if w.Metadata.Outlier {
		p.Outlier = schema.OutlierByUser
	}
	return p
}

// FuzzAppendDataPoint: the output is JSON from which a client reads exactly what is stored, and no
// number has needless zeros.
func FuzzAppendDataPoint(f *testing.F) {
	f.Add([]byte("123456789012"), int64(1768469400000), int64(1768469402120), int32(407_484_000), int32(-739_857_000), int32(123), uint32(85), float32(4.5), uint16(1250), uint16(900), uint16(5000), false)
	f.Add([]byte{}, int64(-1), int64(0), int32(math.MinInt32), int32(math.MaxInt32), int32(schema.NoAltitude), uint32(schema.NoAccuracy), float32(math.NaN()), uint16(schema.NoSpeed), uint16(schema.NoHeading), uint16(schema.NoBattery), true)
	f.Add([]byte{}, int64(-62167219200000), int64(253402300799999), int32(0), int32(10), int32(-1), uint32(0), float32(math.Copysign(0, -1)), uint16(0), uint16(0), uint16(0), true)
	f.Add([]byte{}, int64(951782400000), int64(951868800001), int32(-10_000_000), int32(1_800_000_000), int32(10), uint32(1), float32(1e-30), uint16(1), uint16(1), uint16(1), true)
	f.Fuzz(func(t *testing.T, id []byte, timestamp, receivedAt int64, latitude, longitude, altitude int32, accuracy uint32,
		temperature float32, speed, heading, battery uint16, outlier bool) {
		const year0, year10000 = -62167219200000, 253402300800000
		if timestamp < year0 || timestamp >= year10000 || receivedAt < year0 || receivedAt >= year10000 || math.IsInf(float64(temperature), 0) {
			t.Skip()
		}
		var session schema.ID
		copy(session[:], id)
		want := schema.DataPoint{
			SessionID: session, Timestamp: timestamp, ReceivedAt: receivedAt, Latitude: latitude, Longitude: longitude, Altitude: altitude,
			Accuracy: accuracy, Temperature: temperature, Speed: speed, Heading: heading, Battery: battery,
		}
		if outlier {
			want.Outlier = schema.OutlierByUser
		}
		if math.IsNaN(float64(temperature)) {
			want.Temperature = float32(math.NaN())
		}
		text := wire.AppendDataPoint(nil, &want)
		if len(text) > 640 {
			t.Errorf("%d bytes are more than promised: %s", len(text), text)
		}
		var wire wirePoint
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&wire); err != nil || decoder.More() {
			t.Fatalf("not one JSON value: %v: %s", err, text)
		}
		if diff := cmp.Diff(want, wire.point(t), querytest.SameTemperature); diff != "" {
			t.Errorf("%s reads back differently (- want, + got):\n%s", text, diff)
		}
		if wire.ID != string(schema.AppendPointID(nil, session, timestamp)) || (wire.Metadata.Labeller != nil) != outlier {
			t.Errorf("wrong _id or labeller: %s", text)
		}
		numbers := wire.Location.Geometry.Coordinates
		for _, number := range wire.Location.Properties {
			numbers = append(numbers, number)
		}
		for _, number := range numbers {
			value, _ := strconv.ParseFloat(string(number), 64)
			if shortest := strconv.FormatFloat(value, 'f', -1, 64); shortest != string(number) {
				t.Errorf("%s is written %s", shortest, number)
			}
		}
		if want := formatTime(timestamp); wire.Timestamp != want {
			t.Errorf("the time is %s, want %s", wire.Timestamp, want)
		}
	})
}

// formatTime is the reference of times on the wire.
func formatTime(ms int64) string {
	if ms%1000 == 0 {
		return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05Z")
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}

func TestAppendETag(t *testing.T) {
	t.Parallel()
	p := querytest.At(schema.NewID(), 1).DataPoint
	tag := func(change func(*schema.DataPoint)) string {
		q := p
		change(&q)
		return string(wire.AppendETag(nil, &q))
	}
	seen := map[string]string{wire.NoPointETag: "no point"}
	for name, change := range map[string]func(*schema.DataPoint){
		"the point itself":  func(*schema.DataPoint) {},
		"another session":   func(p *schema.DataPoint) { p.SessionID[11]++ },
		"another time":      func(p *schema.DataPoint) { p.Timestamp++ },
		"received later":    func(p *schema.DataPoint) { p.ReceivedAt++ },
		"a later version":   func(p *schema.DataPoint) { p.Version++ },
		"time and receipt":  func(p *schema.DataPoint) { p.Timestamp--; p.ReceivedAt++ },
		"receipt, version":  func(p *schema.DataPoint) { p.ReceivedAt -= 36; p.Version++ },
		"a negative time":   func(p *schema.DataPoint) { p.Timestamp = -p.Timestamp },
		"received way back": func(p *schema.DataPoint) { p.ReceivedAt = -p.ReceivedAt },
	} {
		text := tag(change)
		if other, taken := seen[text]; taken {
			t.Errorf("%s and %s have the same tag %s", name, other, text)
		}
		seen[text] = name
		if len(text) < 3 || text[0] != '"' || text[len(text)-1] != '"' || bytes.ContainsAny([]byte(text[1:len(text)-1]), "\" \\,") {
			t.Errorf("%s is no strong entity tag", text)
		}
	}
	if again := tag(func(*schema.DataPoint) {}); seen[again] == "" {
		t.Errorf("the unchanged point has the tag %s, which it did not have before", again)
	}
}

func TestAppendingAllocatesNothing(t *testing.T) {
	p := querytest.At(schema.NewID(), 1).DataPoint
	p.Altitude, p.Accuracy, p.Temperature, p.Speed, p.Heading, p.Battery = 1, 2, 3.25, 4, 5, 6
	buffer := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() {
		buffer = wire.AppendDataPoint(buffer[:0], &p)
		buffer = wire.AppendETag(buffer, &p)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
