package loadgen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// ErrUnsupported is returned by Run on other systems than Linux.
var ErrUnsupported = errors.New("the load generator needs Linux: run the suite there, or inside a Linux virtual machine")

// Target is where a load goes and how to read what comes back.
type Target struct {
	// Address is host:port.
	Address string
	// TLS is nil for plain TCP.
	TLS *tls.Config
	// Codec reads the answers.
	Codec Codec
	// SourceAddresses, when there are any, are the local addresses to connect from, in turn: one
	// address has only some 28,000 ports for connections to one server.
	SourceAddresses []string
}

func (t Target) localAddr(c int) net.Addr {
	if len(t.SourceAddresses) == 0 {
		return nil
	}
	return &net.TCPAddr{IP: net.ParseIP(t.SourceAddresses[c%len(t.SourceAddresses)])}
}

// Load is one run of a load generator.
type Load struct {
	Target Target
	// Connections is their number over all workers; at least one a worker.
	Connections int
	// Workers is the number of threads.
	Workers int
	// Rate is the arrival rate of an open loop, requests a second. 0 runs a closed loop: every
	// connection sends its next request as soon as the last one is answered.
	Rate float64
	// Shed drops an arrival of an open loop that finds no free connection instead of keeping it.
	Shed bool
	// WarmUp runs before Duration and is not recorded.
	WarmUp, Duration time.Duration
	// Timeout bounds one request; 0 means 10 s.
	Timeout time.Duration
	// Tolerant counts broken and timed-out requests instead of ending the run at the first.
	// Wrong answers always end it.
	Tolerant bool
	// CPUs pins the workers; empty leaves them to the kernel.
	CPUs []int
	// Yields has the workers run only on processors for which nobody else has use. It is for the clients of one caller while what
	// another caller feels is measured on the same machine: in truth they have machines of their own, so what a server needs
	// to answer them should be in the way of others, and what they need themselves should not. The latency of a load that yields
	// says nothing, and where nothing is left it asks for less than a client elsewhere could.
	Yields bool
	// ServerCPU, when set, returns the processor time that the server has spent so far.
	ServerCPU func() time.Duration
	// Connected, when set, is called when all connections are open, before the first request.
	Connected func()
	// Source returns a worker's source, for workers 0 to Workers-1.
	Source func(worker int) Source
}

// Run runs the load until it ends, its source is exhausted or ctx ends. With an error that matches
// ErrWrongAnswer the server said something false; the text has the example.
func (l Load) Run(ctx context.Context) (*Measurement, error) {
	l.Workers = max(l.Workers, 1)
	l.Connections = max(l.Connections, l.Workers)
	if l.Timeout <= 0 {
		l.Timeout = 10 * time.Second
	}
	m := newMeasurement(&l)
	results, err := l.work(ctx, m)
	if err != nil {
		return nil, err
	}
	for _, r := range results {
		m.add(r.rec)
		m.Busiest = max(m.Busiest, r.busy)
		if m.FirstFailure == nil {
			m.FirstFailure = r.failure
		}
		if r.finished > 0 && r.finished < m.Elapsed {
			m.Elapsed = r.finished // an exhausted source ends the run before its time
		}
	}
	return m, nil
}

// result is what one worker hands back.
type result struct {
	rec      *recorder
	busy     float64
	finished time.Duration // of the measured part, when the source was exhausted
	failure  error
}

// connectContext bounds the time for opening all connections.
func connectContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, 2*time.Minute, fmt.Errorf("opening the connections took too long"))
}
