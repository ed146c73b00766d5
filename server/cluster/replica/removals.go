package replica

import (
	"fmt"
	"slices"
	"time"
)

// maxRemovals is how many removals a node remembers.
const maxRemovals = 16

// Removal is a member that is none any more.
type Removal struct {
	Member
	At    time.Time
	Epoch uint64 // of the first view without it
	Why   string // in a sentence
}

// removals are those that a node has seen: of each ID the last one, until it is a member again. They are for people; the
// protocol does not look at them.
type removals struct {
	view View // the last one that was looked at
	seen []Removal
}

// after compares a view with the one before, and returns what is remembered then. The slice is not altered later.
func (r *removals) after(v View) []Removal {
	if v.Epoch <= r.view.Epoch {
		return r.seen
	}
	seen := slices.DeleteFunc(slices.Clone(r.seen), func(past Removal) bool {
		_, again := v.Member(past.ID)
		return again
	})
	for _, m := range r.view.Members {
		if _, still := v.Member(m.ID); !still {
			seen = append(seen, Removal{m, time.Now(), v.Epoch, r.why(v)})
		}
	}
	r.view, r.seen = v, seen[max(0, len(seen)-maxRemovals):]
	return r.seen
}

// why says why a view lacks members of the one before. Where some in between were not seen, nor was which of them it was.
func (r *removals) why(v View) string {
	if v.Epoch == r.view.Epoch+1 {
		return v.Why
	}
	return fmt.Sprintf("between epochs %d and %d, which were not seen here: %s", r.view.Epoch, v.Epoch, v.Why)
}
