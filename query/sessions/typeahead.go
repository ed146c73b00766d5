package sessions

import (
	"bytes"
	"cmp"
	"slices"

	"lastseen/schema"
)

// MaxSuggestions is the most values of a field that Typeahead returns.
const MaxSuggestions = 100

// Suggestions are values that contain a text: those that begin with it first, then in alphabetical order.
type Suggestions struct {
	MACAddresses []string
	ReferenceIDs []string
}

// Typeahead returns up to limit (1 to 100) distinct values of each field, among the sessions that an organisation may
// see, that contain text as fold compares it.
func (s *Reader) Typeahead(orgID, text string, scope schema.OrgScope, limit int) (Suggestions, error) {
	switch {
	case text == "":
		return Suggestions{}, schema.Invalid.About("query", "This must not be empty.")
	case limit < 1 || limit > MaxSuggestions:
		return Suggestions{}, schema.Invalid.About("limit", "This must be a whole number from 1 to %d.", MaxSuggestions)
	}
	look := scan{index: s.index, orgID: orgID, scope: scope, criteria: newCriteria(&Filter{Search: text}, s.now())}
	needle := look.criteria.needle
	addresses, references := suggester{limit: limit}, suggester{limit: limit}
	look.found = func(f *fleet, rows []uint32, _ []int64) {
		for _, number := range rows {
			r, b := f.row(number)
			mac, reference, _ := fields(b.folded(r))
			if at := bytes.Index(mac, needle); at >= 0 {
				addresses.add(at > 0, mac, func() string { return b.session(r).DeviceMACAddress })
			}
			if !r.has(hasReference) {
				continue
			}
			if at := bytes.Index(reference, needle); at >= 0 {
				references.add(at > 0, reference, func() string { return *b.session(r).OffChrtReferenceID })
			}
		}
	}
	look.run()
	return Suggestions{MACAddresses: addresses.values(), ReferenceIDs: references.values()}, nil
}

// suggester keeps the first few of many values.
type suggester struct {
	limit int
	best  []suggestion // in order
}

// suggestion is a value that contains the text.
type suggestion struct {
	inside        bool // the text is not at its beginning
	folded, value string
}

func (a suggestion) compare(b suggestion) int {
	if a.inside != b.inside {
		if b.inside {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(a.folded, b.folded), cmp.Compare(a.value, b.value))
}

// add takes note of a value, of which it asks for no more than its folded form if it comes after those it has.
func (s *suggester) add(inside bool, folded []byte, value func() string) {
	if len(s.best) == s.limit {
		worst := &s.best[len(s.best)-1]
		if inside && !worst.inside || inside == worst.inside && string(folded) > worst.folded {
			return
		}
	}
	one := suggestion{inside, string(folded), value()}
	at, there := slices.BinarySearchFunc(s.best, one, suggestion.compare)
	if there {
		return
	}
	if at == s.limit {
		return
	}
	if len(s.best) == s.limit {
		s.best = s.best[:s.limit-1]
	}
	s.best = slices.Insert(s.best, at, one)
}

func (s *suggester) values() (values []string) {
	for _, one := range s.best {
		values = append(values, one.value)
	}
	return values
}
