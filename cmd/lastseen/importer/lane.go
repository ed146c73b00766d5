package importer

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"lastseen.example/client"

	"lastseen/cmd/lastseen/trackfile"
	"lastseen/ingest/registry"
)

// lane sends the points of some devices, one request at a time, which keeps each device's in order.
// It belongs to one goroutine.
type lane struct {
	of      *Import
	targets map[string]target // by the device's name
	body    []byte            // of the next request, a line a point
	sent    []origin          // where its points come from, by their index
}

// target is where a device's points go.
type target struct {
	session string // empty when the server refuses the device
	refusal *Refusal
}

// origin is where a point comes from.
type origin struct {
	file  string
	place trackfile.Place
}

func newLane(of *Import) *lane {
	return &lane{of: of, targets: map[string]target{}}
}

// run sends what comes through the queue until it is closed.
func (l *lane) run(ctx context.Context, queue <-chan item) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case it, more := <-queue:
			if !more {
				return l.send(ctx)
			}
			if err := l.add(ctx, &it); err != nil {
				return err
			}
		}
	}
}

// add puts a fix into the next request and sends that when it is full.
func (l *lane) add(ctx context.Context, it *item) error {
	session := it.fix.Session
	if session == "" {
		to, err := l.target(ctx, it.fix.Device)
		if err != nil {
			return err
		}
		if to.session == "" {
			l.of.tally.refuse(to.refusal, it.file, it.fix.Place)
			return nil
		}
		session = to.session
	}
	l.body = client.AppendPoint(l.body, pointOf(session, &it.fix))
	l.sent = append(l.sent, origin{it.file, it.fix.Place})
	l.of.tally.session(session)
	if len(l.sent) < l.of.options.BatchPoints {
		return nil
	}
	return l.send(ctx)
}

// send makes the request and notes what became of its points.
func (l *lane) send(ctx context.Context) error {
	if len(l.sent) == 0 {
		return nil
	}
	result, err := l.of.server.Ingest(ctx, l.body)
	if err != nil {
		return err
	}
	l.of.tally.accept(result.Accepted, result.Replaced, result.Dropped)
	for _, rejection := range result.Rejected {
		if rejection.Index < 0 || rejection.Index >= len(l.sent) {
			return fmt.Errorf("send points: the server rejects point %d of %d: check that it and this program are of one version", rejection.Index, len(l.sent))
		}
		from := l.sent[rejection.Index]
		l.of.tally.reject(from.file, from.place, rejection.Detail)
	}
	l.body, l.sent = l.body[:0], l.sent[:0]
	return nil
}

// target registers a device and finds or makes its session, once for each name.
func (l *lane) target(ctx context.Context, name string) (target, error) {
	if to, ok := l.targets[name]; ok {
		return to, nil
	}
	to, err := l.prepare(ctx, name)
	if err != nil {
		return target{}, err
	}
	l.targets[name] = to
	return to, nil
}

func (l *lane) prepare(ctx context.Context, name string) (target, error) {
	device := client.Device{MACAddress: registry.AddressOf(name)}
	if device.MACAddress != name {
		device.Comments = registry.CommentOf(name)
	}
	id, err := l.of.server.RegisterDevice(ctx, device)
	if client.HasStatus(err, http.StatusConflict) {
		// Another organisation calls a device of its own so, which is no reason not to.
		org, orgErr := l.of.server.Organisation(ctx)
		if orgErr != nil {
			return target{}, orgErr
		}
		device.MACAddress, device.Comments = registry.OwnAddress(org, device.MACAddress), registry.CommentOf(name)
		id, err = l.of.server.RegisterDevice(ctx, device)
	}
	if refused(err) {
		taken := client.HasStatus(err, http.StatusConflict)
		return target{refusal: &Refusal{Device: name, Taken: taken, Reason: err.Error()}}, nil
	}
	if err != nil {
		return target{}, err
	}
	session := client.NewSession{Comments: device.Comments}
	if registry.IsReference(name) {
		session.OffChrtReferenceID = name
	}
	sessionID, created, err := l.of.server.EnsureSession(ctx, id, session)
	if refused(err) {
		return target{refusal: &Refusal{Device: name, Reason: err.Error()}}, nil
	}
	if err != nil {
		return target{}, err
	}
	if created {
		l.of.tally.created()
	}
	return target{session: sessionID}, nil
}

// refused reports whether an error concerns one device and not the caller: another organisation has
// it, or the server does not like its name.
func refused(err error) bool {
	return client.HasStatus(err, http.StatusConflict) || client.HasStatus(err, http.StatusUnprocessableEntity)
}

func pointOf(session string, fix *trackfile.Fix) client.Point {
	return client.Point{
		SessionID: session, Timestamp: time.UnixMilli(fix.Timestamp), Latitude: fix.Latitude, Longitude: fix.Longitude,
		Altitude: fix.Altitude, Accuracy: fix.Accuracy, Speed: fix.Speed, Heading: fix.Heading,
		Temperature: fix.Temperature, Battery: fix.Battery,
	}
}
