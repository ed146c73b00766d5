package health

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Config says how a Monitor finds out how ClickHouse is.
type Config struct {
	// Hosts are those of a server; nil for the engine in the process, which is never out of reach.
	Hosts *Hosts
	// Ask runs a statement that needs a connection, a user and, of a cluster, every shard, and nothing else.
	Ask func(context.Context) error
	// Sharded says that Ask needs hosts which Hosts does not know, those of a cluster. One of these that has gone
	// silent shows only in that Ask is not answered.
	Sharded bool
	// Write writes something, so that it fails where what the service writes does. It must change nothing.
	Write func(context.Context) error
	// Log gets what is wrong and that it is over, once each; nil for nowhere.
	Log *slog.Logger
}

// Monitor knows whether ClickHouse serves. It is safe for concurrent use.
type Monitor struct {
	config  Config
	trouble atomic.Pointer[Trouble] // nil while all is well
	suspect chan struct{}           // has room for one
	writes  atomic.Bool             // whether what is suspected are writes

	// These belong to the goroutine of run.
	since      time.Time // when the trouble began
	unanswered int       // how many times in a row Ask has taken too long

	stop    context.CancelFunc
	running sync.WaitGroup
}

const (
	calm     = time.Second            // from one look to the next while all is well
	troubled = 200 * time.Millisecond // and while it is not
	askTime  = Silence
	// writeTime bounds an attempt to write. Past it nothing is known: inserts wait where merges do not keep up.
	writeTime = 10 * time.Second
	// silentAsks is how many times in a row Ask of a cluster takes too long until a host of it is taken to be gone.
	// Once happens to a cluster that is merely busy.
	silentAsks = 2
)

// Start returns a Monitor that runs until Close.
func Start(config Config) *Monitor {
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	m := &Monitor{config: config, suspect: make(chan struct{}, 1)}
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	m.running.Go(func() { m.run(ctx) })
	if config.Hosts != nil {
		m.running.Go(func() { config.Hosts.watch(ctx, m.wake) })
	}
	return m
}

// Close stops the Monitor.
func (m *Monitor) Close() {
	m.stop()
	m.running.Wait()
}

// Trouble returns what is wrong, nil when nothing is known to be.
func (m *Monitor) Trouble() *Trouble { return m.trouble.Load() }

// Suspect says that a statement has failed, so that the Monitor has a look soon; write says that it was one
// that writes.
func (m *Monitor) Suspect(write bool) {
	if write {
		m.writes.Store(true)
	}
	if m.config.Hosts != nil {
		m.config.Hosts.look()
	}
	m.wake()
}

// wake makes run have a look.
func (m *Monitor) wake() {
	select {
	case m.suspect <- struct{}{}:
	default:
	}
}

// run looks at a server now and then, and at any ClickHouse where there is a suspicion or trouble, until ctx ends.
func (m *Monitor) run(ctx context.Context) {
	timer := time.NewTimer(calm)
	defer timer.Stop()
	for {
		suspected := false
		select {
		case <-ctx.Done():
			return
		case <-m.suspect:
			suspected = true
		case <-timer.C:
		}
		if m.config.Hosts != nil || suspected || m.Trouble() != nil {
			m.look(ctx)
		}
		if suspected || m.Trouble() != nil { // failures come by the thousand
			if !rest(ctx, troubled) {
				return
			}
		}
		timer.Reset(m.pause())
	}
}

func rest(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func (m *Monitor) pause() time.Duration {
	if m.Trouble() != nil {
		return 0
	}
	return calm
}

// look finds out how ClickHouse is, and says so if that is news.
func (m *Monitor) look(ctx context.Context) {
	before := m.Trouble()
	write := m.writes.Swap(false) || before != nil
	now := m.examine(ctx, write, before)
	if ctx.Err() != nil {
		return
	}
	m.trouble.Store(now)
	switch {
	case now != nil && before == nil:
		m.since = time.Now()
		m.config.Log.Error(now.Sentence, "error", now.Cause)
	case now != nil && now.Sentence != before.Sentence:
		m.config.Log.Error(now.Sentence, "error", now.Cause)
	case now == nil && before != nil:
		m.config.Log.Info("ClickHouse serves again.", "after", time.Since(m.since).Round(time.Millisecond).String())
	}
}

// examine returns the trouble that there is. What has taken too long to tell is as it was before.
func (m *Monitor) examine(ctx context.Context, write bool, before *Trouble) *Trouble {
	if m.config.Hosts != nil {
		if err := m.config.Hosts.outOfReach(); err != nil {
			return &Trouble{Sentence: outOfReach, Cause: err}
		}
	}
	if err := attempt(ctx, askTime, m.config.Ask); err != nil {
		return m.concludeAsked(err, before)
	}
	m.unanswered = 0
	if !write {
		return nil
	}
	if err := attempt(ctx, writeTime, m.config.Write); err != nil {
		return conclude(err, before)
	}
	return nil
}

// concludeAsked is conclude for Ask.
func (m *Monitor) concludeAsked(err error, before *Trouble) *Trouble {
	if !inconclusive(err) {
		m.unanswered = 0
		return troubleOf(err)
	}
	if m.unanswered++; m.config.Sharded && m.unanswered >= silentAsks {
		return &Trouble{Sentence: hostGone, Cause: err}
	}
	return before
}

func conclude(err error, before *Trouble) *Trouble {
	if inconclusive(err) {
		return before
	}
	return troubleOf(err)
}

func attempt(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return do(ctx)
}
