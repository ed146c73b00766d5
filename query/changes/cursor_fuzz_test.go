package changes

import (
	"testing"

	"lastseen/query/latest"
	"lastseen/query/latest/changelog"
	"lastseen/schema"
)

// FuzzCursor: a text is a cursor of an organisation and scope only if its place is signed as the same text again, and it is
// then none of another organisation or scope.
func FuzzCursor(f *testing.F) {
	c := cursors{[]byte("0123456789abcdef0123456789abcdef")}
	place := latest.Place{Run: 1, Owned: changelog.Place{Read: 2, Since: 3}, Shared: changelog.Place{Read: 4, Since: 5}}
	f.Add(string(c.append(nil, "org_a", schema.Owned, &place)), "org_b")
	f.Add("", "org_a")
	f.Add("AQAAAAAAAAADAAAAAAAAAAQAAAAAAAAAAAAAAAAAAAAA", "")
	f.Fuzz(func(t *testing.T, text, org string) {
		place, ok := c.parse(text, "org_a", schema.Owned)
		if !ok {
			return
		}
		if again := string(c.append(nil, "org_a", schema.Owned, &place)); again != text {
			t.Errorf("%q is signed as %q", text, again)
		}
		if _, ok := c.parse(text, org, schema.Owned); ok && org != "org_a" {
			t.Errorf("the cursor is good for %q too", org)
		}
		if _, ok := c.parse(text, "org_a", schema.Shared); ok {
			t.Error("the cursor is good for another scope too")
		}
	})
}

func TestACursorLeadsBackToItsPlace(t *testing.T) {
	t.Parallel()
	c := cursors{[]byte("0123456789abcdef0123456789abcdef")}
	want := latest.Place{Run: 1, Owned: changelog.Place{Read: 2, Since: 3}, Shared: changelog.Place{Read: 4, Since: 5}}
	text := c.append(nil, "org_a", schema.OwnedAndShared, &want)
	if got, ok := c.parse(string(text), "org_a", schema.OwnedAndShared); !ok || got != want {
		t.Errorf("%v %+v, want %+v", ok, got, want)
	}
	for i := range text {
		changed := append([]byte{}, text...)
		changed[i] ^= 1
		if _, ok := c.parse(string(changed), "org_a", schema.OwnedAndShared); ok {
			t.Errorf("a cursor whose character %d was changed is good", i)
		}
	}
}
