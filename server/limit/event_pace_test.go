package limit_test

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"lastseen/server/limit"
)

func TestStreamsOfEventsGetAFourteenthWhileManyRequestsCome(t *testing.T) {
	t.Parallel()
	var begun atomic.Uint64
	pace := limit.NewEventPace(&begun)
	now := time.Unix(1_800_000_000, 0)
	processors := time.Duration(runtime.GOMAXPROCS(0))
	run := func(requests uint64) (told time.Duration) {
		pace.Told(now, 0)
		for end := now.Add(10 * time.Second); now.Before(end); {
			const took = 100 * time.Microsecond
			told += took
			wait := took + pace.Told(now.Add(took), took)
			begun.Add(uint64(wait.Seconds() * float64(requests)))
			now = now.Add(wait)
		}
		return told
	}
	if told := run(0); told < 9*time.Second {
		t.Errorf("alone a stream tells for %v of 10 s", told)
	}
	run(uint64(processors) * 100_000) // the first looks see few requests
	if told, most := run(uint64(processors)*100_000), processors*time.Second*11/14; told > most {
		t.Errorf("beside many requests a stream tells for %v of 10 s, want at most %v", told, most)
	}
}
