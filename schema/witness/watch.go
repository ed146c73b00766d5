package witness

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"lastseen/schema"
)

const (
	// interval is the time between two looks while all is well, soon that while something is not.
	interval, soon = 10 * time.Second, 250 * time.Millisecond
	// tick is how often it is seen whether a look is due.
	tick = 100 * time.Millisecond
	// lookTimeout bounds a look.
	lookTimeout = 5 * time.Second
	// verified is how many points Verify looks for.
	verified = 4
	// Patience is how long a row must be absent until it counts as lost, and absences is how often in a row.
	Patience, absences = time.Second, 3
	// PatienceWithHosts is Patience where ClickHouse has several addresses, one of which may have a row later than another.
	PatienceWithHosts = time.Minute
)

var (
	// ErrSetBack says that ClickHouse was set back to an earlier state. Nothing is right again before the process ends.
	ErrSetBack = errors.New("ClickHouse was set back to an earlier state while lastseen ran")
	// ErrUnsure says that ClickHouse was out of reach, or had lost a table, and has not been looked at since.
	ErrUnsure = errors.New("it is not known yet whether ClickHouse is as it was before it was out of reach")
)

// Config says what a Watch looks at.
type Config struct {
	DB *schema.DB
	// Retention is how long points are kept, 0 for ever.
	Retention time.Duration
	// Patience is how long a row must be absent.
	Patience time.Duration
	// Log gets what was found.
	Log *slog.Logger
}

// Watch looks whether ClickHouse has what it must have. It is safe for concurrent use.
type Watch struct {
	config  Config
	rows    collection
	begun   atomic.Bool
	setBack chan struct{} // closed when ClickHouse was set back
	gone    atomic.Uint64 // how often ClickHouse was since the last look that was answered, 0 for never

	// These belong to the goroutine of run, or to Begin before it.
	damaged []string // the parts that ClickHouse had set aside as damaged
	looked  time.Time
	absent  time.Time // since when something is; zero for never
	times   int       // how often in a row it was
	trouble bool      // at the last tick

	stop    context.CancelFunc
	running sync.WaitGroup
}

// New returns a Watch that takes up what is stored, and looks for nothing before Begin.
func New(config Config) *Watch {
	return &Watch{config: config, setBack: make(chan struct{}), stop: func() {}}
}

// Points takes up points that are stored.
func (w *Watch) Points(points []schema.OwnedPoint) {
	if len(points) > 0 {
		w.rows.add(schema.PointWitnessOf(&points[0].DataPoint))
	}
	if len(points) > 1 {
		w.rows.add(schema.PointWitnessOf(&points[len(points)-1].DataPoint))
	}
}

// PutSession takes up a session that is stored.
func (w *Watch) PutSession(s schema.Session) { w.rows.add(schema.SessionWitnessOf(&s)) }

// PutSessions takes up the newest of some sessions that are stored.
func (w *Watch) PutSessions(sessions []schema.Session) {
	if len(sessions) > 0 {
		newest := slices.MaxFunc(sessions, func(a, b schema.Session) int { return a.CreatedAt.Compare(b.CreatedAt) })
		w.PutSession(newest)
	}
}

// Revoked takes up a key whose revocation is stored.
func (w *Watch) Revoked(hash schema.KeyHash) { w.rows.add(schema.RevocationWitnessOf(hash)) }

// Told returns which points and revocations were taken up lately, for another process that is told of them.
func (w *Watch) Told() []schema.Witness {
	return slices.DeleteFunc(w.rows.all(), func(one schema.Witness) bool {
		return one.Kind != schema.PointWitness && one.Kind != schema.RevocationWitness
	})
}

// SetBack is closed when ClickHouse was set back.
func (w *Watch) SetBack() <-chan struct{} { return w.setBack }

// WasSetBack reports whether it is.
func (w *Watch) WasSetBack() bool {
	select {
	case <-w.setBack:
		return true
	default:
		return false
	}
}

// MayWrite returns nil while ClickHouse is as it was when it was last looked at, and otherwise ErrSetBack or ErrUnsure: what memory knows must
// not get into a ClickHouse that was set back.
func (w *Watch) MayWrite() error {
	switch {
	case w.WasSetBack():
		return ErrSetBack
	case w.gone.Load() > 0:
		return ErrUnsure
	}
	return nil
}

// Verify looks at once whether ClickHouse has the newest of the points, and fails with ErrUnsure where it does not, and with ErrSetBack. It comes
// before what memory has of points is written, which would be as if ClickHouse had them.
func (w *Watch) Verify(ctx context.Context) error {
	if err := w.MayWrite(); err != nil || w.config.Patience > Patience {
		return err
	}
	told := slices.DeleteFunc(w.Told(), func(one schema.Witness) bool { return one.Kind != schema.PointWitness })
	lacking, err := w.config.DB.LackingPoints(ctx, told[max(0, len(told)-verified):])
	if err == nil && len(lacking) > 0 {
		w.Gone()
		err = ErrUnsure
	}
	return err
}

// Gone says that a statement has failed as it does while ClickHouse is being set back.
func (w *Watch) Gone() {
	if w.begun.Load() { // a start looks for tables that may not be there yet
		w.gone.Add(1)
	}
}

// Begin takes up what is in ClickHouse, of which the newest point was received at a time (NewestReceipt), and looks from then on until Close.
func (w *Watch) Begin(ctx context.Context, received int64) error {
	points, err := w.config.DB.ReceivedLast(ctx, received, kept)
	if err != nil {
		return err
	}
	for i := range points {
		w.rows.add(schema.PointWitnessOf(&points[i]))
	}
	if w.damaged, err = w.setAside(ctx); err != nil {
		return err
	}
	_, counts, err := w.config.DB.Lacking(ctx, nil)
	if err != nil {
		return err
	}
	w.rows.settle(nil, nil, counts)
	w.begun.Store(true)
	w.looked = time.Now()
	ctx, w.stop = context.WithCancel(context.WithoutCancel(ctx))
	w.running.Go(func() { w.run(ctx) })
	return nil
}

// Close ends the looking.
func (w *Watch) Close() {
	w.stop()
	w.running.Wait()
}

// run looks when it is time, until ClickHouse was set back or ctx ends.
func (w *Watch) run(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for !w.WasSetBack() {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if !w.due() {
			continue
		}
		w.looked = time.Now()
		limited, cancel := context.WithTimeout(ctx, lookTimeout)
		err := w.look(limited)
		cancel()
		if err != nil && ctx.Err() == nil {
			w.config.Log.Debug("it could not be seen whether ClickHouse has what it must have", "error", err)
		}
	}
}

// due reports whether it is time to look.
func (w *Watch) due() bool {
	trouble := w.config.DB.Trouble() != nil
	changed := trouble != w.trouble
	w.trouble = trouble
	since := time.Since(w.looked)
	return changed || since >= interval || since >= soon && (w.gone.Load() > 0 || !w.absent.IsZero())
}

// look looks once. Its error says that nothing was found out.
func (w *Watch) look(ctx context.Context) error {
	w.rows.expire(w.config.Retention, time.Now())
	looked := w.rows.all()
	gone := w.gone.Load()
	lacking, counts, err := w.config.DB.Lacking(ctx, looked)
	if err != nil {
		return err // which was counted, where ClickHouse is gone
	}
	if len(lacking) == 0 {
		w.absent, w.times = time.Time{}, 0
		w.rows.settle(looked, nil, counts)
		w.gone.CompareAndSwap(gone, 0) // unless something failed meanwhile
		return nil
	}
	if w.config.Patience <= Patience {
		w.gone.Add(1) // where a host is late nothing is refused for it
	}
	if w.absent.IsZero() {
		w.absent = time.Now()
	}
	if w.times++; w.times < absences || time.Since(w.absent) < w.config.Patience {
		return nil
	}
	return w.conclude(ctx, looked, lacking, counts)
}

// conclude says that ClickHouse was set back, unless there is another reason why rows are absent.
func (w *Watch) conclude(ctx context.Context, looked, lacking, counts []schema.Witness) error {
	retention, err := w.config.DB.StoredRetention(ctx)
	if err != nil {
		return err
	}
	if retention != 0 && retention != w.config.Retention { // another process has set it
		w.config.Retention = retention
		w.absent, w.times = time.Time{}, 0
		return nil
	}
	damaged, err := w.setAside(ctx)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(damaged, func(part string) bool { return !slices.Contains(w.damaged, part) }) {
		w.config.Log.Warn("rows are absent since ClickHouse has set a part aside as damaged", "rows", describe(looked, lacking))
		w.damaged, w.absent, w.times = damaged, time.Time{}, 0
		w.rows.settle(looked, lacking, counts)
		return nil // the next look is due at once
	}
	close(w.setBack)
	w.config.Log.Error("ClickHouse lacks what it had or what was acknowledged: it was restored from an older backup, or a table was emptied, while lastseen ran. "+
		"Nothing is answered or written any more: restart lastseen, of several nodes every one, and it goes on with what ClickHouse has; what that lacks is lost, revocations of keys too (docs/operating.md)",
		"absent", describe(looked, lacking))
	return nil
}

// setAside names the parts that ClickHouse has set aside as damaged.
func (w *Watch) setAside(ctx context.Context) (names []string, err error) {
	parts, err := w.config.DB.DetachedParts(ctx)
	for _, p := range parts {
		names = append(names, p.String())
	}
	return names, err
}

// describe says how many of the witnesses of each kind are lacking.
func describe(looked, lacking []schema.Witness) string {
	var all, absent [kinds]int
	for _, w := range looked {
		all[w.Kind]++
	}
	for _, w := range lacking {
		absent[w.Kind]++
	}
	var said []string
	for kind, n := range absent {
		if n > 0 {
			said = append(said, fmt.Sprintf("%d of the newest %d %s", n, all[kind], schema.WitnessKind(kind)))
		}
	}
	return strings.Join(said, ", ")
}
