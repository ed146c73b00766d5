package scenario

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"lastseen/bench/loadgen"
)

const (
	// crowdedConnections is how many connections poll at once, beside as many as find the capacity: each
	// poll waits for those of the others, so a limit on connections is a limit on that wait.
	crowdedConnections = 1.5
	// crowdSlack is room under the limit for the suite's own calls.
	crowdSlack = 8
)

// crowded overloads last_seen of a service whose operator has set --max-connections: those who are let in
// ask for three times what it can do, and the others are refused and come again when they were told to.
func (s *overload) crowded(ctx context.Context) (_ []string, err error) {
	in := int(crowdedConnections * float64(s.loads.Connections))
	limit := strconv.Itoa(in + crowdSlack)
	on, err := s.rig.StartLastseen(ctx, "lastseen-limited", s.spec, "--max-connections", limit)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, on.Stop()) }()
	kind := s.kinds(on)[0]
	kind.name = "last_seen, --max-connections " + limit
	kind.past = in
	kind.crowd = &crowd{address: on.Host, clients: overloadConnections*s.loads.Connections - in}
	return s.one(ctx, on, kind)
}

// crowd is clients for whom a service has no connection left. Each goes by Retry-After.
type crowd struct {
	address string
	clients int

	mu       sync.Mutex
	refusals []time.Duration // from the first packet to the whole answer
}

// run keeps the clients coming until ctx ends, from when those who are let in are in.
func (c *crowd) run(ctx context.Context, in <-chan struct{}) error {
	select {
	case <-in:
	case <-ctx.Done():
		return nil
	}
	all, ctx := errgroup.WithContext(ctx)
	for range c.clients {
		all.Go(func() error { return c.comeAgain(ctx) })
	}
	return all.Wait()
}

// addTo counts the refusals among those of a load.
func (c *crowd) addTo(m *loadgen.Measurement) {
	m.Refused += int64(len(c.refusals))
	for _, took := range c.refusals {
		_ = m.Refusal.RecordValue(int64(took)) // it is within the time-out, and so in range
	}
}

func (c *crowd) comeAgain(ctx context.Context) error {
	for {
		began := time.Now()
		wait, err := c.knock(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("connect past the limit: %w", err)
		}
		c.mu.Lock()
		c.refusals = append(c.refusals, time.Since(began))
		c.mu.Unlock()
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
	}
}

// knock connects and returns how long the service tells the client to wait.
func (c *crowd) knock(ctx context.Context) (time.Duration, error) {
	dialer := net.Dialer{Timeout: 10 * time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", c.address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return 0, err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
	if response.StatusCode != http.StatusServiceUnavailable || err != nil || seconds < 1 {
		return 0, fmt.Errorf("%w: a connection past the limit got %s with the Retry-After %q", loadgen.ErrWrongAnswer, response.Status, response.Header.Get("Retry-After"))
	}
	return time.Duration(seconds) * time.Second, nil
}
