package registry

import (
	"context"
	"hash/maphash"
	"strings"

	"lastseen/schema"
)

// loadedAtOnce is how many rows are taken over together: what they mean is looked up side by side, so that the waits for
// memory, of which each row needs several in large tables, are as one.
const loadedAtOnce = 256

// Load reads the devices and the sessions from ClickHouse, and tells the watcher of these. It is called once, before
// anything else.
func (r *Registry) Load(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	devices, sessions, err := r.db.CountRegistered(ctx)
	if err != nil {
		return schema.Failure(err)
	}
	known := &r.known
	known.reserve(devices, sessions)
	known.byMAC.numbers = make([]int64, len(known.byMAC.slots))     // when each device was made
	known.devices.numbers = make([]int64, len(known.devices.slots)) // when each one's current session was
	defer func() { known.byMAC.numbers, known.devices.numbers = nil, nil }()
	l := &loader{Registry: r, owners: make([]schema.DeviceOwner, 0, loadedAtOnce)}
	if err := l.loadDevices(ctx); err != nil {
		return schema.Failure(err)
	}
	if err := l.loadSessions(ctx); err != nil {
		return schema.Failure(err)
	}
	return nil
}

// loader is one run of Load, which holds Registry.mu.
type loader struct {
	*Registry
	owners   []schema.DeviceOwner // of the batch
	hashes   [loadedAtOnce]uint64
	others   [loadedAtOnce]uint64 // hashes too
	devices  slab[device]
	sessions slab[session]
	org      *organisation // the one that was last looked up

	touched byte // makes what is read ahead of use a use
}

// slab makes objects that are kept for good, many in one piece of memory. The pieces are so large that they are whole pages
// and no class of sizes rounds them up.
type slab[T any] struct{ free []T }

const slabLen = 1024

func (s *slab[T]) next() *T {
	if len(s.free) == 0 {
		s.free = make([]T, slabLen)
	}
	e := &s.free[0]
	s.free = s.free[1:]
	return e
}

func (l *loader) loadDevices(ctx context.Context) error {
	err := l.db.EachDeviceOwner(ctx, func(d schema.DeviceOwner) {
		if l.owners = append(l.owners, d); len(l.owners) == loadedAtOnce {
			l.takeDevices()
		}
	})
	l.takeDevices()
	return err
}

// takeDevices takes over the batch of devices.
func (l *loader) takeDevices() {
	known := &l.known
	var buffer [maxMACAddress]byte
	for i := range l.owners {
		d := &l.owners[i]
		l.hashes[i] = known.hashOfID(d.ID)
		if identity, ok := AppendMACIdentity(buffer[:0], d.MACAddress); ok {
			l.others[i] = maphash.Bytes(known.seed, identity)
		} else {
			l.others[i] = maphash.String(known.seed, d.MACAddress)
		}
	}
	for i := range l.owners {
		if known.devices.first(l.hashes[i]) != nil {
			l.touched++
		}
		if known.byMAC.first(l.others[i]) != nil {
			l.touched++
		}
	}
	for i := range l.owners {
		l.takeDevice(&l.owners[i], l.hashes[i], l.others[i])
	}
	l.owners = l.owners[:0]
}

// takeDevice takes over a device, given the hashes of its id and of its address's identity.
func (l *loader) takeDevice(row *schema.DeviceOwner, hash, hashOfMAC uint64) {
	known := &l.known
	if l.org == nil || l.org.id != row.OrgID {
		l.org = l.orgs.of(row.OrgID)
	}
	d := l.devices.next()
	*d = device{id: row.ID, mac: row.MACAddress}
	l.org.add(d)
	known.putDevice(d, hash)
	known.byMAC.makeRoom(known.hashOfMAC)
	at := known.byMAC.search(hashOfMAC, func(other *device) bool { return other.hasIdentity(d.identity()) })
	// Two rows with one address can only come of a registration whose outcome was unknown:
	// the older is the one that was acknowledged.
	if known.byMAC.slots[at] == nil || row.CreatedAt < known.byMAC.numbers[at] {
		known.byMAC.set(at, hashOfMAC, d)
		known.byMAC.numbers[at] = row.CreatedAt
	}
}

func (l *loader) loadSessions(ctx context.Context) error {
	told := startTeller(l.watcher)
	batch := told.batch()
	err := l.db.EachSession(ctx, func(s schema.Session) {
		if batch = append(batch, s); len(batch) == loadedAtOnce {
			l.takeSessions(batch)
			told.tell(batch)
			batch = told.batch()
		}
	})
	l.takeSessions(batch)
	told.tell(batch)
	l.noteActive()
	told.finish()
	return err
}

// noteActive counts the active sessions.
func (l *loader) noteActive() {
	now := l.now().UnixMilli()
	for _, o := range l.orgs.byID {
		for d := o.first; d != nil; d = d.next {
			o.note(d, now)
		}
	}
}

// takeSessions takes over a batch of sessions.
func (l *loader) takeSessions(batch []schema.Session) {
	known := &l.known
	for i := range batch {
		l.hashes[i], l.others[i] = known.hashOfID(batch[i].DeviceID), known.hashOfID(batch[i].ID)
	}
	var devices [loadedAtOnce]*device
	for i := range batch {
		devices[i] = known.devices.first(l.hashes[i])
		if known.sessions.first(l.others[i]) != nil {
			l.touched++
		}
	}
	for i := range batch {
		if devices[i] != nil {
			l.touched += devices[i].id[0]
		}
	}
	for i := range batch {
		l.takeSession(&batch[i], l.hashes[i], l.others[i])
	}
}

// takeSession takes over a session, given the hashes of its device's id and of its own.
func (l *loader) takeSession(s *schema.Session, hashOfDevice, hash uint64) {
	known := &l.known
	find := func() int {
		return known.devices.search(hashOfDevice, func(d *device) bool { return d.id == s.DeviceID })
	}
	at := find()
	d := known.devices.slots[at]
	if d == nil {
		d = l.addDevice(s.DeviceID, s.OrgID, strings.Clone(s.DeviceMACAddress))
		at = find()
	}
	added := l.sessions.next()
	*added = session{
		id: s.ID, device: d, outliers: outlierSetting(s), terminatedAt: unixMilli(s.TerminatedAt), scheduledFor: unixMilli(s.TerminationScheduledFor), version: uint32(s.Version),
	}
	known.putSession(added, hash)
	d.org.sessions++
	if made := s.CreatedAt.UnixMilli(); d.current == nil || succeeds(added, made, d.current, known.devices.numbers[at]) {
		d.current, known.devices.numbers[at] = added, made
	}
}

// succeeds tells which of two sessions of a device may be active: one that was not terminated, else
// the one that was made later.
func succeeds(s *session, createdAt int64, other *session, otherCreatedAt int64) bool {
	if open, otherOpen := s.terminatedAt == 0, other.terminatedAt == 0; open != otherOpen {
		return open
	}
	return createdAt > otherCreatedAt
}
