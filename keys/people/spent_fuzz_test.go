package people_test

import (
	"bytes"
	"lastseen/keys/people"
	"maps"
	"strings"
	"testing"
)

// FuzzSpent: what is read from the file of spent tokens is written and read the same again, also when
// the file ends in half a line.
func FuzzSpent(f *testing.F) {
	id := strings.Repeat("A", 43)
	f.Add([]byte(id + " 1800000000\n" + id + " 18"))
	f.Add([]byte("short 1\n" + id + " x\n\n \n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		spent := people.ParseSpent(content)
		var written []byte
		for id, until := range spent {
			if !bytes.Contains(content, []byte(id)) {
				t.Fatalf("the id %q is not in %q", id, content)
			}
			written = people.AppendSpent(written, id, until)
		}
		if again := people.ParseSpent(written); !maps.Equal(again, spent) {
			t.Fatalf("%v was written and read as %v", spent, again)
		}
	})
}
