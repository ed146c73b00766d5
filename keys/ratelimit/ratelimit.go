// Package ratelimit limits how often something may happen, by the generic cell rate algorithm: a token
// bucket whose whole state is one number, so that it costs one atomic exchange and no lock. Time is
// given by the caller; where its times carry a monotonic reading, as those of time.Now do, a wall clock
// that is set back or forth changes nothing.
package ratelimit

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Rate is a quota for a span of time: as many at once, and then one more whenever the window's share
// of one has passed. The zero value is no limit.
type Rate struct {
	Quota  int
	Window time.Duration
}

// ErrRate says that a text is no Rate.
var ErrRate = errors.New("want NUMBER/DURATION, such as 100/10s, or 0 for no limit; the number at most 1000000000, the duration from 1s to 24h")

const maxQuota = 1_000_000_000

// ParseRate reads a text such as 100/10s, or 0 for no limit. It fails with ErrRate.
func ParseRate(text string) (Rate, error) {
	if text == "0" {
		return Rate{}, nil
	}
	number, span, found := strings.Cut(text, "/")
	if !found {
		return Rate{}, fmt.Errorf("%w, not %q", ErrRate, text)
	}
	quota, err := strconv.Atoi(number)
	if err != nil || quota < 1 || quota > maxQuota {
		return Rate{}, fmt.Errorf("%w, not %q", ErrRate, text)
	}
	window, err := time.ParseDuration(span)
	if err != nil || window < time.Second || window > 24*time.Hour {
		return Rate{}, fmt.Errorf("%w, not %q", ErrRate, text)
	}
	return Rate{quota, window}, nil
}

// UnmarshalText is ParseRate, for flags.
func (r *Rate) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRate(string(text))
	return err
}

// String returns the text that ParseRate reads.
func (r Rate) String() string {
	if !r.Limits() {
		return "0"
	}
	return strconv.Itoa(r.Quota) + "/" + r.Window.String()
}

// Limits reports whether the rate is a limit.
func (r Rate) Limits() bool { return r.Quota > 0 && r.Window > 0 }

// interval is the time that one event takes out of the window, at least a nanosecond.
func (r Rate) interval() int64 { return max(1, int64(r.Window)/int64(r.Quota)) }

// Bucket is what is left of a quota. The zero value is a full one. It is safe for concurrent use.
type Bucket struct {
	// full is when the whole quota will be there again, in nanoseconds since epoch; 0 is before any time
	// that a caller may give.
	full atomic.Int64
}

// epoch is what buckets count from. It has a monotonic reading, and lies so far back that times which
// have none, of tests above all, come after it.
var epoch = time.Now().Add(-80 * 365 * 24 * time.Hour)

// sinceEpoch returns a time in nanoseconds since epoch, by the monotonic clock where the time has it.
func sinceEpoch(at time.Time) int64 { return int64(at.Sub(epoch)) }

// Take takes one of the quota at a time and returns 0, or takes nothing and returns how long it will
// be until there is one.
func (b *Bucket) Take(r Rate, now time.Time) (wait time.Duration) {
	return b.Reserve(r, now, 0)
}

// TakeMany is Take of n of the quota, or of all of it where that is less.
func (b *Bucket) TakeMany(r Rate, now time.Time, n int) (wait time.Duration) {
	return b.reserve(r, now, min(n, r.Quota), 0)
}

// Reserve takes one of the quota at a time, also one that will be there only after at most patience.
// It returns when the caller may go ahead: after a wait of at most patience, or, when it is longer,
// not at all, for then nothing was taken.
func (b *Bucket) Reserve(r Rate, now time.Time, patience time.Duration) (wait time.Duration) {
	return b.reserve(r, now, 1, patience)
}

func (b *Bucket) reserve(r Rate, now time.Time, n int, patience time.Duration) (wait time.Duration) {
	at, interval := sinceEpoch(now), r.interval()
	for {
		full := b.full.Load()
		next := max(full, at) + interval*int64(n)
		wait = max(0, time.Duration(next-at-interval*int64(r.Quota)))
		if wait > patience || b.full.CompareAndSwap(full, next) {
			return wait
		}
	}
}

// Wait returns how long it is until there is one of the quota, 0 when there is one now. It takes
// nothing.
func (b *Bucket) Wait(r Rate, now time.Time) time.Duration {
	at, interval := sinceEpoch(now), r.interval()
	return max(0, time.Duration(max(b.full.Load(), at)+interval-at-interval*int64(r.Quota)))
}
