package ingest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lastseen/ingest/decode"
	"lastseen/ingest/registry"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

func TestMain(m *testing.M) { schematest.Main(m) }

const (
	ours   = "org_ours"
	theirs = "org_theirs"
)

// start is what the tests' clocks show first.
var start = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

// reader stands for the read side: a map that does what the interfaces say.
type reader struct {
	mu        sync.Mutex
	newest    map[schema.ID]int64
	shown     map[schema.ID]schema.DataPoint // the newest that is no outlier
	published [][]schema.OwnedPoint          // each call's
	sessions  map[schema.ID]schema.Session
	begun     map[schema.ID]bool
	endErr    error

	entered chan struct{} // when set, Publish says on it that it has begun,
	proceed chan struct{} // and waits on this to go on
}

func newReader() *reader {
	return &reader{
		newest: map[schema.ID]int64{}, shown: map[schema.ID]schema.DataPoint{},
		sessions: map[schema.ID]schema.Session{}, begun: map[schema.ID]bool{},
	}
}

// hold makes the next calls of Publish wait. Each send on the first channel says that one has
// begun; each receive from the second lets one go on.
func (r *reader) hold() (entered <-chan struct{}, proceed chan<- struct{}) {
	r.entered, r.proceed = make(chan struct{}), make(chan struct{})
	return r.entered, r.proceed
}

func (r *reader) Prefetch([]schema.ID) {}

func (r *reader) LastKnown(session schema.ID, shown *schema.DataPoint) (int64, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ms, known := r.newest[session]
	p, there := r.shown[session]
	if !there {
		p = schema.DataPoint{SessionID: session, Outlier: schema.OutlierByUser}
	}
	*shown = p
	return ms, known
}

func (r *reader) Publish(points []schema.OwnedPoint) error {
	if r.entered != nil {
		r.entered <- struct{}{}
		<-r.proceed
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.published = append(r.published, slices.Clone(points))
	for i := range points {
		p := points[i].DataPoint
		if newest, known := r.newest[p.SessionID]; !known || p.Timestamp > newest {
			r.newest[p.SessionID] = p.Timestamp
		}
		shown, there := r.shown[p.SessionID]
		if p.Outlier == schema.NotOutlier && (!there || p.Timestamp > shown.Timestamp ||
			p.Timestamp == shown.Timestamp && p.Version > shown.Version) {
			r.shown[p.SessionID] = p
		}
	}
	return nil
}

func (r *reader) BeginMark(_ context.Context, sessions []schema.ID) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range sessions {
		r.begun[id] = true
	}
	return nil
}

func (r *reader) EndMark(_ context.Context, newest []schema.Checkpoint) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.endErr != nil {
		return r.endErr
	}
	for _, c := range newest {
		if !r.begun[c.Point.SessionID] {
			panic("EndMark without BeginMark")
		}
		delete(r.begun, c.Point.SessionID)
		delete(r.shown, c.Point.SessionID)
		if c.Point.Outlier == schema.NotOutlier {
			r.shown[c.Point.SessionID] = c.Point
		}
	}
	return nil
}

func (r *reader) PutSessions(sessions []schema.Session) {
	for _, s := range sessions {
		r.PutSession(s)
	}
}

func (r *reader) PutSession(s schema.Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if old, there := r.sessions[s.ID]; there && old.Version >= s.Version {
		panic("PutSession out of order")
	}
	r.sessions[s.ID] = s
}

// shownTimestamp returns the timestamp of the point on show, 0 when there is none.
func (r *reader) shownTimestamp(session schema.ID) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.shown[session].Timestamp
}

// publishedCalls returns how many points each call of Publish had.
func (r *reader) publishedCalls() (calls []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, points := range r.published {
		calls = append(calls, len(points))
	}
	return calls
}

// service is a write side on a database of its own.
type service struct {
	tb       testing.TB
	db       *schema.DB
	clock    *schematest.Clock
	reader   *reader
	registry *registry.Registry
	writer   *Writer
	faults   faults
	limits   limits
}

// newService starts a write side on a fresh database.
func newService(tb testing.TB, options WriterOptions) *service {
	tb.Helper()
	s := &service{tb: tb, db: schematest.Open(tb), clock: schematest.NewClock(start)}
	s.boot(options)
	tb.Cleanup(func() { s.writer.Close() })
	return s
}

// restart ends the write side and starts one that knows only what ClickHouse holds.
func (s *service) restart() {
	s.tb.Helper()
	s.writer.Close()
	s.boot(WriterOptions{limits: s.limits})
}

func (s *service) boot(options WriterOptions) {
	s.tb.Helper()
	options.Now, s.limits = s.clock.Now, options.limits
	s.reader = newReader()
	s.registry = registry.New(s.db, s.reader, registry.Quotas{}, s.clock.Now)
	if err := s.registry.Load(s.tb.Context()); err != nil {
		s.tb.Fatalf("load the registry: %v", err)
	}
	var err error
	if options.ReceivedThrough, err = s.db.NewestReceipt(s.tb.Context(), s.clock.Now()); err != nil {
		s.tb.Fatal(err)
	}
	points, err := s.db.ReadReceivedSince(s.tb.Context(), 0)
	if err != nil {
		s.tb.Fatalf("replay the history: %v", err)
	}
	defer points.Close()
	for points.Next() {
		s.reader.Publish([]schema.OwnedPoint{{DataPoint: *points.Point()}})
	}
	if err := points.Err(); err != nil {
		s.tb.Fatalf("replay the history: %v", err)
	}
	s.reader.published = nil
	s.writer = newWriter(s.faults.wrap(storeIn(s.db)), s.registry, s.reader, s.reader, options)
}

// session registers a device with an address and begins a session of it.
func (s *service) session(orgID, mac string) (device, session schema.ID) {
	s.tb.Helper()
	one := 1
	device, err := s.registry.RegisterDevice(s.tb.Context(), orgID, registry.NewDevice{DeviceMACAddress: &mac, SchemaVersion: &one})
	if err != nil {
		s.tb.Fatalf("register %s: %v", mac, err)
	}
	session, err = s.registry.CreateSession(s.tb.Context(), orgID, device, registry.NewSession{SchemaVersion: &one})
	if err != nil {
		s.tb.Fatalf("create a session of %s: %v", mac, err)
	}
	return device, session
}

// fix is a point of a test: where a session's device was so many seconds after start - 1 h.
type fix struct {
	session  schema.ID
	second   int
	latitude int // degrees
}

func (f fix) timestamp() int64 {
	return start.Add(-time.Hour).UnixMilli() + 1000*int64(f.second)
}

func (f fix) id() string {
	return string(schema.AppendPointID(nil, f.session, f.timestamp()))
}

// line writes the fix as a line of NDJSON.
func (f fix) line() string {
	return fmt.Sprintf(`{"session_id":"%s","timestamp":"%s","latitude":%d,"longitude":7}`,
		f.session, time.UnixMilli(f.timestamp()).UTC().Format(time.RFC3339), f.latitude)
}

func lines(fixes ...fix) string {
	var body strings.Builder
	for _, f := range fixes {
		body.WriteString(f.line() + "\n")
	}
	return body.String()
}

// try sends a body of NDJSON.
func (s *service) try(ctx context.Context, caller registry.Caller, body string) (Result, error) {
	s.tb.Helper()
	batch, err := decode.Body(strings.NewReader(body), decode.NDJSON, decode.Identity, decode.Limits{Budget: s.writer.Budget()})
	if err != nil {
		s.tb.Errorf("Decode: %v", err)
		return Result{}, err
	}
	return s.writer.Ingest(ctx, caller, batch)
}

// send sends fixes, which must all be accepted.
func (s *service) send(fixes ...fix) {
	s.tb.Helper()
	result, err := s.try(s.tb.Context(), registry.Caller{OrgID: ours}, lines(fixes...))
	if err != nil || result.Accepted != len(fixes) {
		s.tb.Errorf("Ingest = %+v, %v, want %d accepted", result, err, len(fixes))
	}
}

// history returns the points that are stored of some sessions.
func (s *service) history(sessions ...schema.ID) (points []schema.DataPoint) {
	s.tb.Helper()
	for _, session := range sessions {
		reader, err := s.db.ReadDataPoints(s.tb.Context(), session, 0, 1<<42)
		if err != nil {
			s.tb.Fatalf("read the history: %v", err)
		}
		for reader.Next() {
			points = append(points, *reader.Point())
		}
		if err := reader.Err(); err != nil {
			s.tb.Fatalf("read the history: %v", err)
		}
		if err := reader.Close(); err != nil {
			s.tb.Fatalf("read the history: %v", err)
		}
	}
	return points
}
