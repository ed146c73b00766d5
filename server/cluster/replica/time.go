package replica

import "time"

// Instant is a moment by one process's own monotonic clock, in nanoseconds. It means nothing to another process: instants
// never travel.
type Instant int64

// Add returns the instant that long after.
func (t Instant) Add(d time.Duration) Instant { return t + Instant(d) }

// Sub returns how long t is after an earlier instant.
func (t Instant) Sub(earlier Instant) time.Duration { return time.Duration(t - earlier) }

// Clock is a process's monotonic clock. It goes on while the process is stopped. It is safe for concurrent use.
type Clock interface {
	Now() Instant
}

// Monotonic is the clock of the running process. Its instants begin above 0.
func Monotonic() Clock { return monotonic{origin: time.Now().Add(-time.Hour)} }

type monotonic struct{ origin time.Time }

// Now returns the time since an hour before the process asked for the clock.
func (m monotonic) Now() Instant { return Instant(time.Since(m.origin)) }

// Timing has all times of the protocol. They are the same on every node of a cluster.
type Timing struct {
	// Term (L) is how long a right lasts, counted from the sending of what it is a right by.
	Term time.Duration
	// LongTerm (L2) is how long a leader with followers may act after it last looked at the register.
	LongTerm time.Duration
	// Beat is the time between two BEATs to a follower. The protocol's clock ticks twice as often.
	Beat time.Duration
	// FollowerSilence is after what time without an ECHO a leader removes a follower.
	FollowerSilence time.Duration
	// LeaderSilence is after what time without a BEAT the first follower takes over, and Rank how much longer each next
	// one waits.
	LeaderSilence, Rank time.Duration
	// Outside is how long the register's beat must stand, and no leader be heard, before a node that is no member takes over.
	Outside time.Duration
	// Look is how often a leader with followers looks at the register, and how often a node that is outside does.
	Look time.Duration
	// RegisterBeat is how often a leader beats in the register, for those outside.
	RegisterBeat time.Duration
	// Register is after what time a call of the register counts as without an answer.
	Register time.Duration
	// Drift is by what part the rate of a clock may be off.
	Drift float64
}

// DefaultTiming has the times that the service uses.
func DefaultTiming() Timing {
	return Timing{
		Term: 2500 * time.Millisecond, LongTerm: time.Minute, Beat: 200 * time.Millisecond, FollowerSilence: 600 * time.Millisecond,
		LeaderSilence: 1200 * time.Millisecond, Rank: 200 * time.Millisecond, Outside: 6 * time.Second,
		Look: time.Second, RegisterBeat: 1500 * time.Millisecond, Register: time.Second, Drift: 0.02,
	}
}

// padded is a time on this clock after which at least d has passed on every other one.
func (t Timing) padded(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (1 + 3*t.Drift))
}
