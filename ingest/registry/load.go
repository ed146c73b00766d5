package registry

import (
	"context"
	"hash/maphash"
	"sync"

	"golang.org/x/sync/errgroup"

	"lastseen/schema"
	"lastseen/schema/pages"
)

// loadedAtOnce is how many rows are taken over together: what they mean is looked up side by side, so that the waits for
// memory, of which each row needs several in large tables, are as one.
const loadedAtOnce = 1024

// Expect says how many devices and sessions the next Load will find, which has it not count them itself.
func (r *Registry) Expect(devices, sessions int) { r.expected = &expected{devices, sessions} }

// expected is how many rows there are.
type expected struct{ devices, sessions int }

// expect returns what was said by Expect, or counts.
func (r *Registry) expect(ctx context.Context) (rows expected, err error) {
	if r.expected != nil {
		rows, r.expected = *r.expected, nil
		return rows, nil
	}
	rows.devices, rows.sessions, err = r.db.CountRegistered(ctx)
	return rows, err
}

// Load reads the devices and the sessions from ClickHouse, and tells the watcher of these. It is called before anything else, and
// again after it has failed: then nothing is known but to the watcher.
func (r *Registry) Load(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	rows, err := r.expect(ctx)
	if err != nil {
		return schema.Failure(err)
	}
	known := &r.known
	known.reserve(rows.devices, rows.sessions)
	known.byMAC.numbers = pages.Written(make([]int64, len(known.byMAC.slots)))     // when each device was made
	known.devices.numbers = pages.Written(make([]int64, len(known.devices.slots))) // when each one's current session was
	defer func() { known.byMAC.numbers, known.devices.numbers = nil, nil }()
	l := &loader{Registry: r, began: r.now().UnixMilli(), told: startTeller(r.watcher), read: make(chan loaded, loadedAhead), owners: make(chan []schema.DeviceOwner, ownersAhead)}
	if err := l.load(ctx); err != nil {
		r.forget()
		return schema.Failure(err)
	}
	return nil
}

// loader is one run of Load, which holds Registry.mu for it. Devices and sessions are read side by side, and taken over by one goroutine in
// the order in which they come, whichever that is: with a lock that the two took in turns processors waited for each other, and with
// all devices before the first session there was too little to do side by side.
type loader struct {
	*Registry
	began int64 // Unix milliseconds
	told  *teller

	read   chan loaded               // what is to be taken over
	owners chan []schema.DeviceOwner // batches that can be filled again

	devices  slab[device]
	sessions slab[session]
	org      *organisation // the one that was last looked up

	touched byte // makes what is read ahead of use a use
}

// How many batches may have been read before they are taken over, and of these with devices.
const (
	loadedAhead = 8
	ownersAhead = 8
)

// loaded is a batch of devices, or one of sessions.
type loaded struct {
	devices  []schema.DeviceOwner
	sessions []schema.Session
}

// load reads all there is and takes it over.
func (l *loader) load(ctx context.Context) error {
	var taking sync.WaitGroup
	taking.Go(l.take)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return l.loadDevices(ctx) })
	group.Go(func() error { return l.loadSessions(ctx) })
	err := group.Wait()
	close(l.read)
	taking.Wait()
	l.told.finish()
	return err
}

// take takes over what is read, and has the watcher told of sessions.
func (l *loader) take() {
	for batch := range l.read {
		if len(batch.sessions) > 0 {
			l.takeSessions(batch.sessions)
			l.told.tell(batch.sessions)
			continue
		}
		l.takeDevices(batch.devices)
		l.owners <- batch.devices[:0]
	}
}

// organisation returns what is known of an organisation.
func (l *loader) organisation(id string) *organisation {
	if l.org == nil || l.org.id != id {
		l.org = l.orgs.of(id)
	}
	return l.org
}

// device returns the slot of a device, given its id's hash, and makes it with an address where there is none.
func (l *loader) device(id schema.ID, hash uint64, orgID, mac string) (at int) {
	known := &l.known
	at = known.slotOfDevice(id, hash)
	if known.devices.slots[at] != nil {
		return at
	}
	d := l.devices.next()
	*d = device{id: id, mac: mac}
	l.organisation(orgID).add(d)
	known.devices.set(at, hash, d)
	return at
}

// slab makes objects that are kept for good, many in one piece of memory. The pieces are so large that they are whole pages
// and no class of sizes rounds them up.
type slab[T any] struct{ free []T }

const slabLen = 1024

func (s *slab[T]) next() *T {
	if len(s.free) == 0 {
		s.free = pages.Written(make([]T, slabLen))
	}
	e := &s.free[0]
	s.free = s.free[1:]
	return e
}

func (l *loader) loadDevices(ctx context.Context) error {
	for range ownersAhead {
		l.owners <- make([]schema.DeviceOwner, 0, loadedAtOnce)
	}
	batch := <-l.owners
	err := l.db.EachDeviceOwner(ctx, func(d schema.DeviceOwner) {
		if batch = append(batch, d); len(batch) == loadedAtOnce {
			l.read <- loaded{devices: batch}
			batch = <-l.owners
		}
	})
	l.read <- loaded{devices: batch}
	return err
}

// takeDevices takes over a batch of devices.
func (l *loader) takeDevices(batch []schema.DeviceOwner) {
	known := &l.known
	var hashes, ofMAC [loadedAtOnce]uint64
	var buffer [maxMACAddress]byte
	for i := range batch {
		d := &batch[i]
		hashes[i] = known.hashOfID(d.ID)
		if identity, ok := AppendMACIdentity(buffer[:0], d.MACAddress); ok {
			ofMAC[i] = maphash.Bytes(known.seed, identity)
		} else {
			ofMAC[i] = maphash.String(known.seed, d.MACAddress)
		}
	}
	var touched byte
	for i := range batch {
		touched += known.devices.touch(hashes[i])
	}
	for i := range batch {
		touched += known.byMAC.touch(ofMAC[i])
	}
	l.touched += touched
	for i := range batch {
		l.takeDevice(&batch[i], hashes[i], ofMAC[i])
	}
}

// takeDevice takes over a device, given the hashes of its id and of its address's identity.
func (l *loader) takeDevice(row *schema.DeviceOwner, hash, hashOfMAC uint64) {
	known := &l.known
	d := known.devices.slots[l.device(row.ID, hash, row.OrgID, row.MACAddress)]
	d.mac = row.MACAddress // a session that came before may spell it in another way
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
	return l.db.ReadSessions(ctx, l.told.batch(), func(batch []schema.Session) []schema.Session {
		l.read <- loaded{sessions: batch}
		return l.told.batch()
	})
}

// takeSessions takes over a batch of sessions.
func (l *loader) takeSessions(batch []schema.Session) {
	known := &l.known
	var hashes, ofDevice [loadedAtOnce]uint64
	for i := range batch {
		ofDevice[i], hashes[i] = known.hashOfID(batch[i].DeviceID), known.hashOfID(batch[i].ID)
	}
	// Each loop waits for memory once: with hashes or searches in between a processor would have few loads under way.
	var touched byte
	for i := range batch {
		touched += known.devices.touch(ofDevice[i])
	}
	for i := range batch {
		touched += known.sessions.touch(hashes[i])
	}
	var devices [loadedAtOnce]*device
	for i := range batch {
		devices[i] = known.devices.likely(ofDevice[i])
	}
	for i := range batch {
		if devices[i] != nil {
			touched += devices[i].id[0]
		}
	}
	l.touched += touched
	for i := range batch {
		l.takeSession(&batch[i], ofDevice[i], hashes[i])
	}
}

// takeSession takes over a session, given the hashes of its device's id and of its own.
func (l *loader) takeSession(s *schema.Session, hashOfDevice, hash uint64) {
	known := &l.known
	at := l.device(s.DeviceID, hashOfDevice, s.OrgID, s.DeviceMACAddress)
	d := known.devices.slots[at]
	added := l.sessions.next()
	*added = session{
		id: s.ID, device: d, outliers: outlierSetting(s), terminatedAt: unixMilli(s.TerminatedAt), scheduledFor: unixMilli(s.TerminationScheduledFor), version: uint32(s.Version),
	}
	known.putSession(added, hash)
	d.org.sessions++
	if created := s.CreatedAt.UnixMilli(); d.current == nil || succeeds(added, created, d.current, known.devices.numbers[at]) {
		d.current, known.devices.numbers[at] = added, created
		d.org.note(d, l.began)
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
