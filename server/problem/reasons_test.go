package problem

import (
	"slices"
	"testing"
)

// TestEveryProblemIsCounted checks that no problem has a reason that is not in the list, for which
// there is no counter.
func TestEveryProblemIsCounted(t *testing.T) {
	t.Parallel()
	all := []*Problem{SecretInURL, NoRoute}
	for status := 400; status < 600; status++ {
		all = append(all, &Problem{Status: status})
	}
	for _, known := range domainProblems {
		all = append(all, known)
	}
	for _, known := range ownProblems {
		all = append(all, known.problem)
	}
	for _, p := range all {
		if reason := p.CountedAs(); !slices.Contains(Reasons, reason) {
			t.Errorf("%d %q is counted as %q, which is not in the list", p.Status, p.Detail, reason)
		}
	}
}
