package limit

import (
	"time"

	"golang.org/x/sys/unix"
)

// interruptibleSlice is a long time slice, the longest that the kernel takes: a thread that becomes ready interrupts one whose slice is longer
// than its own, which otherwise runs for a slice, of some milliseconds, first. How much of the processors a thread gets in all does not depend on it.
// To favour the lane's threads less (SCHED_IDLE) would have others wait even less; but one that gets no processor while it holds what the others need,
// a collection of garbage waits for every thread, would have them all wait.
const interruptibleSlice = 100 * time.Millisecond

// interruptible has every other thread interrupt this one. Kernels before 6.12 have no such slices, and a sandbox may forbid to set one: then the
// thread is like others.
func interruptible() {
	_ = unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_NORMAL, Runtime: uint64(interruptibleSlice)}, 0)
}
