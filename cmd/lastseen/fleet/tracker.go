package fleet

import (
	"context"
	"fmt"
	"math"
	"time"

	"lastseen.example/client"
)

// tracker is the box in a vehicle that reports to the server. It belongs to one goroutine at a time.
type tracker struct {
	name, session string
	server        Server
	vehicle       *vehicle
	pending       []client.Point // not sent yet, by ascending time
	reports       int            // that were taken down
}

// glitchEvery is after how many reports one is wrong, as it is with real trackers: about every half hour on the road.
const glitchEvery = 300

const (
	maxBatch   = 2000    // points in one request
	maxPending = 100_000 // points kept while there is no signal or no server; the oldest go first
)

// advance takes down every report that is due by now, and sends whenever there is signal. It returns
// the number of points that the server took.
func (t *tracker) advance(ctx context.Context, now time.Time) (sent int, err error) {
	online := false
	for !t.vehicle.at.After(now) {
		r := t.vehicle.step()
		online = r.online
		t.glitch(&r)
		t.pending = append(t.pending, client.Point{
			SessionID: t.session, Timestamp: r.at, Latitude: r.latitude, Longitude: r.longitude, Altitude: math.NaN(),
			Accuracy: r.accuracy, Speed: r.speed, Heading: r.heading, Temperature: r.cargo, Battery: r.battery,
		})
		if over := len(t.pending) - maxPending; over > 0 {
			t.pending = t.pending[over:]
		}
		if online && len(t.pending) >= maxBatch {
			n, err := t.send(ctx)
			sent += n
			if err != nil {
				return sent, err
			}
		}
	}
	if !online {
		return sent, nil
	}
	n, err := t.send(ctx)
	return sent + n, err
}

// glitch makes some reports wrong: by turns one says 0/0, as without a position, and one lies 40 km away.
func (t *tracker) glitch(r *report) {
	t.reports++
	switch t.reports % (2 * glitchEvery) {
	case glitchEvery / 2:
		r.latitude, r.longitude = 0, 0
	case glitchEvery/2 + glitchEvery:
		r.latitude += 0.36
	}
}

// send sends what is pending.
func (t *tracker) send(ctx context.Context) (sent int, err error) {
	for len(t.pending) > 0 {
		batch := t.pending[:min(len(t.pending), maxBatch)]
		var body []byte
		for _, p := range batch {
			body = client.AppendPoint(body, p)
		}
		result, err := t.server.Ingest(ctx, body)
		if err != nil {
			return sent, err
		}
		t.pending = t.pending[len(batch):]
		sent += result.Accepted
		if len(result.Rejected) > 0 {
			return sent, fmt.Errorf("the server rejects %d of %d points: %s", len(result.Rejected), len(batch), result.Rejected[0].Detail)
		}
	}
	t.pending = nil
	return sent, nil
}
