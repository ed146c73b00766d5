//go:build unix

package server

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"lastseen/server/stream"
	"lastseen/server/transport"
)

// waits is a source that writes some bytes and then waits for its context, as one does whose
// ClickHouse finds nothing.
type waits struct {
	work    context.Context
	pieces  int // are there
	started chan struct{}
	ended   chan error
}

func (s *waits) Next() ([]byte, error) {
	if s.pieces--; s.pieces >= 0 {
		return []byte("piece"), nil
	}
	close(s.started)
	<-s.work.Done()
	s.ended <- context.Cause(s.work)
	return nil, context.Cause(s.work)
}

func (s *waits) ContentType() string { return "application/json" }

func (s *waits) Close() error { return nil }

func (s *waits) Suspend() (bool, error) { return false, nil }

func (s *waits) Ends() time.Time { return time.Time{} }

func TestAClientThatGoesAwayEndsTheWorkBeforeAnythingIsWritten(t *testing.T) {
	t.Parallel()
	for name, pieces := range map[string]int{"before the first byte": 0, "between two pieces": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from := &waits{pieces: pieces, started: make(chan struct{}), ended: make(chan error, 1)}
			s := start(t, func(with *setup) {
				with.handle = func(c *call) error {
					c.watchDeparture()
					from.work = c.context()
					return c.stream(from, stream.Identity)
				}
			})
			c := dial(t, s.address)
			io.WriteString(c, anyRequest)
			<-from.started
			left := time.Now()
			c.Close()
			if err := <-from.ended; !errors.Is(err, transport.ErrDeparted) {
				t.Errorf("the work ended with %v", err)
			}
			// The promise is a second; this machine does other things too.
			if took := time.Since(left); took > 5*time.Second {
				t.Errorf("it took %v to notice", took)
			}
		})
	}
}

func TestAClientThatStaysIsLeftAlone(t *testing.T) {
	t.Parallel()
	works := make(chan context.Context, 1)
	from := newScript(nil, "first", "second", "last")
	s := start(t, func(with *setup) {
		with.handle = func(c *call) error {
			c.watchDeparture()
			works <- c.context()
			return c.stream(from, stream.Identity)
		}
	})
	from.hold = func() {
		work := <-works
		works <- work
		select {
		case <-work.Done():
			t.Errorf("the work ended with %v", context.Cause(work))
		case <-time.After(3 * transport.DeparturePeriod):
		}
	}
	if answer := raw(t, s.address, anyRequest); !strings.Contains(answer, "last") {
		t.Errorf("got %q", answer)
	}
	<-(<-works).Done() // the watch ends with the call
}
