package caller

import (
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

func TestTextsThatHoldACredential(t *testing.T) {
	t.Parallel()
	key := "ak_" + strings.Repeat("aB3", 16) + "x"
	token := "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"
	for _, text := range []string{key, "d" + key[1:], token, "x=" + key, "see " + token, key + "&y", "Bearer " + key} {
		if !HoldsCredential([]byte(text)) {
			t.Errorf("%q was not seen", text)
		}
	}
	for _, text := range []string{"", "ak_", "ak_47", "dk_north-1", "eyJ", "eyJhbGciOi", "eyJx.y", "break_" + strings.Repeat("a", 50), "mak_" + strings.Repeat("a", 49)} {
		if HoldsCredential([]byte(text)) {
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
		got := string(Credential(ctx, &Access{}))
		scheme, rest, found := strings.Cut(sent, " ")
		want := ""
		if found && strings.EqualFold(scheme, "bearer") {
			want = strings.Trim(rest, " \t")
		}
		if got != want {
			t.Fatalf("%q holds %q, want %q", sent, got, want)
		}
		if HoldsCredential([]byte(got)) && !HoldsCredential([]byte("?q="+got+"&r")) {
			t.Fatalf("%q is not found in an address", got)
		}
	})
}
