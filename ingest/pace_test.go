package ingest

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	start := time.Unix(1_700_000_000, 0)
	tests := map[string]struct {
		alone        bool          // who waits writes alone
		points, left int           // of the last insert, and what waited at its end
		took         time.Duration // of the last insert
		now          time.Duration // since the last insert began
		waiting      int
		want         time.Duration
	}{
		"who writes alone does not wait":              {alone: true, points: 1, took: 10 * ms, now: 11 * ms, waiting: 1, want: 0},
		"nor for others":                              {alone: true, points: 5_000, took: 10 * ms, now: 11 * ms, waiting: 5_000, want: 0},
		"a small group waits for the interval":        {points: 2, took: 10 * ms, now: 12 * ms, waiting: 5, want: 88 * ms},
		"so does one behind a single request":         {points: 1, left: 1, took: 10 * ms, now: 12 * ms, waiting: 1, want: 88 * ms},
		"after a pause nothing waits":                 {points: 2, took: 10 * ms, now: 101 * ms, waiting: 1, want: -1 * ms},
		"half of the writers wait for the other half": {points: 2_500, left: 2_500, took: 30 * ms, now: 31 * ms, waiting: 2_500, want: 29 * ms},
		"but only as long as the insert took":         {points: 2_500, left: 2_500, took: 30 * ms, now: 61 * ms, waiting: 2_500, want: -1 * ms},
		"and not past the interval":                   {points: 2_500, left: 2_500, took: 90 * ms, now: 95 * ms, waiting: 2_500, want: 5 * ms},
		"all are there":                               {points: 2_500, left: 2_500, took: 30 * ms, now: 31 * ms, waiting: 5_000, want: 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := pace{interval: 100 * ms}
			p.inserted(start, start.Add(test.took), test.points, test.left)
			if got := p.due(start.Add(test.now), test.waiting, test.alone); got != test.want {
				t.Errorf("the next insert waits for %v, want %v", got, test.want)
			}
		})
	}
	t.Run("the first insert does not wait", func(t *testing.T) {
		t.Parallel()
		p := pace{interval: 100 * ms}
		if got := p.due(start, 1, false); got > 0 {
			t.Errorf("waits for %v", got)
		}
	})
}
