package history

import (
	"testing"

	"lastseen/schema"
)

// FuzzCursor: a text is a cursor of a request only if signing its place again gives the same text, and
// it is then none of another organisation's request.
func FuzzCursor(f *testing.F) {
	c := cursors{[]byte("0123456789abcdef0123456789abcdef")}
	request := Request{OrgID: "org_a", Start: 1, End: 2}
	session := schema.ID{1}
	f.Add(c.sign(&request, session, schema.Receipt{ReceivedAt: 3, Timestamp: -4}), "org_b")
	f.Add("", "org_a")
	fleet := Request{OrgID: "org_a", AllSessions: true, Scope: schema.Owned, ReceivedAfter: 5}
	f.Add(c.sign(&fleet, schema.ID{}, schema.Receipt{ReceivedAt: 3, Session: session, Timestamp: -4}), "org_c")
	f.Add("AQAAAAAAAAADAAAAAAAAAAQAAAAAAAAAAAAAAAAAAAAA", "")
	f.Fuzz(func(t *testing.T, text, org string) {
		if place, ok := c.parse(text, &fleet, schema.ID{}); ok {
			if again := c.sign(&fleet, schema.ID{}, place); again != text {
				t.Errorf("%q is signed as %q", text, again)
			}
			other := fleet
			other.Scope = schema.Shared
			if _, ok := c.parse(text, &other, schema.ID{}); ok {
				t.Error("the cursor is good for another scope too")
			}
			if _, ok := c.parse(text, &request, session); ok {
				t.Error("the cursor is good for a session too")
			}
		}
		place, ok := c.parse(text, &request, session)
		if !ok {
			return
		}
		if again := c.sign(&request, session, place); again != text {
			t.Errorf("%q is signed as %q", text, again)
		}
		for _, other := range []Request{
			{OrgID: org, Start: 1, End: 2}, {OrgID: "org_a", Public: true, Start: 1, End: 2}, {OrgID: "org_a", Start: 1, End: 3},
		} {
			if _, ok := c.parse(text, &other, session); ok && other != request {
				t.Errorf("the cursor is good for %+v too", other)
			}
		}
		if _, ok := c.parse(text, &request, schema.ID{2}); ok {
			t.Error("the cursor is good for another session too")
		}
	})
}
