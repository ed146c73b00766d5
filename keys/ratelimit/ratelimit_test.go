package ratelimit_test

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"lastseen/keys/ratelimit"
)

var start = time.Date(2026, 1, 15, 9, 30, 0, 0, time.UTC)

func TestBucket(t *testing.T) {
	t.Parallel()
	rate := ratelimit.Rate{Quota: 5, Window: 10 * time.Second}
	t.Run("gives the whole quota at once, then one every two seconds", func(t *testing.T) {
		var b ratelimit.Bucket
		now := start
		for i := range 5 {
			if wait := b.Wait(rate, now); wait != 0 {
				t.Fatalf("number %d would wait %s", i, wait)
			}
			if wait := b.Take(rate, now); wait != 0 {
				t.Fatalf("number %d waits %s", i, wait)
			}
		}
		for range 3 { // refusals take nothing
			if wait := b.Take(rate, now); wait != 2*time.Second {
				t.Fatalf("past the quota the wait is %s", wait)
			}
		}
		now = now.Add(1999 * time.Millisecond)
		if wait := b.Take(rate, now); wait != time.Millisecond {
			t.Errorf("just before, the wait is %s", wait)
		}
		now = now.Add(time.Millisecond)
		if wait := b.Take(rate, now); wait != 0 {
			t.Errorf("after two seconds the wait is %s", wait)
		}
		if wait := b.Take(rate, now); wait != 2*time.Second {
			t.Errorf("the next waits %s", wait)
		}
	})
	t.Run("never holds more than the quota", func(t *testing.T) {
		var b ratelimit.Bucket
		b.Take(rate, start)
		taken := 0
		for b.Take(rate, start.Add(time.Hour)) == 0 {
			taken++
		}
		if taken != 5 {
			t.Errorf("after an hour it gave %d", taken)
		}
	})
	t.Run("gives ahead of time to who is patient", func(t *testing.T) {
		var b ratelimit.Bucket
		var waits []time.Duration
		for range 8 {
			waits = append(waits, b.Reserve(rate, start, 4*time.Second))
		}
		if waits[4] != 0 || waits[5] != 2*time.Second || waits[6] != 4*time.Second || waits[7] != 6*time.Second {
			t.Errorf("got %v", waits)
		}
		if wait := b.Take(rate, start); wait != 6*time.Second {
			t.Errorf("the one that would have waited too long has taken something: %s", wait)
		}
	})
	t.Run("goes by the monotonic clock when the wall clock is set back", func(t *testing.T) {
		var b ratelimit.Bucket
		now := time.Now()
		for range 5 {
			b.Take(rate, now)
		}
		if wait := b.Take(rate, setBack(now.Add(2*time.Second), time.Hour)); wait != 0 {
			t.Errorf("two seconds later it waits %s", wait)
		}
	})
	t.Run("gives no more however many ask at once", func(t *testing.T) {
		var b ratelimit.Bucket
		var given atomic.Int64
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 1000 {
					if b.Take(ratelimit.Rate{Quota: 777, Window: time.Hour}, start) == 0 {
						given.Add(1)
					}
				}
			})
		}
		all.Wait()
		if given.Load() != 777 {
			t.Errorf("it gave %d", given.Load())
		}
	})
}

// setBack returns what time.Now would say had the wall clock been set back by whole seconds: only the
// system can make such a time otherwise. The wall's seconds lie above its 30 bits of nanoseconds.
func setBack(at time.Time, by time.Duration) time.Time {
	wall := (*uint64)(unsafe.Pointer(&at))
	*wall -= uint64(by/time.Second) << 30
	return at
}

func TestTable(t *testing.T) {
	t.Parallel()
	rate := ratelimit.Rate{Quota: 3, Window: time.Minute}
	t.Run("counts everybody alone", func(t *testing.T) {
		table := ratelimit.NewTable(rate, 1024)
		for id := range uint64(100) {
			for range 3 {
				if wait := table.Take(id*7919, start); wait != 0 {
					t.Fatalf("%d waits %s", id, wait)
				}
			}
		}
		for id := range uint64(100) {
			if table.Wait(id*7919, start) == 0 || table.Take(id*7919, start) == 0 {
				t.Fatalf("%d got more than its quota", id)
			}
		}
		if wait := table.Wait(5, start); wait != 0 {
			t.Errorf("who has taken nothing would wait %s", wait)
		}
	})
	t.Run("remembers the worst when others crowd in", func(t *testing.T) {
		table := ratelimit.NewTable(rate, 64)
		const guesser = 42
		for range 3 {
			table.Take(guesser, start)
		}
		for range 10_000 { // many who do a little each
			table.Take(rand.Uint64(), start)
		}
		if table.Take(guesser, start) == 0 {
			t.Error("the one at the limit was forgotten")
		}
	})
	t.Run("lets everything pass without a limit", func(t *testing.T) {
		table := ratelimit.NewTable(ratelimit.Rate{}, 64)
		for range 100 {
			if table.Take(1, start) != 0 || table.Wait(1, start) != 0 {
				t.Fatal("it limits")
			}
		}
	})
}

func TestTakingDoesNotAllocate(t *testing.T) {
	table := ratelimit.NewTable(ratelimit.Rate{Quota: 3, Window: time.Minute}, 64)
	id := uint64(0)
	if n := testing.AllocsPerRun(1000, func() { id += 12345; table.Take(id, start); table.Wait(id, start) }); n > 0 {
		t.Errorf("%.1f allocations", n)
	}
}

func FuzzParseRate(f *testing.F) {
	for _, text := range []string{"0", "100/10s", "1000000/1m", "5/1h30m", "-1/1s", "1/0s", "1", "1/1s/1s", "01/1s", "9999999999/1s"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rate, err := ratelimit.ParseRate(text)
		if err != nil {
			if !errors.Is(err, ratelimit.ErrRate) || rate.Limits() {
				t.Fatalf("%q: %v, %v", text, rate, err)
			}
			return
		}
		again, err := ratelimit.ParseRate(rate.String())
		if err != nil || again != rate {
			t.Fatalf("%q is %+v, which is written %s and read %+v, %v", text, rate, rate, again, err)
		}
		var b ratelimit.Bucket
		if rate.Limits() && b.Take(rate, start) != 0 {
			t.Fatalf("%q does not let one pass", text)
		}
	})
}
