package registry

import (
	"context"
	"errors"

	"lastseen/schema"
)

// Introduce registers a device that nobody in the organisation knows, by the name that an app gives it, and
// begins a session of it. One that has ever had a session is left as it is, without one too: somebody may have
// ended it. One that has had none gets its first: an earlier attempt may have ended half way, and the app
// would be told that points are stored which nobody can take. Where another organisation has a device of that name, this one gets an address of its own.
//
// Errors: schema.Conflict when the organisation has as many devices or sessions as it may; schema.Unavailable.
func (r *Registry) Introduce(ctx context.Context, orgID, name string) error {
	address := AddressOf(name)
	identity, _ := AppendMACIdentity(nil, address)
	r.mu.RLock()
	known := r.known.deviceByMAC(string(identity))
	if known != nil && known.org.id != orgID {
		address = OwnAddress(orgID, address)
		known = r.known.deviceByMAC(address)
	}
	begun := known != nil && known.current != nil
	r.mu.RUnlock()
	if begun {
		return nil
	}
	version := 1
	device := NewDevice{DeviceMACAddress: &address, SchemaVersion: &version}
	session := NewSession{SchemaVersion: &version}
	if address != name {
		comment := CommentOf(name)
		device.Comments, session.Comments = &comment, &comment
	}
	if IsReference(name) {
		session.OffChrtReferenceID = &name
	}
	id, err := r.RegisterDevice(ctx, orgID, device)
	if err == nil {
		_, err = r.CreateSession(ctx, orgID, id, session)
	}
	if err == nil {
		r.introduced.Add(1)
	}
	if errors.Is(err, schema.Conflict) && !errors.Is(err, errQuota) {
		return nil // somebody else was faster
	}
	return err
}

// Introduced returns how many devices were introduced since the service began.
func (r *Registry) Introduced() uint64 { return r.introduced.Load() }
