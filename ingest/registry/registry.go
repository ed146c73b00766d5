package registry

import (
	"context"
	"fmt"
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"lastseen/schema"
	"lastseen/schema/keyedlock"
)

// Watcher is told of every session that Load reads, and of each that is made or changed, after ClickHouse
// has it and before the change is acknowledged; of one session, in the order of its versions, and of different ones side by side.
type Watcher interface {
	PutSession(schema.Session)
	// PutSessions is PutSession of each of some different sessions. It keeps nothing of the slice.
	PutSessions([]schema.Session)
}

// Watchers are told one after the other.
type Watchers []Watcher

// PutSession implements Watcher.
func (w Watchers) PutSession(s schema.Session) {
	for _, watcher := range w {
		watcher.PutSession(s)
	}
}

// PutSessions implements Watcher.
func (w Watchers) PutSessions(sessions []schema.Session) {
	for _, watcher := range w {
		watcher.PutSessions(sessions)
	}
}

// Registry knows every device and session: in memory, loaded at start and written through to
// ClickHouse. It decides what ClickHouse cannot, because only one writer decides: a device belongs
// to one organisation and has one active session. It is safe for concurrent use.
//
// Where a method returns an error nothing has changed, except that after schema.Unavailable or the end
// of a context ClickHouse may hold the change all the same; making the call again settles it.
//
// In memory is only what points and decisions need, some 200 bytes for a device with a session and 65
// for each further session; what people say of a session is read from ClickHouse when it changes.
type Registry struct {
	db      *schema.DB
	watcher Watcher
	sharer  Sharer // nil where nobody else answers for the sessions
	now     func() time.Time

	// deciding is held by whoever decides about a device, while it waits for ClickHouse too. The key is the device's
	// address, since that is what is there before the device is.
	deciding *keyedlock.Locks

	mu    sync.RWMutex // never held while anything waits
	known known
	orgs  organisations
	// unsettled are the registrations, by the address's identity, that ClickHouse may or may not
	// have. The next registration of the address writes over them.
	unsettled map[string]attempt

	introduced atomic.Uint64
	expected   *expected // by the next Load; nil where nobody has said it
}

// device is what is known of a registered device. What changes is guarded by Registry.mu and
// changed only by whoever decides about the device.
type device struct {
	id     schema.ID
	active bool // whether it counts among its organisation's active ones
	org    *organisation
	next   *device // of the organisation
	mac    string  // as registered

	current *session // the last one that was made; nil when there is none
	// unsettled is a session that ClickHouse may or may not have; the next one writes over it.
	unsettled *attempt
}

// session is what is known of a session; guarded like device. Times are Unix milliseconds, 0 where
// there is none.
type session struct {
	id           schema.ID
	outliers     schema.OutlierSetting
	device       *device
	terminatedAt int64
	scheduledFor int64
	version      uint32 // the one that the rest is taken from
	tried        uint32 // the highest that may have been written
}

// attempt is a row that may have been written: its id, and the version that is above it.
type attempt struct {
	id      schema.ID
	version uint64
}

// maxUnsettled bounds Registry.unsettled. Registrations past it that fail without a known outcome
// are forgotten, which can at worst leave a row of a device that nobody else can register until the
// next start finds it.
const maxUnsettled = 4096

// New returns an empty registry, which Load fills.
func New(db *schema.DB, watcher Watcher, quotas Quotas, now func() time.Time) *Registry {
	r := &Registry{
		db: db, watcher: watcher, now: now, deciding: keyedlock.New(256),
		known: known{seed: maphash.MakeSeed()}, unsettled: make(map[string]attempt),
	}
	r.orgs = organisations{mu: &r.mu, quotas: quotas, byID: make(map[string]*organisation)}
	return r
}

// forget makes the registry what it was before Load. The caller holds mu.
func (r *Registry) forget() {
	r.known = known{seed: r.known.seed}
	r.orgs.byID = make(map[string]*organisation)
}

// addDevice makes a device known by its id. The caller holds mu.
func (r *Registry) addDevice(id schema.ID, orgID, mac string) *device {
	d := &device{id: id, mac: mac}
	r.orgs.of(orgID).add(d)
	r.known.putDevice(d, r.known.hashOfID(id))
	return d
}

// identity returns what all spellings of the device's address have in common. It shares the memory
// of an address that is written so already.
func (d *device) identity() string {
	identity, ok := AppendMACIdentity(nil, d.mac)
	if !ok || string(identity) == d.mac {
		return d.mac
	}
	return string(identity)
}

// decide waits until nobody else decides about a device. The caller calls release.
func (r *Registry) decide(ctx context.Context, identity string) (release func(), err error) {
	if release, err = r.deciding.Lock(ctx, identity); err != nil {
		return nil, fmt.Errorf("wait for another change to the device: %w", err)
	}
	return release, nil
}

// end returns when the session ended as of now, and math.MaxInt64 while it is active.
func (s *session) end(now int64) int64 {
	switch {
	case s.terminatedAt != 0:
		return s.terminatedAt
	case s.scheduledFor != 0 && s.scheduledFor <= now:
		return s.scheduledFor
	}
	return math.MaxInt64
}

// adopt takes over a session that ClickHouse now has, and tells the watcher. Its caller decides
// about the session's device.
func (r *Registry) adopt(d *device, s schema.Session) {
	r.mu.Lock()
	known := r.known.session(s.ID)
	if known == nil {
		known = &session{id: s.ID, device: d}
		r.known.putSession(known, r.known.hashOfID(s.ID))
		d.org.sessions++
		d.current, d.unsettled = known, nil
	}
	known.version = uint32(s.Version)
	known.terminatedAt, known.scheduledFor = unixMilli(s.TerminatedAt), unixMilli(s.TerminationScheduledFor)
	known.outliers = outlierSetting(&s)
	d.org.note(d, r.now().UnixMilli())
	r.mu.Unlock()
	r.watcher.PutSession(s)
}

// outlierSetting returns what a session says of its points.
func outlierSetting(s *schema.Session) schema.OutlierSetting {
	if s.Outliers == nil {
		return schema.OutliersUnset
	}
	setting, _ := schema.ParseOutlierSetting(*s.Outliers)
	return setting
}

func unixMilli(at *time.Time) int64 {
	if at == nil {
		return 0
	}
	return at.UnixMilli()
}

// OwnsDevice reports whether a device is registered to an organisation.
func (r *Registry) OwnsDevice(orgID string, id schema.ID) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	d := r.known.device(id)
	return d != nil && d.org.id == orgID
}

// DeviceOf returns the device of a session that an organisation owns, and false when it owns none with
// that id.
func (r *Registry) DeviceOf(orgID string, session schema.ID) (schema.ID, bool) {
	d, ok := r.deviceOf(orgID, session)
	if !ok {
		return schema.ID{}, false
	}
	return d.id, true
}

// deviceOf is DeviceOf for what changes the device or its sessions.
func (r *Registry) deviceOf(orgID string, id schema.ID) (*device, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	s := r.known.session(id)
	if s == nil || s.device.org.id != orgID {
		return nil, false
	}
	return s.device, true
}
