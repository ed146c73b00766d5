package schema_test

import (
	"math"
	"strings"
	"testing"

	"lastseen/schema"
)

func TestSameValues(t *testing.T) {
	t.Parallel()
	p := schema.NewDataPoint(schema.NewID(), 1, 2, 3)
	q := p
	q.ReceivedAt, q.Outlier, q.Version = 9, schema.OutlierByUser, 7
	q.Temperature = math.Float32frombits(0x7fc00001) // another NaN
	if !p.SameValues(&q) {
		t.Error("receipt, mark, version and the kind of NaN make a difference")
	}
	for name, change := range map[string]func(*schema.DataPoint){
		"latitude": func(q *schema.DataPoint) { q.Latitude++ }, "longitude": func(q *schema.DataPoint) { q.Longitude++ },
		"altitude": func(q *schema.DataPoint) { q.Altitude = 0 }, "accuracy": func(q *schema.DataPoint) { q.Accuracy = 0 },
		"speed": func(q *schema.DataPoint) { q.Speed = 0 }, "heading": func(q *schema.DataPoint) { q.Heading = 0 },
		"battery": func(q *schema.DataPoint) { q.Battery = 0 }, "temperature": func(q *schema.DataPoint) { q.Temperature = 0 },
	} {
		q := p
		change(&q)
		if p.SameValues(&q) || q.SameValues(&p) {
			t.Errorf("another %s makes no difference", name)
		}
	}
}

func TestParsePointID(t *testing.T) {
	t.Parallel()
	session, _ := schema.ParseID("65a4f0c00102030405060708")
	const good = "65a4f0c00102030405060708.1768469400120"
	if got := string(schema.AppendPointID(nil, session, 1768469400120)); got != good {
		t.Errorf("AppendPointID = %s, want %s", got, good)
	}
	if gotSession, timestamp, ok := schema.ParsePointID(good); gotSession != session || timestamp != 1768469400120 || !ok {
		t.Errorf("ParsePointID = %v, %d, %v", gotSession, timestamp, ok)
	}
	for _, bad := range []string{
		"", ".", "65a4f0c00102030405060708", "65a4f0c00102030405060708.", "65a4f0c0010203040506070.1768469400120",
		"65a4f0c00102030405060708-1768469400120", strings.ToUpper(good), good + " ", "65a4f0c00102030405060708.+1", "65a4f0c00102030405060708.01",
		"65a4f0c00102030405060708.-0", "65a4f0c00102030405060708.99999999999999999999",
	} {
		if session, timestamp, ok := schema.ParsePointID(bad); ok {
			t.Errorf("ParsePointID(%q) = %v, %d", bad, session, timestamp)
		}
	}
}

// FuzzParsePointID: an id has one spelling.
func FuzzParsePointID(f *testing.F) {
	f.Add("65a4f0c00102030405060708.1768469400120")
	f.Add("65a4f0c00102030405060708.-1")
	f.Fuzz(func(t *testing.T, text string) {
		session, timestamp, ok := schema.ParsePointID(text)
		if ok && string(schema.AppendPointID(nil, session, timestamp)) != text {
			t.Errorf("%q is read as %v, %d, which is written otherwise", text, session, timestamp)
		}
	})
}
