package sessions_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"

	"lastseen/query/querytest"
	"lastseen/query/sessions"
	"lastseen/schema"
)

// TestSearchAmongManySessions finds the same as a look at every text, before and after texts have changed, few and many
// of them.
func TestSearchAmongManySessions(t *testing.T) {
	t.Parallel()
	s, random := newService(), rand.New(rand.NewPCG(5, 1))
	all, texts := make([]schema.Session, 70_000), make([]string, 70_000)
	draw := func(i int) {
		session := &all[i]
		reference := fmt.Sprintf("Load-%06d", random.IntN(1_000_000))
		comments := []string{"Zürich", "Zu\u0308rich", "Łódź", "Plzeň"}[random.IntN(4)] + fmt.Sprintf(" %d", random.IntN(2000))
		session.OffChrtReferenceID, session.Comments = &reference, &comments
		session.DeviceMACAddress = fmt.Sprintf("02:%02X:%02X", random.IntN(256), random.IntN(256))
		texts[i] = folded(session.DeviceMACAddress + "\x00" + reference + "\x00" + comments)
		session.Version++
		s.put(*session)
	}
	for i := range all {
		all[i] = querytest.NewSession()
		draw(i)
	}
	check := func(when string) {
		t.Helper()
		for _, text := range []string{"load-12", "LOAD", "4711", "zürich 19", "ZÜRICH 1999", "łódź 7", "a7:b", "02:", "zz", "no such text", "-0000", "h 1"} {
			want := 0
			for i := range texts {
				if strings.Contains(texts[i], folded(text)) {
					want++
				}
			}
			request := sessions.ListRequest{Page: 1, PageSize: 1, Filter: sessions.Filter{Search: text}}
			if got := s.list(t, "org_a", request).TotalCount; got != want {
				t.Errorf("%s, %q is found %d times, want %d", when, text, got, want)
			}
		}
		reference := *all[100].OffChrtReferenceID
		found := s.list(t, "org_a", sessions.ListRequest{Page: 1, PageSize: 1000, Filter: sessions.Filter{OffChrtReferenceID: &reference}})
		for _, view := range found.Items {
			if *view.OffChrtReferenceID != reference {
				t.Errorf("%s, a session with %s is among those with %s", when, *view.OffChrtReferenceID, reference)
			}
		}
		if len(found.Items) == 0 {
			t.Errorf("%s, no session with %s is found", when, reference)
		}
	}
	check("at first")
	for _, changes := range []int{500, 9000} {
		for range changes {
			draw(random.IntN(len(all)))
		}
		check(fmt.Sprintf("after %d changes", changes))
	}
	// Texts of which nothing was anywhere before, in a row among the first ones and in one among the last.
	for _, i := range []int{10, 66_000} {
		reference := fmt.Sprintf("Quixotic~%d", i)
		all[i].OffChrtReferenceID = &reference
		all[i].Version++
		s.put(all[i])
		request := sessions.ListRequest{Page: 1, PageSize: 1, Filter: sessions.Filter{Search: "quixotic~" + reference[9:]}}
		if got := s.list(t, "org_a", request); got.TotalCount != 1 || got.Items[0].ID != all[i].ID {
			t.Errorf("row %d is not found by its new text: %+v", i, got)
		}
	}
}

// FuzzFolding: a text is found by itself however it is composed and in whatever case.
func FuzzFolding(f *testing.F) {
	for _, text := range []string{"Zürich", "A\u0308", "ΣΊΣΥΦΟΣ", "Straße", "ＲＥＦ①", "ﬁ", "鍵🔑", "İstanbul", "\u1fb3", "\xff", "ŉ", "ſ"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if text == "" || strings.Contains(text, "\x00") || strings.ToValidUTF8(text, "") != text {
			return
		}
		s, session := newService(), querytest.NewSession()
		session.Comments = &text
		s.put(session)
		for _, typed := range []string{text, norm.NFC.String(text), norm.NFD.String(text), folded(text)} {
			if page := s.list(t, "org_a", sessions.ListRequest{Page: 1, PageSize: 1, Filter: sessions.Filter{Search: typed}}); page.TotalCount != 1 {
				t.Errorf("%q is not found by %q", text, typed)
			}
		}
	})
}
