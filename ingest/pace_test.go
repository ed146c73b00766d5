package ingest

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	start := time.Unix(1_700_000_000, 0)
	one := func(points int) amount { return amount{1, points} }
	tests := map[string]struct {
		alone         bool          // who waits writes alone
		written, left amount        // of the last insert, and what waited at its end
		took          time.Duration // of the last insert
		now           time.Duration // since the last insert began
		waiting       amount
		reading       int
		want          time.Duration
	}{
		"who writes alone does not wait":                  {alone: true, written: one(1), took: 10 * ms, now: 11 * ms, waiting: one(1), want: 0},
		"whatever the size":                               {alone: true, written: one(500), took: 10 * ms, now: 11 * ms, waiting: one(1), want: 0},
		"nor for others":                                  {alone: true, written: one(5_000), took: 10 * ms, now: 11 * ms, waiting: one(5_000), want: 0},
		"but for a moment for who was just answered":      {alone: true, written: one(1), left: one(500), took: 10 * ms, now: 10 * ms, waiting: one(500), want: 2 * ms},
		"and for who was answered with it":                {alone: true, written: amount{2, 501}, took: 10 * ms, now: 11 * ms, waiting: one(1), want: 1 * ms},
		"and no longer":                                   {alone: true, written: amount{2, 501}, took: 10 * ms, now: 13 * ms, waiting: one(1), want: 0},
		"and not when both are there":                     {alone: true, written: one(1), left: one(500), took: 10 * ms, now: 11 * ms, waiting: amount{2, 501}, want: 0},
		"a small group waits for the interval":            {written: one(2), took: 10 * ms, now: 12 * ms, waiting: one(5), want: 88 * ms},
		"so does one behind a single request":             {written: one(1), left: one(1), took: 10 * ms, now: 12 * ms, waiting: one(1), want: 88 * ms},
		"after a pause nothing waits":                     {written: one(2), took: 10 * ms, now: 101 * ms, waiting: one(1), want: 0},
		"but for a moment where the insert took as long":  {written: amount{2, 2}, took: 100 * ms, now: 100 * ms, waiting: one(1), want: 2 * ms},
		"and no longer than a moment":                     {written: amount{2, 2}, took: 100 * ms, now: 102 * ms, waiting: one(1), want: 0},
		"nor when all who were answered are there":        {written: amount{2, 2}, took: 100 * ms, now: 100 * ms, waiting: amount{2, 2}, want: 0},
		"half of the writers wait for the other half":     {written: one(2_500), left: one(2_500), took: 30 * ms, now: 31 * ms, waiting: one(2_500), want: 29 * ms},
		"but only as long as the insert took":             {written: one(2_500), left: one(2_500), took: 30 * ms, now: 61 * ms, waiting: one(2_500), want: -1 * ms},
		"and not past the interval":                       {written: one(2_500), left: one(2_500), took: 90 * ms, now: 95 * ms, waiting: one(2_500), want: 5 * ms},
		"but for as long again where they are being read": {written: one(2_500), left: one(2_500), took: 30 * ms, now: 61 * ms, waiting: one(2_500), reading: 1, want: 29 * ms},
		"and no longer than that":                         {written: one(2_500), left: one(2_500), took: 30 * ms, now: 91 * ms, waiting: one(2_500), reading: 1, want: -1 * ms},
		"and no longer than an interval from its end":     {written: one(2_500), left: one(2_500), took: 90 * ms, now: 105 * ms, waiting: one(2_500), reading: 1, want: 85 * ms},
		"and not when there are as many as before":        {written: one(2_500), left: one(2_500), took: 30 * ms, now: 31 * ms, waiting: one(5_000), reading: 1, want: 0},
		"nor does who writes alone":                       {alone: true, written: one(5_000), took: 10 * ms, now: 11 * ms, waiting: one(2_500), reading: 1, want: 0},
		"all are there":                                   {written: one(2_500), left: one(2_500), took: 30 * ms, now: 31 * ms, waiting: one(5_000), want: 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := pace{interval: 100 * ms}
			p.inserted(start, start.Add(test.took), test.written, test.left)
			if got := p.due(start.Add(test.now), test.waiting, test.reading, test.alone); got != test.want {
				t.Errorf("the next insert waits for %v, want %v", got, test.want)
			}
		})
	}
	t.Run("the first insert does not wait", func(t *testing.T) {
		t.Parallel()
		p := pace{interval: 100 * ms}
		if got := p.due(start, one(1), 0, false); got > 0 {
			t.Errorf("waits for %v", got)
		}
	})
}
