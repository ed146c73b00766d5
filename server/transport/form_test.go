package transport_test

import (
	"testing"

	"lastseen/server/transport"
)

func TestWellFormed(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]bool{
		"":                                   true,
		"Host: a\r\nAccept: */*\r\n\r\n":     true,
		"Host: a\nAccept: */*\r\n\r\n":       false,
		"Host: a\r\nX: b\n\r\n":              false,
		"\n":                                 false,
		"Host: a\r\nX: b\r\n continued\r\n":  false,
		"Host: a\r\nX: b\r\n\tcontinued\r\n": false,
		"Host: a\r\nX: b c\td\r\n\r\n":       true,
	} {
		if got := transport.WellFormed([]byte(header)); got != want {
			t.Errorf("%q: %v", header, got)
		}
	}
}
