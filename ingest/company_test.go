package ingest

import (
	"fmt"
	"testing"
	"time"
)

func TestWhoWritesAlone(t *testing.T) {
	t.Parallel()
	at := func(second float64) time.Time { return start.Add(time.Duration(second * float64(time.Second))) }
	our, their := &request{orgID: ours}, &request{orgID: theirs}
	var c company
	want := func(what string, now time.Time, alone, only bool) {
		t.Helper()
		if got := c.isAlone(ours, now); got != alone {
			t.Errorf("%s: alone %v, want %v", what, got, alone)
		}
		if got := c.isOnly(ours, now); got != only {
			t.Errorf("%s: the only one %v, want %v", what, got, only)
		}
	}
	want("nobody has written", at(0), true, true)
	c.see(ours, at(0))
	c.wrote([]*request{our}, nil)
	want("one request", at(0), true, true)
	c.see(theirs, at(1))
	c.wrote([]*request{our, their, their}, []*request{their})
	want("others have several", at(1), true, false)
	c.wrote([]*request{their}, nil)
	want("a group of others", at(1), true, false)
	c.wrote([]*request{our}, []*request{our})
	want("one is written and one waits", at(1), false, false)
	c.wrote([]*request{their}, nil)
	want("and then a group of others", at(1), false, false)
	c.see(ours, at(2))
	c.wrote([]*request{our}, nil)
	want("one request again", at(2), true, false)
	want("the others are quiet", at(12), true, true)
	for i := range fewOrganisations {
		c.see(fmt.Sprint("org_", i), at(20))
	}
	c.see(ours, at(20.5))
	want("among many", at(20.5), false, false)
	want("when these have gone", at(21), true, false)
}
