package scenario

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lastseen/bench/loadgen"
	"lastseen/bench/rig"
	"lastseen/bench/traffic"
)

// longestWrites bounds the writes beside something that takes as long as it takes.
const longestWrites = time.Hour

// followers are clients of events, whose organisations' turns come one after the other.
type followers struct {
	on       *rig.Service
	watched  int
	streams  []*traffic.Events
	cancel   context.CancelFunc
	patience time.Duration // until a client that is told nothing counts as forgotten

	delays []float64 // from acknowledgement to event, nanoseconds
}

// openFollowers opens the streams of so many clients.
func (s *changes) openFollowers(ctx context.Context, clients int) (_ *followers, err error) {
	if err := s.catchUp(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	f := &followers{on: s.on, watched: s.watched, cancel: cancel, patience: 10 * time.Second}
	for i := range clients {
		organisation := i % s.watched
		stream, err := traffic.OpenEvents(ctx, s.on.Host, traffic.Bearer(s.on.Catalogue.Keys[organisation][0]), s.cursors[organisation])
		if err != nil {
			return nil, errors.Join(err, f.close())
		}
		f.streams = append(f.streams, stream)
	}
	return f, nil
}

func (f *followers) close() (err error) {
	f.cancel()
	for _, stream := range f.streams {
		err = errors.Join(err, stream.Close())
	}
	return err
}

// told is that a client was told of a change.
type told struct {
	organisation int
	point        []byte
	at           time.Time
	err          error
}

// measure writes points of watched organisations, one at a time, and collects when their clients are told of each.
func (f *followers) measure(ctx context.Context, changes int) error {
	heard := make(chan told, len(f.streams))
	var clients sync.WaitGroup
	for i, stream := range f.streams {
		clients.Go(func() {
			for {
				point, err := stream.Next()
				heard <- told{i % f.watched, bytes.Clone(point), time.Now(), err}
				if err != nil {
					return
				}
			}
		})
	}
	err := f.changeEach(ctx, changes, heard)
	f.cancel() // which ends the streams
	done := make(chan struct{})
	go func() { clients.Wait(); close(done) }()
	for {
		select {
		case <-heard:
		case <-done:
			return err
		}
	}
}

func (f *followers) changeEach(ctx context.Context, changes int, heard <-chan told) error {
	tick := time.NewTicker(longPollInterval)
	defer tick.Stop()
	for i := range changes {
		<-tick.C
		if err := f.change(ctx, i%f.watched, i/f.watched, heard); err != nil {
			return err
		}
	}
	return nil
}

// change writes a point of a session of an organisation and waits until all its clients were told.
func (f *followers) change(ctx context.Context, organisation, number int, heard <-chan told) error {
	c := f.on.Catalogue
	own := c.Own[organisation]
	session := own[number*7919%len(own)]
	timestamp := max(time.Now().UnixMilli(), c.Newest(session)+1)
	acknowledged, err := writeOne(ctx, f.on, session, timestamp)
	if err != nil {
		return err
	}
	timeout := time.NewTimer(f.patience)
	defer timeout.Stop()
	wanted := slices.Concat([]byte(`"_id":"`), c.ID(session), fmt.Appendf(nil, `.%d"`, timestamp))
	clients := len(f.streams) / f.watched
	if organisation < len(f.streams)%f.watched {
		clients++
	}
	for range clients {
		select {
		case t := <-heard:
			if t.err != nil {
				return fmt.Errorf("follow what changes: %w", t.err)
			}
			if t.organisation != organisation || !bytes.Contains(t.point, wanted) {
				return fmt.Errorf("%w: a client of organisation %d was told of another point than that of session %s at %d: %s", loadgen.ErrWrongAnswer, t.organisation, c.ID(session), timestamp, t.point)
			}
			f.delays = append(f.delays, float64(t.at.Sub(acknowledged)))
		case <-timeout.C:
			return fmt.Errorf("%w: a client was not told in %v that session %s has changed", loadgen.ErrWrongAnswer, f.patience, c.ID(session))
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// read has all clients but those that sleep read until ctx ends, and counts what they are told.
func (f *followers) read(ctx context.Context, count *atomic.Int64) error {
	failed := make(chan error, len(f.streams))
	var clients sync.WaitGroup
	for i, stream := range f.streams {
		if i%sleepsOf == sleepsOf-1 {
			continue
		}
		clients.Go(func() {
			for {
				if _, err := stream.Next(); err != nil {
					if ctx.Err() == nil {
						failed <- err
					}
					return
				}
				count.Add(1)
			}
		})
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	f.cancel()
	clients.Wait()
	return err
}
