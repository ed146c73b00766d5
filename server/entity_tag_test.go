package server

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func TestATagThatAProxyAddedToIsOurs(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]bool{
		`"a"`: true, `"a-gzip"`: true, `W/"a;gzip"`: true, `"b", W/"a-gzip"`: true,
		`"b-gzip"`: false, `"a-br"`: false, `"-gzip"`: false, `"a-gzip-gzip"`: false,
	} {
		if got := holdsTag([][]byte{[]byte(list)}, []byte(`"a"`)); got != want {
			t.Errorf("%s: %v, want %v", list, got, want)
		}
	}
}

// FuzzIfNoneMatch checks the comparison of entity tags: a tag is found in every list that holds it,
// and nothing else is.
func FuzzIfNoneMatch(f *testing.F) {
	f.Add(`"a"`, `W/"b"`, `x`)
	f.Add(``, `*`, `"`)
	f.Fuzz(func(t *testing.T, before, line, opaque string) {
		if strings.ContainsAny(opaque, "\"\r\n") {
			return
		}
		tag := []byte(`"` + opaque + `"`)
		if holdsTag([][]byte{[]byte(line)}, tag) && !bytes.Contains([]byte(line), tag[:len(tag)-1]) && !strings.Contains(line, "*") {
			t.Fatalf("%q was found in %q", tag, line)
		}
		clean := strings.Map(func(r rune) rune {
			if strings.ContainsRune("\"*\r\n", r) {
				return -1
			}
			return r
		}, before)
		list := fmt.Sprintf(`"%s", W/%s`, clean, tag)
		if !holdsTag([][]byte{[]byte(list)}, tag) {
			t.Fatalf("%q was not found in %q", tag, list)
		}
	})
}
