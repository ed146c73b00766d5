package server

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

func TestTextsThatHoldACredential(t *testing.T) {
	t.Parallel()
	key := "ak_" + strings.Repeat("aB3", 16) + "x"
	token := "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"
	for _, text := range []string{key, "d" + key[1:], token, "x=" + key, "see " + token, key + "&y", "Bearer " + key} {
		if !holdsCredential([]byte(text)) {
			t.Errorf("%q was not seen", text)
		}
	}
	for _, text := range []string{"", "ak_", "ak_47", "dk_north-1", "eyJ", "eyJhbGciOi", "eyJx.y", "break_" + strings.Repeat("a", 50), "mak_" + strings.Repeat("a", 49)} {
		if holdsCredential([]byte(text)) {
			t.Errorf("%q was taken for a credential", text)
		}
	}
}

// FuzzCredential checks that the credential of a header is what stands behind the scheme, and that
// it is found again wherever it is written into an address.
func FuzzCredential(f *testing.F) {
	f.Add("Bearer ak_abc")
	f.Add("bearer   x ")
	f.Add("Basic eDp5")
	f.Add("Bearer")
	f.Fuzz(func(t *testing.T, header string) {
		ctx := &fasthttp.RequestCtx{}
		ctx.Request.Header.Set("Authorization", header)
		sent := string(ctx.Request.Header.Peek("Authorization")) // fasthttp drops line breaks
		got := string(credential(ctx))
		scheme, rest, found := strings.Cut(sent, " ")
		want := ""
		if found && strings.EqualFold(scheme, "bearer") {
			want = strings.Trim(rest, " \t")
		}
		if got != want {
			t.Fatalf("%q holds %q, want %q", sent, got, want)
		}
		if holdsCredential([]byte(got)) && !holdsCredential([]byte("?q="+got+"&r")) {
			t.Fatalf("%q is not found in an address", got)
		}
	})
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
		if holdsTag([][]byte{[]byte(line)}, tag) && !bytes.Contains([]byte(line), tag) && !strings.Contains(line, "*") {
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
