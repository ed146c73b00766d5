package registry

import (
	"context"
	"math"
	"slices"
	"strings"

	"lastseen/schema"
)

// Sharer makes changes known to all who answer for sessions, this process too, by AdoptSession and AdoptDevice of each one's Registry.
// It is called when ClickHouse has a change, and returns nil when all have it. After an error some may have it, or will.
type Sharer interface {
	ShareSession(ctx context.Context, s schema.Session) error
	ShareDevice(ctx context.Context, d schema.DeviceOwner) error
}

// ShareBy makes a Sharer known, before anything is changed.
func (r *Registry) ShareBy(sharer Sharer) { r.sharer = sharer }

// save writes a session of a device and makes it known. narrower says that fewer may see it than before.
func (r *Registry) save(ctx context.Context, d *device, s schema.Session, narrower bool) error {
	write := r.db.SaveSession
	if narrower {
		write = r.db.NarrowSession
	}
	if err := write(ctx, s); err != nil {
		return err
	}
	return r.tell(ctx, d, s)
}

// tell makes a session of a device known that ClickHouse has.
func (r *Registry) tell(ctx context.Context, d *device, s schema.Session) error {
	if r.sharer != nil {
		return r.sharer.ShareSession(ctx, s)
	}
	r.adopt(d, s)
	return nil
}

// hasActive reports whether a device has an active session at a time, Unix milliseconds.
func (r *Registry) hasActive(d *device, now int64) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return d.current != nil && d.current.end(now) == math.MaxInt64
}

// putDevice makes a device known, by its address too unless another one has that. The caller holds mu.
func (r *Registry) putDevice(id schema.ID, orgID, mac, identity string) *device {
	d := r.known.device(id)
	if d == nil {
		d = r.addDevice(id, orgID, mac)
	}
	if r.known.deviceByMAC(identity) == nil {
		r.known.putMAC(d, identity)
	}
	return d
}

// AdoptDevice takes over a device that another process has registered.
func (r *Registry) AdoptDevice(d schema.DeviceOwner) {
	identity := (&device{mac: d.MACAddress}).identity()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.putDevice(d.ID, d.OrgID, d.MACAddress, identity)
}

// AdoptSession takes over a session as another process has made or changed it, unless a later version of it is known. Calls come one after
// the other.
func (r *Registry) AdoptSession(s schema.Session) {
	r.mu.Lock()
	known := r.known.session(s.ID)
	stale := known != nil && uint64(known.version) > s.Version
	d := r.known.device(s.DeviceID)
	if d == nil {
		d = r.addDevice(s.DeviceID, s.OrgID, s.DeviceMACAddress)
	}
	r.mu.Unlock()
	if !stale {
		r.adopt(d, s)
	}
}

// Missing reads from ClickHouse the devices that are not known and the sessions of which a later version is there.
func (r *Registry) Missing(ctx context.Context) (devices []schema.DeviceOwner, sessions []schema.Session, err error) {
	err = r.db.EachDeviceOwner(ctx, func(d schema.DeviceOwner) {
		r.mu.RLock()
		defer r.mu.RUnlock()
		if r.known.device(d.ID) == nil {
			d.MACAddress = strings.Clone(d.MACAddress)
			devices = append(devices, d)
		}
	})
	if err != nil {
		return nil, nil, schema.Failure(err)
	}
	err = r.db.EachSession(ctx, func(s schema.Session) {
		r.mu.RLock()
		defer r.mu.RUnlock()
		if known := r.known.session(s.ID); known == nil || uint64(known.version) < s.Version {
			s.DeviceMACAddress = strings.Clone(s.DeviceMACAddress) // the rest is not kept, or cloned where it is
			sessions = append(sessions, s)
		}
	})
	if err != nil {
		return nil, nil, schema.Failure(err)
	}
	return devices, sessions, nil
}

// Refill is Load, also where something is known already.
func (r *Registry) Refill(ctx context.Context) error {
	r.mu.RLock()
	empty := r.known.devices.used+r.known.sessions.used == 0
	r.mu.RUnlock()
	if empty {
		return r.Load(ctx)
	}
	devices, sessions, err := r.Missing(ctx)
	for _, d := range devices {
		r.AdoptDevice(d)
	}
	for _, s := range sessions {
		r.AdoptSession(s)
	}
	return err
}

// SessionVersion is a session and which version of it is known.
type SessionVersion struct {
	ID      schema.ID
	OrgID   string
	Version uint64
}

// stretch is how many slots of a table are listed at a time: what waits for the registry's lock waits for that many.
const stretch = 4096

// Everything returns all devices, and all sessions with their versions, that were known at the call. Others may be among them that became
// known meanwhile. It fails when ctx ends.
func (r *Registry) Everything(ctx context.Context) (devices []schema.DeviceOwner, sessions []SessionVersion, err error) {
	r.mu.RLock()
	// Nothing is ever taken out of a table, and one that grows leaves the slots that it had.
	ofDevices, ofSessions := r.known.devices.slots, r.known.sessions.slots
	devices, sessions = make([]schema.DeviceOwner, 0, r.known.devices.used), make([]SessionVersion, 0, r.known.sessions.used)
	r.mu.RUnlock()
	err = eachSlot(ctx, r, ofDevices, func(d *device) {
		devices = append(devices, schema.DeviceOwner{ID: d.id, OrgID: d.org.id, MACAddress: d.mac})
	})
	if err == nil {
		err = eachSlot(ctx, r, ofSessions, func(s *session) {
			sessions = append(sessions, SessionVersion{s.id, s.device.org.id, uint64(s.version)})
		})
	}
	return devices, sessions, err
}

// eachSlot calls do for what is in the slots of a table, stretch by stretch, each under the registry's lock.
func eachSlot[T any](ctx context.Context, r *Registry, slots []*T, do func(*T)) error {
	for some := range slices.Chunk(slots, stretch) {
		if err := ctx.Err(); err != nil {
			return err
		}
		r.mu.RLock()
		for _, e := range some {
			if e != nil {
				do(e)
			}
		}
		r.mu.RUnlock()
	}
	return nil
}
