package limit_test

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lastseen/server/limit"
)

// TestTheThreadsOfALaneHaveLongSlices which is what others interrupt them by.
func TestTheThreadsOfALaneHaveLongSlices(t *testing.T) {
	t.Parallel()
	lane := limit.NewLane(1)
	defer lane.Stop()
	slice := func() time.Duration {
		attributes, err := unix.SchedGetAttr(0, 0)
		if err != nil {
			t.Error(err)
		}
		return time.Duration(attributes.Runtime)
	}
	usual := slice()
	if usual == 0 {
		t.Skip("this kernel knows no time slices of single threads")
	}
	var got time.Duration
	lane.Do(limit.NewWork(func() { got = slice() }))
	if got != 100*time.Millisecond || usual >= got {
		t.Errorf("a thread of the lane has a slice of %v, others of %v", got, usual)
	}
}
