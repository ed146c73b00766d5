// Package fleet simulates delivery vehicles in a city, whose trackers report to a lastseen server over
// HTTP as real ones do: jitter, stops, lost signal and late batches included.
package fleet

import (
	"context"
	"fmt"
	"hash/fnv"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"lastseen.example/client"
)

// Server is what the fleet needs of a server; *client.Client is one.
type Server interface {
	RegisterDevice(ctx context.Context, device client.Device) (id string, err error)
	EnsureSession(ctx context.Context, deviceID string, session client.NewSession) (id string, created bool, err error)
	Ingest(ctx context.Context, ndjson []byte) (client.IngestResult, error)
}

// LastSeener tells where a session was last seen, so that a fleet goes on where it once stopped.
type LastSeener interface {
	LastSeen(ctx context.Context, sessionID string) (*client.DataPoint, error)
}

// Options tune a fleet.
type Options struct {
	Vehicles int           // at least 1
	Past     time.Duration // how far back its history goes at most
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	Log *slog.Logger
}

// Fleet is some vehicles with sessions. Its methods are called one after the other.
type Fleet struct {
	server   Server
	options  Options
	trackers []*tracker
}

// Vehicle is one vehicle of a fleet.
type Vehicle struct {
	Name      string
	SessionID string
	Driving   bool // on the road and with signal, as of its last report
}

// workers is how many goroutines send for the fleet.
const workers = 8

// New registers the vehicles and their sessions, those of an earlier run where there are any, and puts
// them where they were last seen.
func New(ctx context.Context, server Server, seen LastSeener, options Options) (*Fleet, error) {
	if options.Now == nil {
		options.Now = time.Now
	}
	f := &Fleet{server: server, options: options, trackers: make([]*tracker, options.Vehicles)}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for i := range f.trackers {
		group.Go(func() (err error) {
			f.trackers[i], err = f.newTracker(ctx, seen, fmt.Sprintf("van-%02d", i+1))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("set up the fleet: %w", err)
	}
	return f, nil
}

func (f *Fleet) newTracker(ctx context.Context, seen LastSeener, name string) (*tracker, error) {
	device, err := f.server.RegisterDevice(ctx, client.Device{MACAddress: name, Comments: "simulated"})
	if err != nil {
		return nil, err
	}
	session, _, err := f.server.EnsureSession(ctx, device, client.NewSession{OffChrtReferenceID: "route-" + name, Comments: "simulated"})
	if err != nil {
		return nil, err
	}
	last, err := seen.LastSeen(ctx, session)
	if err != nil {
		return nil, err
	}
	now := f.options.Now()
	hash := fnv.New64a()
	hash.Write([]byte(name))
	// A second run must not repeat the first one's walk, hence the hour.
	seed := hash.Sum64() + uint64(now.Unix()/3600)
	start, at := randomCorner(seed), now.Add(-f.options.Past).Truncate(time.Second)
	at = at.Add(time.Duration(seed % uint64(drivingInterval))).Truncate(time.Millisecond) // not all at once
	if last != nil {
		start = nearestCorner(placeAt(last.Location.Latitude(), last.Location.Longitude()))
		if next := last.Timestamp.Add(drivingInterval); next.After(at) {
			at = next
		}
	}
	return &tracker{name: name, session: session, server: f.server, vehicle: newVehicle(seed, start, at)}, nil
}

// Vehicles returns the vehicles in the order of their names.
func (f *Fleet) Vehicles() []Vehicle {
	vehicles := make([]Vehicle, len(f.trackers))
	for i, t := range f.trackers {
		vehicles[i] = Vehicle{Name: t.name, SessionID: t.session, Driving: t.vehicle.driving()}
	}
	return vehicles
}

// KeepMoving chooses a vehicle, one that is on the road and has sent all it has if there is one, which from now on drives
// without a stop and is never out of signal, and returns it.
func (f *Fleet) KeepMoving() Vehicle {
	vehicles := f.Vehicles()
	sent := func(t *tracker) bool { return len(t.pending) == 0 }
	chosen := slices.IndexFunc(f.trackers, func(t *tracker) bool { return t.vehicle.driving() && sent(t) })
	if chosen < 0 {
		chosen = max(0, slices.IndexFunc(f.trackers, sent))
	}
	f.trackers[chosen].vehicle.keepMoving(f.options.Now())
	return vehicles[chosen]
}

// Backfill drives the vehicles from where they are in time to the present and sends what they
// reported. progress is called after each vehicle, from several goroutines. It returns the number of
// points.
func (f *Fleet) Backfill(ctx context.Context, progress func()) (points int, err error) {
	counts := make([]int, len(f.trackers))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for i, t := range f.trackers {
		group.Go(func() (err error) {
			counts[i], err = t.advance(ctx, f.options.Now())
			progress()
			return err
		})
	}
	err = group.Wait()
	for _, n := range counts {
		points += n
	}
	if err != nil {
		return points, fmt.Errorf("send the fleet's past: %w", err)
	}
	return points, nil
}

// Drive lets the vehicles drive and report in real time until ctx ends. What cannot be sent is kept,
// within bounds, and sent later.
func (f *Fleet) Drive(ctx context.Context) {
	var group errgroup.Group
	for w := range workers {
		group.Go(func() error {
			f.driveSome(ctx, w)
			return nil
		})
	}
	group.Wait() // only to wait: driveSome has no error
}

// driveSome drives every vehicle whose number is w modulo the number of workers.
func (f *Fleet) driveSome(ctx context.Context, w int) {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-second.C:
		}
		for i := w; i < len(f.trackers); i += workers {
			if _, err := f.trackers[i].advance(ctx, f.options.Now()); err != nil && ctx.Err() == nil {
				f.options.Log.Warn("a simulated vehicle could not report and will try again", "vehicle", f.trackers[i].name, "error", err)
			}
		}
	}
}
