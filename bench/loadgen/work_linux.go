package loadgen

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// work runs the workers: first all connect, then all start at once.
func (l *Load) work(ctx context.Context, m *Measurement) ([]*result, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	networks := make([]*sockets, l.Workers)
	defer func() {
		for _, n := range networks {
			if n != nil {
				n.close() // the run is over: nobody reads or writes any more
			}
		}
	}()
	if err := l.connect(ctx, networks); err != nil {
		return nil, err
	}
	if l.Connected != nil {
		l.Connected()
	}

	start := time.Now()
	results, errs := make([]*result, l.Workers), make([]error, l.Workers)
	var group sync.WaitGroup
	for worker := range l.Workers {
		group.Go(func() {
			results[worker], errs[worker] = l.worker(ctx, worker, networks[worker], start)
			if errs[worker] != nil {
				stop(errs[worker])
			}
		})
	}
	over, metered := make(chan struct{}), make(chan struct{})
	go func() { l.meter(over, start, m); close(metered) }()
	group.Wait()
	close(over)
	<-metered
	return results, firstCause(errs)
}

// connect opens all connections.
func (l *Load) connect(ctx context.Context, networks []*sockets) (err error) {
	ctx, cancel := connectContext(ctx)
	defer cancel()
	var group sync.WaitGroup
	group.Go(func() { // a thread of its own may yield
		if l.Yields {
			if err = takeThread(l.CPUs, true); err != nil {
				return
			}
		}
		for worker := range networks {
			n := l.Connections / l.Workers
			if worker < l.Connections%l.Workers {
				n++
			}
			if networks[worker], err = dial(ctx, l.Target, n); err != nil {
				return
			}
		}
	})
	group.Wait()
	return err
}

// firstCause prefers what went wrong to the cancellations that followed from it.
func firstCause(errs []error) error {
	var canceled error
	for _, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
		if err != nil {
			canceled = err
		}
	}
	return canceled
}

// worker is one thread's whole run.
func (l *Load) worker(ctx context.Context, worker int, net *sockets, start time.Time) (*result, error) {
	if err := takeThread(l.CPUs, l.Yields); err != nil {
		return nil, err
	}
	loop := &loop{
		net: net, clock: func() time.Duration { return time.Since(start) },
		source: l.Source(worker), rec: newRecorder(l.WarmUp, l.WarmUp+l.Duration),
		end: l.WarmUp + l.Duration, timeout: l.Timeout, shed: l.Shed, tolerant: l.Tolerant,
		exchanges: make([]Exchange, len(net.conns)),
	}
	if l.Rate > 0 {
		loop.schedule = newSchedule(l.Rate, worker, l.Workers)
	}
	began, cpu := time.Now(), threadCPU()
	if err := loop.run(ctx); err != nil {
		return nil, fmt.Errorf("run a load: %w", err)
	}
	r := &result{rec: loop.rec, failure: loop.failure}
	took := time.Since(began)
	r.busy = (threadCPU() - cpu).Seconds() / max(took.Seconds(), 1e-9)
	if loop.exhausted {
		r.finished = max(took-l.WarmUp, 1)
	}
	return r, nil
}

// meter notes both sides' processor time over the measured part, which ends early when over is closed.
func (l *Load) meter(over <-chan struct{}, start time.Time, m *Measurement) {
	server := l.ServerCPU
	if server == nil {
		server = func() time.Duration { return 0 }
	}
	if !sleepUntil(over, start.Add(l.WarmUp)) {
		return
	}
	client0, server0 := ProcessCPU(), server()
	sleepUntil(over, start.Add(l.WarmUp+l.Duration))
	m.ClientCPU, m.ServerCPU = ProcessCPU()-client0, server()-server0
}

// sleepUntil reports whether the time came before over was closed.
func sleepUntil(over <-chan struct{}, at time.Time) bool {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-over:
		return false
	}
}
