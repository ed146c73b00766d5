package scenario

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"lastseen/bench/loadgen"
	"lastseen/bench/rig"
	"lastseen/bench/traffic"
)

const (
	clientPause    = 5 * time.Millisecond    // of a client between an answer and its next request
	clientPatience = 1500 * time.Millisecond // for one answer
)

// spells is what clients of one kind saw: how long nothing was answered as it should be. It is safe for concurrent use.
type spells struct {
	mu              sync.Mutex
	last            time.Time
	longest         time.Duration
	refused, broken int // 503s, and requests without an answer
}

// begin forgets all.
func (s *spells) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last, s.longest, s.refused, s.broken = time.Now(), 0, 0, 0
}

// answered notes one good answer.
func (s *spells) answered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.longest, s.last = max(s.longest, now.Sub(s.last)), now
}

// failed notes a request that was refused or got no answer.
func (s *spells) failed(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if status == 0 {
		s.broken++
		return
	}
	s.refused++
}

// end returns the longest spell, one that still lasts included, and what failed.
func (s *spells) end() (longest time.Duration, refused, broken int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(s.longest, time.Since(s.last)), s.refused, s.broken
}

// well says that something was answered a moment ago.
func (s *spells) well() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Since(s.last) < 300*time.Millisecond
}

// nodeClients are the clients of one node: one polls a session of which nothing is written, one that of another
// node's writer, and one writes points of a session, each one request after the other.
type nodeClients struct {
	on                  *rig.Node
	quiet, busy, writes spells
	own, others, silent int // sessions
}

// begin forgets what was seen.
func (c *nodeClients) begin() {
	for _, s := range []*spells{&c.quiet, &c.busy, &c.writes} {
		s.begin()
	}
}

// well says that all are being answered.
func (c *nodeClients) well() bool { return c.quiet.well() && c.busy.well() && c.writes.well() }

// watchNodes runs clients of every node until ctx ends.
func watchNodes(ctx context.Context, nodes *rig.Nodes, fail func(error)) (clients []*nodeClients, wait func()) {
	var running sync.WaitGroup
	sessions := nodes.All[0].Catalogue.Own[0]
	count := len(nodes.All)
	for i, on := range nodes.All {
		c := &nodeClients{on: on, own: sessions[i%len(sessions)], others: sessions[(i+1)%count%len(sessions)], silent: sessions[len(sessions)-1]}
		c.begin()
		clients = append(clients, c)
		for _, run := range []func(context.Context, *http.Client) error{
			func(ctx context.Context, client *http.Client) error { return c.poll(ctx, client, c.silent, &c.quiet) },
			func(ctx context.Context, client *http.Client) error { return c.poll(ctx, client, c.others, &c.busy) },
			c.write,
		} {
			running.Go(func() {
				client := &http.Client{Timeout: clientPatience, Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
				defer client.CloseIdleConnections()
				if err := run(ctx, client); err != nil {
					fail(err)
				}
			})
		}
	}
	return clients, running.Wait
}

// poll polls a session until ctx ends. An answer that is older than what was known before it was asked for is an error.
func (c *nodeClients) poll(ctx context.Context, client *http.Client, session int, seen *spells) error {
	key := c.on.Catalogue.Keys[0][0]
	address := c.on.API.Base + traffic.PathLastSeen + "?session_id=" + string(c.on.Catalogue.ID(session))
	for {
		x := loadgen.Exchange{Subject: session, Floor: c.on.Catalogue.Newest(session)}
		status, body := c.ask(ctx, client, http.MethodGet, address, key, nil)
		switch {
		case ctx.Err() != nil:
			return nil
		case status == 0 || status == http.StatusServiceUnavailable:
			seen.failed(status)
		default:
			if err := c.on.Catalogue.CheckPoint(&x, &loadgen.Answer{Status: status, Body: body}); err != nil {
				return fmt.Errorf("%w: %s: %w", loadgen.ErrWrongAnswer, c.on.Name, err)
			}
			seen.answered()
		}
		pauseFor(ctx, clientPause)
	}
}

// write sends points of a session until ctx ends.
func (c *nodeClients) write(ctx context.Context, client *http.Client) error {
	var pen traffic.Pen
	known := c.on.Catalogue
	for {
		at := max(time.Now().UnixMilli(), known.Newest(c.own)+1)
		status, body := c.ask(ctx, client, http.MethodPost, c.on.API.Base+traffic.PathIngest, known.Writers[0], pen.Append(nil, known.ID(c.own), at))
		switch {
		case ctx.Err() != nil:
			return nil
		case status == 0 || status == http.StatusServiceUnavailable:
			c.writes.failed(status)
		case status != http.StatusOK || !bytes.HasPrefix(body, []byte(`{"accepted":1`)):
			return fmt.Errorf("%w: %s answers a point with status %d: %.300s", loadgen.ErrWrongAnswer, c.on.Name, status, body)
		default:
			known.Seen(c.own, at)
			c.writes.answered()
		}
		pauseFor(ctx, clientPause)
	}
}

// ask makes a request and returns its status, 0 for no answer.
func (c *nodeClients) ask(ctx context.Context, client *http.Client, method, address, credential string, body []byte) (int, []byte) {
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return 0, nil
	}
	request.Header.Set("Authorization", "Bearer "+credential)
	if body != nil {
		request.Header.Set("Content-Type", "application/x-ndjson")
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, nil
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, nil
	}
	return response.StatusCode, text
}

// pauseFor waits for a time, or until ctx ends.
func pauseFor(ctx context.Context, length time.Duration) {
	select {
	case <-time.After(length):
	case <-ctx.Done():
	}
}
