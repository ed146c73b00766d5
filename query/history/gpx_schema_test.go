package history_test

import (
	"os/exec"
	"strings"
	"testing"

	"lastseen/query/history/format"
	"lastseen/query/querytest"
)

func TestGPXIsValidByItsSchemaOnTheDateLineToo(t *testing.T) {
	t.Parallel()
	xmllint, err := exec.LookPath("xmllint")
	if err != nil {
		t.Skip("xmllint was not found (on Debian: apt-get install libxml2-utils)")
	}
	s := querytest.NewSession()
	stored, _ := written(s.ID)
	dateLine := querytest.At(s.ID, 60)
	dateLine.Latitude, dateLine.Longitude = 90e7, 180e7
	h, _ := historyOf(t, s, append(stored, dateLine)...)
	request := wanted(s.ID)
	request.Format = format.GPX
	text := pull(t, h, request)
	if !strings.Contains(text, `lon="-180`) || strings.Contains(text, `lon="180`) || !strings.Contains(text, "<gpxtpx:TrackPointExtension>") {
		t.Errorf("the date line or the extension's prefix is not as other programs have them: %s", text)
	}
	request.Start, request.End = 0, 1
	for name, document := range map[string]string{"a track": text, "an empty track": pull(t, h, request)} {
		validate := exec.CommandContext(t.Context(), xmllint, "--noout", "--nonet", "--schema", "testdata/gpx.xsd", "-")
		validate.Stdin = strings.NewReader(document)
		if said, err := validate.CombinedOutput(); err != nil {
			t.Errorf("%s is not valid: %v: %s", name, err, said)
		}
	}
}

func TestArrowIsUncompressedUnlessItIsAskedFor(t *testing.T) {
	t.Parallel()
	s := querytest.NewSession()
	stored, want := written(s.ID)
	h, _ := historyOf(t, s, stored...)
	request := wanted(s.ID)
	request.Format = format.Arrow
	frames := map[string]string{"": "", "lz4": "\x04\x22\x4d\x18", "zstd": "\x28\xb5\x2f\xfd"} // how each one's frames begin
	for compression, magic := range frames {
		request.ArrowCompression = compression
		text := pull(t, h, request)
		for other, begins := range frames {
			if has := begins != "" && strings.Contains(text, begins); has != (other == compression && magic != "") {
				t.Errorf("compression %q: frames of %q: %v", compression, other, has)
			}
		}
		if rows := readers[format.Arrow](t, []byte(text)); len(rows) != len(want) {
			t.Errorf("compression %q: %d points, want %d", compression, len(rows), len(want))
		}
	}
	request.Format, request.ArrowCompression = format.CSV, "lz4"
	if err := request.Validate(); err == nil {
		t.Error("a compression of CSV was taken")
	}
}
