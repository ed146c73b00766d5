package registry

import (
	"sync"
	"testing"
	"time"

	"lastseen/schema"
	"lastseen/schema/schematest"
)

// us and them are two organisations.
const (
	us   = "org_us"
	them = "org_them"
)

// noon is what the tests' clocks show first.
var noon = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

// watcher notes what the registry tells of.
type watcher struct {
	mu       sync.Mutex
	sessions map[schema.ID]schema.Session
}

func (w *watcher) PutSession(s schema.Session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if old, there := w.sessions[s.ID]; there && old.Version >= s.Version {
		panic("PutSession out of order")
	}
	w.sessions[s.ID] = s
}

func (w *watcher) PutSessions(sessions []schema.Session) {
	for _, s := range sessions {
		w.PutSession(s)
	}
}

// directory is a registry on a database of its own.
type directory struct {
	tb       testing.TB
	db       *schema.DB
	clock    *schematest.Clock
	watcher  *watcher
	quotas   Quotas // of the next restart
	registry *Registry
}

// newDirectory makes a registry on a fresh database.
func newDirectory(tb testing.TB) *directory {
	tb.Helper()
	d := &directory{tb: tb, db: schematest.Open(tb), clock: schematest.NewClock(noon)}
	d.restart()
	return d
}

// restart makes a registry that knows only what ClickHouse holds.
func (d *directory) restart() {
	d.tb.Helper()
	d.watcher = &watcher{sessions: map[schema.ID]schema.Session{}}
	d.registry = New(d.db, d.watcher, d.quotas, d.clock.Now)
	if err := d.registry.Load(d.tb.Context()); err != nil {
		d.tb.Fatalf("load the registry: %v", err)
	}
}

// session registers a device with an address and begins a session of it.
func (d *directory) session(orgID, mac string) (device, session schema.ID) {
	d.tb.Helper()
	device, err := d.registry.RegisterDevice(d.tb.Context(), orgID, newDevice(mac))
	if err != nil {
		d.tb.Fatalf("register %s: %v", mac, err)
	}
	session, err = d.registry.CreateSession(d.tb.Context(), orgID, device, newSession())
	if err != nil {
		d.tb.Fatalf("create a session of %s: %v", mac, err)
	}
	return device, session
}
