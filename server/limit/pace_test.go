package limit

import (
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestStreamsWaitOnlyWhileThereAreShortRequests(t *testing.T) {
	processors := runtime.GOMAXPROCS(0)
	for _, tt := range []struct {
		name       string
		streams    int
		others     int // requests that begin while a piece is produced
		took, wait time.Duration
	}{
		{"alone", processors, 0, 10 * time.Millisecond, 0},
		{"beside a poll, on all processors", processors, 1, 5 * time.Millisecond, 25 * time.Millisecond},
		{"beside a poll, twice as many", 2 * processors, 1, 10 * time.Millisecond, 50 * time.Millisecond},
		{"beside a poll, after a long piece", processors, 1, time.Second, longestPace},
		{"beside a poll, after a short piece", processors, 1, 100 * time.Microsecond, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				streams, begun := NewGate(GateConfig{Capacity: int64(2 * tt.streams)}), new(atomic.Uint64)
				for range tt.streams {
					if _, err := streams.TryEnter(Request{Owner: "org_a", Weight: 1}); err != nil {
						t.Fatal(err)
					}
				}
				p := NewPacer(streams, begun)
				begun.Add(uint64(tt.others))
				began := time.Now()
				p.Produced(t.Context(), tt.took)
				if waited := time.Since(began); waited != tt.wait {
					t.Errorf("waited %v, want %v", waited, tt.wait)
				}
			})
		})
	}
}
