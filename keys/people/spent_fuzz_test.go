package people_test

import (
	"bytes"
	"strings"
	"testing"

	"lastseen/keys/people"
)

// FuzzSpentFile: what is read stands in the file; lines that are no ends are all read, or the file counts as
// damaged.
func FuzzSpentFile(f *testing.F) {
	id := strings.Repeat("A", 43)
	f.Add([]byte(id + " 1800000000\n" + id + " 18"))
	f.Add([]byte("short 1\n" + id + " x\n\n \n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		spent, whole := people.ParseSpentFile(content)
		for _, token := range spent {
			if !bytes.Contains(content, []byte(token.ID)) {
				t.Fatalf("the id %q is not in %q", token.ID, content)
			}
		}
		if lines := bytes.Count(content, []byte{'\n'}); whole && len(spent) < lines {
			t.Fatalf("of %d lines %d were read, and the file counts as whole", lines, len(spent))
		}
	})
}
