package bench

import (
	"errors"
	"iter"
)

// errAnotherFailed ends what runs beside something that has failed.
var errAnotherFailed = errors.New("what is measured beside it has failed")

// inTurn runs functions one at a time: each until it pauses, then the next, so that what they measure is
// measured side by side on a machine that drifts. When one fails, the pauses of the others fail.
func inTurn(runs []func(pause func() error) error) error {
	errs := make([]error, len(runs))
	nexts := make(map[int]func() bool, len(runs)) // of those that have not ended; it says whether one goes on
	var stops []func()
	for i, run := range runs {
		next, stop := iter.Pull(func(yield func(struct{}) bool) {
			over := false
			errs[i] = run(func() error {
				if over = over || !yield(struct{}{}); over {
					return errAnotherFailed
				}
				return nil
			})
		})
		stops = append(stops, stop)
		nexts[i] = func() bool { _, more := next(); return more }
	}
	for failed := false; len(nexts) > 0 && !failed; {
		for i := 0; i < len(runs) && !failed; i++ {
			if next, on := nexts[i]; on && !next() {
				delete(nexts, i)
				failed = errs[i] != nil
			}
		}
	}
	for _, stop := range stops {
		stop()
	}
	var all []error
	for _, err := range errs {
		if !errors.Is(err, errAnotherFailed) {
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}
