package decode

import (
	"bytes"
	stdgzip "compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"lastseen/schema"
	"lastseen/schema/schematest"
)

var (
	jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)
)

// FuzzParseDecimal compares with exact rational numbers.
func FuzzParseDecimal(f *testing.F) {
	for _, seed := range []string{"0", "-0", "1.5", "40.7484", "-73.98570005", "0.00000005", "1e3", "-1.25E-2", "999999999999999999999", "0.1e-30", "12e30"} {
		f.Add(seed, uint8(7), uint64(90e7), uint64(180e7))
	}
	f.Fuzz(func(t *testing.T, text string, scale uint8, below, above uint64) {
		if !jsonNumber.MatchString(text) || len(text) > 100 {
			return
		}
		if _, _, exponent := splitNumber([]byte(strings.TrimPrefix(text, "-"))); exponent > 1000 || exponent < -1000 {
			return // too large for the oracle
		}
		scale, below, above = scale%10, below%1e17, above%1e17
		got, ok := parseDecimal([]byte(text), int(scale)).within(below, above)

		exact, _ := new(big.Rat).SetString(text)
		exact.Mul(exact, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)))
		low, high := new(big.Rat).SetInt64(-int64(below)), new(big.Rat).SetInt64(int64(above))
		if want := exact.Cmp(low) >= 0 && exact.Cmp(high) <= 0; ok != want {
			t.Fatalf("%s in units of 1e-%d lies within [-%d, %d]: got %v, want %v", text, scale, below, above, ok, want)
		}
		if !ok {
			return
		}
		rounded, _ := new(big.Int).SetString(exact.FloatString(0), 10) // halves away from zero
		if rounded.Int64() != got {
			t.Fatalf("%s in units of 1e-%d: got %d, want %d", text, scale, got, rounded)
		}
	})
}

var bodySeeds = []string{
	onePoint + "}", onePoint + "}\n" + onePoint + `,"latitude":91}` + "\n\n17", onePoint + `,"x":{"y":[1,"}\"]"]},"speed":3.25,"heading":360}`,
	`{"device_id":"` + deviceA + `","timestamp":"2026-01-15T09:30:00Z","latitude":-1e1,"longitude":0}`,
	`{"device_mac_address":"AA:BB:CC:DD:EE:FF","timestamp":"2026-01-15T09:30:00+01:00","latitude":1,"longitude":2,"battery":1,"temperature":-0}`,
	`{"points":[` + onePoint + `}]}`, `{"points":3,"points":[]}`, "[1, null ,\"\\\"\",[],{}]", "[", "{\"\\ud800\":1}", "\xff", "[1]]", `{"points":[1],"a":}`,
}

// FuzzDecodeNDJSON: a body is read exactly when every line is JSON; how the bytes arrive does not
// matter; and what was accepted, written out, is accepted again as the same.
func FuzzDecodeNDJSON(f *testing.F) {
	for _, seed := range bodySeeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		got, err := tryDecode(t, body, NDJSON)
		valid, lines := true, 0
		for line := range strings.SplitSeq(body, "\n") {
			if strings.Trim(line, " \t\r") == "" {
				continue
			}
			lines++
			valid = valid && json.Valid([]byte(line)) && utf8.ValidString(line)
		}
		if (err == nil) != (valid && lines <= fuzzPoints) {
			t.Fatalf("err = %v, but valid = %v with %d lines", err, valid, lines)
		}
		if err != nil {
			return
		}
		if n := len(got.Points) + len(got.Rejected); n != lines {
			t.Fatalf("%d points for %d lines", n, lines)
		}
		checkRoundTrip(t, got)
	})
}

// FuzzDecodeJSON: as FuzzDecodeNDJSON; and the same objects decode equally as lines.
func FuzzDecodeJSON(f *testing.F) {
	for _, seed := range bodySeeds {
		f.Add(seed)
		f.Add("[" + seed + "," + seed + "]")
	}
	f.Fuzz(func(t *testing.T, body string) {
		got, err := tryDecode(t, body, JSON)
		elements, ok := pointElements(body)
		if (err == nil) != (ok && len(elements) <= fuzzPoints) {
			t.Fatalf("err = %v, but valid = %v with %d elements", err, ok, len(elements))
		}
		if err != nil {
			return
		}
		var lines bytes.Buffer
		for _, element := range elements {
			if err := json.Compact(&lines, element); err != nil {
				t.Fatal(err)
			}
			lines.WriteByte('\n')
		}
		same, err := tryDecode(t, lines.String(), NDJSON)
		if err != nil {
			t.Fatalf("the same objects as lines: %v", err)
		}
		if d := schematest.Diff(got, same); d != "" {
			t.Fatalf("JSON and NDJSON differ (-JSON +NDJSON):\n%s", d)
		}
		checkRoundTrip(t, got)
	})
}

// FuzzDecodeGzip: decompressing on the way is the same as decompressing before, as package
// compress/gzip does it.
func FuzzDecodeGzip(f *testing.F) {
	for _, seed := range bodySeeds {
		f.Add(compressors[Gzip](f, []byte(seed)))
	}
	f.Add([]byte(bodySeeds[0]))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Body(bytes.NewReader(data), NDJSON, Gzip, Limits{Points: fuzzPoints, Bytes: 1 << 20})
		plain, plainErr := gunzip(data)
		var want *Batch
		if plainErr == nil {
			want, plainErr = Body(bytes.NewReader(plain), NDJSON, Identity, Limits{Points: fuzzPoints, Bytes: 1 << 20})
		}
		if (err == nil) != (plainErr == nil) {
			t.Fatalf("err = %v, want one exactly when there is %v", err, plainErr)
		}
		if err != nil {
			return
		}
		if d := schematest.Diff(describe(want), describe(got)); d != "" {
			t.Fatalf("(-plain +compressed):\n%s", d)
		}
	})
}

// FuzzDecodeZstd: no bytes make the decoder take more than its limits, or lose part of the budget.
func FuzzDecodeZstd(f *testing.F) {
	for _, seed := range bodySeeds {
		f.Add(compressors[Zstd](f, []byte(seed)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		budget := NewBudget(1 << 20)
		batch, err := Body(bytes.NewReader(data), NDJSON, Zstd, Limits{Points: fuzzPoints, Bytes: 1 << 20, Budget: budget})
		if err == nil {
			if n := batch.Len() + len(batch.rejected); n > fuzzPoints {
				t.Fatalf("%d points past the limit of %d", n, fuzzPoints)
			}
			batch.Release()
		}
		if budget.InUse() != 0 {
			t.Fatalf("%d bytes of the budget are lost", budget.InUse())
		}
	})
}

func gunzip(data []byte) ([]byte, error) {
	reader, err := stdgzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(io.LimitReader(reader, 1<<20+1))
	if len(plain) > 1<<20 {
		return nil, schema.TooLarge
	}
	return plain, err
}

const fuzzPoints = 50

// tryDecode decodes a body in one piece and byte by byte, and insists that these agree.
func tryDecode(t *testing.T, body string, format Format) (decoded, error) {
	t.Helper()
	budget := NewBudget(1 << 20)
	limits := Limits{Points: fuzzPoints, Budget: budget}
	whole, err := Body(strings.NewReader(body), format, Identity, limits)
	piecemeal, pieceErr := Body(iotest.OneByteReader(strings.NewReader(body)), format, Identity, limits)
	if (err == nil) != (pieceErr == nil) {
		t.Fatalf("in one piece: %v; byte by byte: %v", err, pieceErr)
	}
	if err != nil {
		if err.Error() != pieceErr.Error() {
			t.Fatalf("in one piece: %v; byte by byte: %v", err, pieceErr)
		}
		if !errors.Is(err, schema.TooLarge) && !errors.Is(err, schema.Invalid) {
			t.Fatalf("err = %v, want TooLarge or Invalid", err)
		}
		if budget.InUse() != 0 {
			t.Fatalf("%d bytes of the budget are lost", budget.InUse())
		}
		return decoded{}, err
	}
	got := describe(whole)
	if d := schematest.Diff(got, describe(piecemeal)); d != "" {
		t.Fatalf("(-in one piece +byte by byte):\n%s", d)
	}
	return got, nil
}

// checkRoundTrip writes the accepted points out and decodes that.
func checkRoundTrip(t *testing.T, got decoded) {
	t.Helper()
	var body strings.Builder
	for i := range got.Points {
		writePoint(&body, &got.Points[i], got.Names[i])
	}
	again, err := tryDecode(t, body.String(), NDJSON)
	if err != nil {
		t.Fatalf("accepted points are not accepted again: %v\n%s", err, body.String())
	}
	want := decoded{Points: got.Points, Names: got.Names}
	again.Indexes = nil
	if d := schematest.Diff(want, again); d != "" {
		t.Fatalf("after a round trip (-want +got):\n%s", d)
	}
}

// writePoint writes a point as a line in the units in which it is stored.
func writePoint(w io.Writer, p *schema.DataPoint, name string) {
	fmt.Fprintf(w, `{"timestamp":%q,"latitude":%de-7,"longitude":%de-7`, time.UnixMilli(p.Timestamp).UTC().Format("2006-01-02T15:04:05.000Z"), p.Latitude, p.Longitude)
	for len(name) > 0 {
		const size = len(schema.ID{})
		switch name[0] {
		case 's':
			fmt.Fprintf(w, `,"session_id":"%x"`, name[1:1+size])
			name = name[1+size:]
		case 'd':
			fmt.Fprintf(w, `,"device_id":"%x"`, name[1:1+size])
			name = name[1+size:]
		case 'm':
			fmt.Fprintf(w, `,"device_mac_address":%q`, name[1:])
			name = ""
		}
	}
	if p.Altitude != schema.NoAltitude {
		fmt.Fprintf(w, `,"altitude":%de-1`, p.Altitude)
	}
	if p.Accuracy != schema.NoAccuracy {
		fmt.Fprintf(w, `,"accuracy":%de-1`, p.Accuracy)
	}
	if p.Speed != schema.NoSpeed {
		fmt.Fprintf(w, `,"speed":%de-2`, p.Speed)
	}
	if p.Heading != schema.NoHeading {
		fmt.Fprintf(w, `,"heading":%de-1`, p.Heading)
	}
	if p.Battery != schema.NoBattery {
		fmt.Fprintf(w, `,"battery":%de-4`, p.Battery)
	}
	if !math.IsNaN(float64(p.Temperature)) {
		fmt.Fprintf(w, `,"temperature":%v`, p.Temperature)
	}
	io.WriteString(w, "}\n")
}

// pointElements finds the points of a body with encoding/json.
func pointElements(body string) ([]json.RawMessage, bool) {
	if !utf8.ValidString(body) {
		return nil, false
	}
	var elements []json.RawMessage
	array := []byte(body)
	var object map[string]json.RawMessage
	if json.Unmarshal(array, &object) == nil && object != nil {
		if timesPoints(body) > 1 {
			return nil, false
		}
		array = object["points"]
	}
	err := json.Unmarshal(array, &elements)
	return elements, err == nil && elements != nil
}

// timesPoints counts the members "points" of a valid object.
func timesPoints(object string) (times int) {
	decoder := json.NewDecoder(strings.NewReader(object))
	if _, err := decoder.Token(); err != nil {
		return 0
	}
	for decoder.More() {
		name, _ := decoder.Token()
		if name == "points" {
			times++
		}
		var skipped json.RawMessage
		if decoder.Decode(&skipped) != nil {
			return times
		}
	}
	return times
}
