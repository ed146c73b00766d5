package ingest

import (
	"cmp"
	"fmt"
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	start := time.Unix(1_700_000_000, 0)
	tests := map[string]struct {
		requests, points, left int           // of the last insert, and points that waited at its end
		waits                  string        // whose request that was
		others                 int           // organisations with a request each in the last insert
		took                   time.Duration // of the last insert
		now                    time.Duration // since the last insert began
		waiting                int
		want                   time.Duration
	}{
		"who writes alone does not wait":                     {requests: 1, points: 1, took: 10 * ms, now: 11 * ms, waiting: 1, want: 0},
		"one large request alone does not make others wait":  {requests: 1, points: 5_000, took: 10 * ms, now: 11 * ms, waiting: 5_000, want: 0},
		"a small group waits for the interval":               {requests: 2, points: 2, took: 10 * ms, now: 12 * ms, waiting: 5, want: 88 * ms},
		"so does one behind a single request":                {requests: 1, points: 1, left: 1, took: 10 * ms, now: 12 * ms, waiting: 1, want: 88 * ms},
		"after a pause nothing waits":                        {requests: 2, points: 2, took: 10 * ms, now: 101 * ms, waiting: 1, want: -1 * ms},
		"half of the writers wait for the other half":        {requests: 5, points: 2_500, left: 2_500, took: 30 * ms, now: 31 * ms, waiting: 2_500, want: 29 * ms},
		"but only as long as the insert took":                {requests: 5, points: 2_500, left: 2_500, took: 30 * ms, now: 61 * ms, waiting: 2_500, want: -1 * ms},
		"and not past the interval":                          {requests: 5, points: 2_500, left: 2_500, took: 90 * ms, now: 95 * ms, waiting: 2_500, want: 5 * ms},
		"who writes alone of an organisation does not wait":  {requests: 5, points: 5, left: 1, waits: theirs, took: 10 * ms, now: 11 * ms, waiting: 1, want: 0},
		"but a few do, beside more than a few organisations": {requests: 1, points: 1, others: fewOrganisations, took: 10 * ms, now: 12 * ms, waiting: 1, want: 88 * ms},
		"all are there": {requests: 5, points: 2_500, left: 2_500, took: 30 * ms, now: 31 * ms, waiting: 5_000, want: 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := pace{interval: 100 * ms}
			var written, left []*request
			for range test.requests {
				written = append(written, &request{orgID: ours, weight: test.points / test.requests})
			}
			for i := range test.others {
				written = append(written, &request{orgID: fmt.Sprint("org_", i), weight: 1})
			}
			if test.left > 0 {
				left = append(left, &request{orgID: cmp.Or(test.waits, ours), weight: test.left})
			}
			p.inserted(start, start.Add(test.took), written, left)
			if got := p.due(start.Add(test.now), test.waiting, p.isAlone(cmp.Or(test.waits, ours))); got != test.want {
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
