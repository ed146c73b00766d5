//go:build unix

package server

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"lastseen/server/transport"
)

// waits is a source that writes some bytes and then waits for its context, as one does whose
// ClickHouse finds nothing.
type waits struct {
	work    context.Context
	first   string
	started chan struct{}
	ended   chan error
}

func (s *waits) WriteTo(w io.Writer) (int64, error) {
	if s.first != "" {
		for range 2 { // the first two pieces are sent together
			if _, err := io.WriteString(w, s.first); err != nil {
				return 0, err
			}
		}
	}
	close(s.started)
	<-s.work.Done()
	s.ended <- context.Cause(s.work)
	return 0, context.Cause(s.work)
}

func (s *waits) ContentType() string { return "application/json" }

func (s *waits) Close() error { return nil }

func (s *waits) Suspend() (bool, error) { return false, nil }

func (s *waits) Ends() time.Time { return time.Time{} }

func TestAClientThatGoesAwayEndsTheWorkBeforeAnythingIsWritten(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]string{"before the first byte": "", "between two pieces": "piece"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from := &waits{first: first, started: make(chan struct{}), ended: make(chan error, 1)}
			s := start(t, func(with *setup) {
				with.handle = func(c *call) error {
					c.watchDeparture()
					from.work = c.context()
					return c.stream(from, identity)
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
			return c.stream(from, identity)
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
