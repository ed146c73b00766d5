package decode

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"lastseen/ingest/registry"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

const (
	sessionA = "65a4f0c00102030405060708"
	deviceA  = "65a4f0c0aabbccddeeff0011"
)

// onePoint is a good point; tests append members to it, of which the last counts.
const onePoint = `{"session_id":"` + sessionA + `","timestamp":"2026-01-15T09:30:00.120Z","latitude":40.7484,"longitude":-73.9857`

// decoded is a Batch in a form that compares.
type decoded struct {
	Points   []schema.DataPoint
	Names    []string // what each point names
	Indexes  []int
	Rejected []Rejection
}

func describe(b *Batch) decoded {
	d := decoded{Rejected: b.rejected}
	for i := range b.Points {
		p := &b.Points[i]
		t := &b.Targets[p.Target]
		d.Points = append(d.Points, p.DataPoint)
		d.Indexes = append(d.Indexes, int(p.index))
		d.Names = append(d.Names, string((&registry.Reference{Session: t.Session, Device: t.Device, MAC: []byte(t.MAC),
			HasSession: t.HasSession, HasDevice: t.HasDevice, HasMAC: t.HasMAC}).AppendKey(nil)))
	}
	return d
}

func decodeString(tb testing.TB, body string, format Format) decoded {
	tb.Helper()
	batch, err := Body(strings.NewReader(body), format, Identity, Limits{})
	if err != nil {
		tb.Fatalf("Decode(%.200q): %v", body, err)
	}
	defer batch.Release()
	return describe(batch)
}

func TestDecodeReadsEveryField(t *testing.T) {
	t.Parallel()
	body := onePoint + `,"altitude":12.34,"accuracy":5,"speed":13.888,"heading":271.25,"temperature":4.5,"battery":0.87654,"more":{"a":[1,"]}"]}}`
	got := decodeString(t, "["+body+"]", JSON)
	id, _ := schema.ParseID(sessionA)
	want := decoded{
		Points: []schema.DataPoint{{
			Timestamp: 1768469400120, Latitude: 407484000, Longitude: -739857000, Altitude: 123, Accuracy: 50,
			Speed: 1389, Heading: 2713, Temperature: 4.5, Battery: 8765,
		}},
		Names:   []string{"s" + string(id[:])},
		Indexes: []int{0},
	}
	if d := schematest.Diff(want, got); d != "" {
		t.Errorf("decoded point (-want +got):\n%s", d)
	}
}

func TestDecodeOfOnePoint(t *testing.T) {
	t.Parallel()
	absent := schema.NewDataPoint(schema.ID{}, 0, 0, 0)
	value := func(change func(*schema.DataPoint)) *schema.DataPoint {
		p := schema.NewDataPoint(schema.ID{}, 1768469400120, 407484000, -739857000)
		change(&p)
		return &p
	}
	tests := []struct {
		name, members string
		want          *schema.DataPoint // nil when rejected
		detail        string
	}{
		{"leaves out what is not given", ``, value(func(*schema.DataPoint) {}), ""},
		{"takes null for absent", `,"altitude":1,"altitude":null,"accuracy":null,"speed":null,"heading":null,"temperature":null,"battery":null`, value(func(*schema.DataPoint) {}), ""},
		{"lets null undo an earlier member", `,"battery":0.5,"battery":null,"temperature":3,"temperature":null`, value(func(p *schema.DataPoint) { p.Battery = absent.Battery }), ""},
		{"lets the last member win over a bad one", `,"latitude":"x","latitude":1`, value(func(p *schema.DataPoint) { p.Latitude = 1e7 }), ""},
		{"lets a bad last member win", `,"latitude":1,"latitude":"x"`, nil, DetailLatitude},
		{"reads escaped names", `,"latitu\u0064e":1`, value(func(p *schema.DataPoint) { p.Latitude = 1e7 }), ""},
		{"rounds halves away from zero", `,"latitude":0.00000005,"longitude":-0.00000015`, value(func(p *schema.DataPoint) { p.Latitude, p.Longitude = 1, -2 }), ""},
		{"rounds less than a half down", `,"latitude":0.0000000499999999999999999999999`, value(func(p *schema.DataPoint) { p.Latitude = 0 }), ""},
		{"reads exponents", `,"latitude":4.07484e1,"longitude":-739857E-4`, value(func(*schema.DataPoint) {}), ""},
		{"keeps longitude 180", `,"longitude":180`, value(func(p *schema.DataPoint) { p.Longitude = 180e7 }), ""},
		{"takes the edges", `,"latitude":-90,"longitude":-180.0,"altitude":-12000,"accuracy":1e7,"speed":650,"heading":359.94,"temperature":-273.15,"battery":1`,
			value(func(p *schema.DataPoint) {
				p.Latitude, p.Longitude, p.Altitude, p.Accuracy = -90e7, -180e7, -120000, 1e8
				p.Speed, p.Heading, p.Temperature, p.Battery = 65000, 3599, -273.15, 10000
			}), ""},
		{"turns heading 360 into 0", `,"heading":360`, value(func(p *schema.DataPoint) { p.Heading = 0 }), ""},
		{"turns a heading that rounds to 360 into 0", `,"heading":359.95`, value(func(p *schema.DataPoint) { p.Heading = 0 }), ""},
		{"takes minus zero", `,"speed":-0,"temperature":-0.0`, value(func(p *schema.DataPoint) { p.Speed, p.Temperature = 0, 0 }), ""},
		{"reads an offset", `,"timestamp":"2026-01-15 11:30:00.1209+02:00"`, value(func(*schema.DataPoint) {}), ""},

		{"reads Unix seconds", `,"timestamp":1768469400.1209`, value(func(*schema.DataPoint) {}), ""},
		{"reads Unix milliseconds", `,"timestamp":1768469400120`, value(func(*schema.DataPoint) {}), ""},
		{"reads a short offset", `,"timestamp":"2026-01-15T11:30:00,1209+02"`, value(func(*schema.DataPoint) {}), ""},

		{"refuses a latitude past the pole", `,"latitude":90.00000000000000000001`, nil, DetailLatitude},
		{"refuses a latitude that is a string", `,"latitude":"40.7"`, nil, DetailLatitude},
		{"refuses a missing latitude", `,"latitude":null`, nil, detailNoLatitude},
		{"refuses a longitude past 180", `,"longitude":180.0000001`, nil, DetailLongitude},
		{"refuses an absurd exponent", `,"longitude":1e999999999999999999999`, nil, DetailLongitude},
		{"takes a tiny exponent for zero", `,"longitude":1e-999999999999999999999`, value(func(p *schema.DataPoint) { p.Longitude = 0 }), ""},
		{"refuses a missing longitude", `,"longitude":null`, nil, detailNoLongitude},
		{"refuses a missing timestamp", `,"timestamp":null`, nil, detailNoTimestamp},
		{"refuses a naive timestamp", `,"timestamp":"2026-01-15T09:30:00"`, nil, "timestamp does not say its offset from UTC: end it with Z, or with an offset such as +02:00."},
		{"refuses a timestamp that is none", `,"timestamp":"soon"`, nil, "timestamp is not a time such as 2026-01-15T09:30:00Z, 2026-01-15T11:30:00+02:00, or Unix seconds or milliseconds."},
		{"refuses a timestamp before 2000", `,"timestamp":"1999-12-31T23:59:59.999Z"`, nil, DetailTooOld},
		{"leaves out a negative accuracy", `,"accuracy":-1`, value(func(*schema.DataPoint) {}), ""},
		{"leaves out a negative trifle", `,"accuracy":-0.0001`, value(func(*schema.DataPoint) {}), ""},
		{"leaves out an altitude in space", `,"altitude":100000.1`, value(func(*schema.DataPoint) {}), ""},
		{"leaves out an altitude under the sea's floor", `,"altitude":-12000.01`, value(func(*schema.DataPoint) {}), ""},
		{"leaves out a speed beyond 650", `,"speed":650.001`, value(func(*schema.DataPoint) {}), ""},
		{"leaves out a heading beyond 360", `,"heading":361`, value(func(*schema.DataPoint) {}), ""},
		{"leaves out temperatures below absolute zero", `,"temperature":-273.16`, value(func(*schema.DataPoint) {}), ""},
		{"leaves out infinite temperatures", `,"temperature":1e400`, value(func(*schema.DataPoint) {}), ""},
		{"leaves out a battery of 87", `,"battery":87`, value(func(*schema.DataPoint) {}), ""},
		{"leaves out a battery that is an object", `,"battery":{"level":1}`, value(func(*schema.DataPoint) {}), ""},
		{"refuses a point without a session or device", `,"session_id":null`, nil, DetailNoReference},
		{"refuses a session_id that is a number", `,"session_id":12`, nil, detailSessionText},
		{"refuses a session_id that is none", `,"session_id":"nobody"`, nil, registry.DetailNoSession},
		{"refuses a device_id that is none", `,"device_id":"` + sessionA + `0"`, nil, registry.DetailNoDevice},
		{"refuses an address that is none", `,"device_mac_address":"aa bb"`, nil, registry.DetailNoMAC},
		{"names the first of several problems", `,"battery":9,"latitude":91`, nil, DetailLatitude},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := decodeString(t, onePoint+tt.members+"}", NDJSON)
			got.Names, got.Indexes = nil, nil
			var want decoded
			if tt.want != nil {
				want.Points = []schema.DataPoint{*tt.want}
			} else {
				want.Rejected = []Rejection{{Index: 0, Detail: tt.detail}}
			}
			if d := schematest.Diff(want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestDecodeKeepsGoodPointsBesideBadOnes(t *testing.T) {
	t.Parallel()
	good, bad := onePoint+"}", onePoint+`,"latitude":91}`
	want := decoded{
		Points:   decodeString(t, good+"\n"+good, NDJSON).Points,
		Names:    decodeString(t, good+"\n"+good, NDJSON).Names,
		Indexes:  []int{0, 3},
		Rejected: []Rejection{{1, DetailLatitude}, {2, DetailNotObject}},
	}
	for name, body := range map[string]struct {
		text   string
		format Format
	}{
		"array":  {"[" + good + "," + bad + ",17," + good + "]", JSON},
		"object": {`{"schema_version":1,"points":[` + good + "," + bad + ",[]," + good + `],"more":null}`, JSON},
		"lines":  {good + "\n\n" + bad + "\r\n  \n\"x\"\n" + good, NDJSON},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if d := schematest.Diff(want, decodeString(t, body.text, body.format)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestDecodeKeepsWhatPointsNameOnce(t *testing.T) {
	t.Parallel()
	const rest = `,"timestamp":"2026-01-15T09:30:00Z","latitude":1,"longitude":2}` + "\n"
	names := []string{
		`{"session_id":"` + sessionA + `"`, `{"device_id":"` + deviceA + `"`, `{"device_mac_address":"AA:BB:CC:DD:EE:FF"`,
		`{"device_mac_address":"aa-bb-cc-dd-ee-ff"`, `{"device_id":"` + deviceA + `","session_id":"` + sessionA + `"`,
	}
	var body strings.Builder
	for range 3 {
		for _, name := range names {
			body.WriteString(name + rest)
		}
	}
	batch, err := Body(strings.NewReader(body.String()), NDJSON, Identity, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer batch.Release()
	if batch.Len() != 3*len(names) || len(batch.Targets) != len(names)-1 {
		t.Errorf("%d points name %d targets, want %d and %d", batch.Len(), len(batch.Targets), 3*len(names), len(names)-1)
	}
}

func TestDecodeRefusesAWholeThatCannotBeRead(t *testing.T) {
	t.Parallel()
	good := onePoint + "}"
	tests := []struct {
		name, body string
		format     Format
		field, say string // what the error must name and contain
	}{
		{"empty", "", JSON, "", "empty"},
		{"white space", " \n", JSON, "", "empty"},
		{"a string", `"points"`, JSON, "", "must be an object"},
		{"no points", `{"point":[]}`, JSON, "points", "must have points"},
		{"an empty object", `{}`, JSON, "points", "must have points"},
		{"points that are no array", `{"points":{}}`, JSON, "points", "must be an array"},
		{"points that are no array", `{"points":null}`, JSON, "points", "must be an array"},
		{"points twice", `{"points":[],"points":[]}`, JSON, "points", "twice"},
		{"truncated after a brace", `{`, JSON, "", "before it is complete"},
		{"truncated in a name", `{"poi`, JSON, "", "before it is complete"},
		{"truncated after a name", `{"points"`, JSON, "", "before it is complete"},
		{"truncated in an array", "[" + good, JSON, "", "before it is complete"},
		{"truncated after a comma", "[" + good + ",", JSON, "", "before it is complete"},
		{"truncated in a point", "[" + onePoint, JSON, "", "before it is complete"},
		{"truncated in a string", `["abc\"`, JSON, "", "before it is complete"},
		{"a truncated object", `{"points":[]`, JSON, "", "before it is complete"},
		{"a second value", "[] []", JSON, "", "follows the end"},
		{"a comma too many", "[" + good + ",]", JSON, "", "not valid JSON"},
		{"a comma too few", "[" + good + good + "]", JSON, "", "after point 0"},
		{"an object's comma too many", `{"points":[],}`, JSON, "", "not valid JSON"},
		{"a name without quotes", `{points:[]}`, JSON, "", "not valid JSON"},
		{"a missing colon", `{"points",[]}`, JSON, "", "not valid JSON"},
		{"a bad value beside points", `{"a":tru,"points":[]}`, JSON, "", "not valid JSON"},
		{"NaN", "[" + good + "," + onePoint + `,"latitude":NaN}]`, JSON, "", "Point 1 is not valid JSON"},
		{"Infinity", "[" + onePoint + `,"latitude":-Infinity}]`, JSON, "", "Point 0 is not valid JSON"},
		{"a number with a leading zero", "[" + onePoint + `,"latitude":01}]`, JSON, "", "Point 0 is not valid JSON"},
		{"crossed brackets", "[" + onePoint + `,"x":[}]]`, JSON, "", "not valid JSON"},
		{"invalid UTF-8", "[" + onePoint + ",\"x\":\"\xff\"}]", JSON, "", "not valid JSON"},
		{"a bad line", good + "\n\n" + onePoint + "\n" + good, NDJSON, "", "Line 3 is not valid JSON"},
		{"two points in a line", good + "\n" + good + good, NDJSON, "", "Line 2 is not valid JSON"},
		{"a truncated line", good + "\n" + onePoint, NDJSON, "", "Line 2 is not valid JSON"},
		{"an array over lines", "[\n" + good + "\n]", NDJSON, "", "Line 1 is not valid JSON"},
		{"a line of 2 MiB", good + "\n" + onePoint + `,"x":"` + strings.Repeat("x", 2<<20) + `"}`, NDJSON, "", "longer than 1 MiB"},
		{"a point of 2 MiB", "[" + onePoint + `,"x":"` + strings.Repeat("x", 2<<20) + `"}]`, JSON, "", "longer than 1 MiB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			budget := NewBudget(8 << 20)
			_, err := Body(strings.NewReader(tt.body), tt.format, Identity, Limits{Budget: budget})
			wrong, ok := errors.AsType[*schema.Error](err)
			if !ok || wrong.Code != schema.Invalid {
				t.Fatalf("err = %v, want schema.Invalid", err)
			}
			if wrong.Field != tt.field || !strings.Contains(wrong.Sentence, tt.say) {
				t.Errorf("err = {%q %q}, want field %q and a text with %q", wrong.Field, wrong.Sentence, tt.field, tt.say)
			}
			if budget.InUse() != 0 {
				t.Errorf("%d bytes of the budget are lost", budget.InUse())
			}
		})
	}
}

func TestDecodeReadsCompressedBodies(t *testing.T) {
	t.Parallel()
	body := strings.Repeat(onePoint+"}\n", 800)
	want := decodeString(t, body, NDJSON)
	for encoding, compress := range compressors {
		compressed := compress(t, []byte(body))
		for name, reader := range map[string]io.Reader{
			"at once":      bytes.NewReader(compressed),
			"byte by byte": iotest.OneByteReader(bytes.NewReader(compressed)),
		} {
			batch, err := Body(reader, NDJSON, encoding, Limits{})
			if err != nil {
				t.Fatalf("encoding %d, %s: %v", encoding, name, err)
			}
			if d := schematest.Diff(want, describe(batch)); d != "" {
				t.Errorf("encoding %d, %s (-want +got):\n%s", encoding, name, d)
			}
			batch.Release()
		}
	}
}

func TestDecodeRefusesBadCompression(t *testing.T) {
	t.Parallel()
	body := []byte(strings.Repeat(onePoint+"}\n", 2000))
	for encoding, compress := range compressors {
		if encoding == Identity {
			continue
		}
		compressed := compress(t, body)
		flipped := bytes.Clone(compressed)
		flipped[len(flipped)-2] ^= 0x55 // in the checksum
		for name, data := range map[string][]byte{
			"no compression": body, "cut short": compressed[:len(compressed)/2], "garbage behind": append(bytes.Clone(compressed), "garbage"...),
			"a wrong checksum": flipped,
		} {
			_, err := Body(bytes.NewReader(data), NDJSON, encoding, Limits{})
			if wrong, ok := errors.AsType[*schema.Error](err); !ok || !strings.Contains(wrong.Sentence, "not valid") {
				t.Errorf("encoding %d, %s: err = %v, want schema.Invalid about the compression", encoding, name, err)
			}
		}
	}
	if _, err := Body(strings.NewReader(""), NDJSON, Gzip, Limits{}); !errors.Is(err, schema.Invalid) {
		t.Errorf("nothing at all as gzip: err = %v, want schema.Invalid", err)
	}
	huge, err := zstd.NewWriter(nil, zstd.WithWindowSize(32<<20))
	if err != nil {
		t.Fatal(err)
	}
	var wide bytes.Buffer
	huge.Reset(&wide)
	huge.Write(body)
	huge.Flush() // before the end, so that the frame declares its window
	huge.Write(body)
	huge.Close()
	if _, err := Body(&wide, NDJSON, Zstd, Limits{}); !errors.Is(err, schema.Invalid) {
		t.Errorf("a window of 32 MiB: err = %v, want schema.Invalid", err)
	}
}

func TestDecodePassesOnWhatTheReaderFailedWith(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection reset")
	body := "[" + strings.Repeat(onePoint+"},", 1000)
	for encoding, compress := range compressors {
		data := compress(t, []byte(body))
		budget := NewBudget(1 << 20)
		_, err := Body(io.MultiReader(bytes.NewReader(data[:len(data)-9]), iotest.ErrReader(broken)), JSON, encoding, Limits{Budget: budget})
		if !errors.Is(err, broken) || errors.Is(err, schema.Invalid) {
			t.Errorf("encoding %d: err = %v, want the reader's", encoding, err)
		}
		if budget.InUse() != 0 {
			t.Errorf("encoding %d: %d bytes of the budget are lost", encoding, budget.InUse())
		}
	}
}

func TestDecodeStopsAtItsLimits(t *testing.T) {
	t.Parallel()
	point := onePoint + "}"
	t.Run("of points", func(t *testing.T) {
		t.Parallel()
		three := point + "\n17\n" + point
		for limit, want := range map[int]error{2: schema.TooLarge, 3: nil} {
			if _, err := Body(strings.NewReader(three), NDJSON, Identity, Limits{Points: limit}); !errors.Is(err, want) {
				t.Errorf("limit %d: err = %v, want %v", limit, err, want)
			}
		}
		many := "[" + strings.Repeat("0,", MaxPoints) + "0]"
		if _, err := Body(strings.NewReader(many), JSON, Identity, Limits{}); !errors.Is(err, schema.TooLarge) {
			t.Errorf("%d points: err = %v, want ErrTooLarge", MaxPoints+1, err)
		}
	})
	t.Run("of bytes", func(t *testing.T) {
		t.Parallel()
		for limit, want := range map[int64]error{int64(len(point)) - 1: schema.TooLarge, int64(len(point)): nil} {
			if _, err := Body(strings.NewReader(point), NDJSON, Identity, Limits{Bytes: limit}); !errors.Is(err, want) {
				t.Errorf("limit %d: err = %v, want %v", limit, err, want)
			}
		}
	})
	t.Run("of the budget", func(t *testing.T) {
		t.Parallel()
		budget := NewBudget(300 * batchPointSize)
		for name, line := range map[string]string{"good points": point, "bad points": "17"} {
			_, err := Body(strings.NewReader(strings.Repeat(line+"\n", 3000)), NDJSON, Identity, Limits{Budget: budget})
			if !errors.Is(err, schema.Busy) || budget.InUse() != 0 {
				t.Errorf("%s: err = %v with %d bytes in use, want ErrBusy and none", name, err, budget.InUse())
			}
		}
	})
}

func TestDecodeStopsABombAtTheLimit(t *testing.T) {
	// Not parallel: it measures the memory of the whole process.
	for encoding, compress := range compressors {
		if encoding == Identity {
			continue
		}
		zeros, spaces := compress(t, make([]byte, 40<<20)), compress(t, bytes.Repeat([]byte(" "), 40<<20))
		for _, tt := range []struct {
			name   string
			body   []byte
			format Format
			within uint64 // bytes; a decompressor's own memory among them
		}{
			{"a line of zeros", zeros, NDJSON, 16 << 20},
			{"zeros", zeros, JSON, 16 << 20},
			{"a line of white space", spaces, NDJSON, 16 << 20},
			{"white space", spaces, JSON, 16 << 20},
		} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Body(bytes.NewReader(tt.body), tt.format, encoding, Limits{})
			runtime.ReadMemStats(&after)
			if !errors.Is(err, schema.TooLarge) && !errors.Is(err, schema.Invalid) {
				t.Errorf("encoding %d, %s: err = %v, want TooLarge or Invalid", encoding, tt.name, err)
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > tt.within {
				t.Errorf("encoding %d, %s: %d bytes allocated, want at most %d", encoding, tt.name, took, tt.within)
			}
		}
	}
}

var compressors = map[Encoding]func(testing.TB, []byte) []byte{
	Identity: func(_ testing.TB, data []byte) []byte { return data },
	Gzip: func(tb testing.TB, data []byte) []byte {
		var b bytes.Buffer
		w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			tb.Fatal(err)
		}
		if err := w.Close(); err != nil {
			tb.Fatal(err)
		}
		return b.Bytes()
	},
	Zstd: func(tb testing.TB, data []byte) []byte {
		w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
		if err != nil {
			tb.Fatal(err)
		}
		return w.EncodeAll(data, nil)
	},
}

func TestDecodeAllocatesLittle(t *testing.T) {
	body := ndjson(500)
	reader := strings.NewReader(body)
	allocs := testing.AllocsPerRun(20, func() {
		reader.Reset(body)
		batch, err := Body(reader, NDJSON, Identity, Limits{})
		if err != nil || batch.Len() != 500 {
			t.Fatalf("Decode: %v", err)
		}
		batch.Release()
	})
	if allocs > 10 {
		t.Errorf("%v allocations for 500 points, want at most 10", allocs)
	}
}

// ndjson returns a body of points of one session.
func ndjson(points int) string {
	var b strings.Builder
	for i := range points {
		fmt.Fprintf(&b, `{"session_id":"%s","timestamp":"2026-01-15T09:%02d:%02d.%03dZ","latitude":%.7f,"longitude":%.7f,"altitude":%.1f,"accuracy":%d.5,"speed":%.2f,"heading":%.1f,"temperature":%.2f,"battery":0.%02d}`+"\n",
			sessionA, i/60%60, i%60, i%1000, 40.7+float64(i)*1e-4, -73.9+math.Sin(float64(i))*1e-3, 12+float64(i%7)/3, i%9, float64(i%30)/1.7, float64(i*7%360), 4+float64(i%10)/8, i%100)
	}
	return b.String()
}
