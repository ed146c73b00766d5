package stream

import (
	"strings"
	"testing"

	"lastseen/server/input"
)

func TestTheCodingIsTheOneThatAcceptEncodingLikesBest(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]Coding{
		"":                           Identity,
		"gzip":                       Gzip,
		"x-gzip":                     Gzip,
		"zstd":                       Zstd,
		"gzip, deflate, br, zstd":    Zstd,
		"gzip, deflate":              Gzip,
		"zstd;q=0.5, gzip":           Gzip,
		"zstd;q=0, gzip":             Gzip,
		"gzip;q=0":                   Identity,
		"br":                         Identity,
		"identity":                   Identity,
		"identity, gzip;q=0.5":       Identity,
		"identity;q=0.5, gzip;q=0.5": Gzip,
		"*":                          Identity, // asks for nothing
		"*, gzip;q=0.1":              Gzip,
		"identity;q=0":               Identity, // there is nothing else that it takes
		"identity;q=0, *":            Gzip,
		"identity;q=0, gzip;q=0, *":  Zstd,
		"*;q=0":                      Identity,
		"identity;q=0, *;q=0":        Identity,
		"gzip;q=nonsense":            Identity,
	} {
		if got := Accepted(input.Preferences([][]byte{[]byte(accept)})); got != want {
			t.Errorf("%q: %s, want %s", accept, got, want)
		}
	}
}

// FuzzCoding checks that no coding is chosen that the client refuses.
func FuzzCoding(f *testing.F) {
	for _, seed := range []string{"gzip;q=0.5, *;q=0", "identity;q=0,zstd", "x-gzip;q=0, *", "*;q=0.001"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, header []byte) {
		read := input.Preferences([][]byte{header})
		c, named, most := Accepted(read), false, 0
		for _, p := range read {
			if strings.TrimPrefix(p.Value, "x-") == c.String() {
				named, most = true, max(most, p.Weight)
			}
		}
		if c != Identity && named && most == 0 {
			t.Errorf("%q gets %s, which it refuses", header, c.String())
		}
	})
}
