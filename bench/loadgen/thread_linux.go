package loadgen

import (
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// takeThread ties the goroutine to a thread of its own for good: the thread ends with the
// goroutine, so its settings reach nobody else. cpus pins it unless it is empty; one that yields runs only where nobody else
// would.
func takeThread(cpus []int, yields bool) error {
	runtime.LockOSThread()
	// The kernel may let a sleeper sleep 50 µs longer to save wake-ups, which is as long as an answer takes.
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("ask for exact timers: %w", err)
	}
	if yields {
		// A nice value would not do: a thread that is least favoured still runs its time slice of some milliseconds to the end
		// when another becomes ready. One that is idle gives its processor up at once.
		if err := unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_IDLE}, 0); err != nil {
			return fmt.Errorf("have a worker yield to others: %w", err)
		}
	}
	if len(cpus) == 0 {
		return nil
	}
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("pin a worker to processors %v: %w", cpus, err)
	}
	return nil
}

// threadCPU returns the processor time of the calling thread so far.
func threadCPU() time.Duration {
	return cpuTime(unix.RUSAGE_THREAD)
}

// ProcessCPU returns the processor time of this process so far.
func ProcessCPU() time.Duration {
	return cpuTime(unix.RUSAGE_SELF)
}

func cpuTime(who int) time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(who, &usage); err != nil {
		return 0 // only a wrong argument fails
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
