package registry

import (
	"context"

	"lastseen/schema"
)

// RegisterDevice gives a device to an organisation and returns its id. Doing so again returns the
// same id and updates the optional fields that are given. A device is recognised by its address in
// whatever case, and EUI-48 and EUI-64 addresses in whatever spelling; the address is kept as it was
// first given.
//
// Errors: schema.Invalid; schema.Conflict when another organisation has the device, or this one as many as it may;
// schema.Unavailable.
func (r *Registry) RegisterDevice(ctx context.Context, orgID string, wanted NewDevice) (schema.ID, error) {
	if err := wanted.validate(); err != nil {
		return schema.ID{}, err
	}
	text, _ := AppendMACIdentity(nil, *wanted.DeviceMACAddress)
	identity := string(text)
	release, err := r.decide(ctx, identity)
	if err != nil {
		return schema.ID{}, err
	}
	defer release()
	r.mu.RLock()
	known := r.known.deviceByMAC(identity)
	r.mu.RUnlock()
	switch {
	case known == nil:
		return r.registerNew(ctx, orgID, identity, wanted)
	case known.org.id != orgID:
		return schema.ID{}, schema.Conflict.Say("Another organisation has registered this device: it must give it up first.")
	}
	return known.id, r.updateDevice(ctx, known, wanted)
}

// registerNew writes a device that nobody has. Its caller decides about the device.
func (r *Registry) registerNew(ctx context.Context, orgID, identity string, wanted NewDevice) (schema.ID, error) {
	release, err := r.orgs.reserveDevice(orgID)
	if err != nil {
		return schema.ID{}, err
	}
	defer release()
	r.mu.RLock()
	row, tried := r.unsettled[identity]
	r.mu.RUnlock()
	if !tried {
		row.id = schema.NewID()
	}
	err = r.db.SaveDevice(ctx, schema.Device{
		ID: row.id, OrgID: orgID, MACAddress: *wanted.DeviceMACAddress, Type: wanted.Type, Comments: wanted.Comments,
		OffChrtReferenceID: wanted.OffChrtReferenceID, CreatedAt: r.now(), Version: row.version,
	})
	if err == nil && r.sharer != nil {
		err = r.sharer.ShareDevice(ctx, schema.DeviceOwner{ID: row.id, OrgID: orgID, MACAddress: *wanted.DeviceMACAddress})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		if tried || len(r.unsettled) < maxUnsettled {
			r.unsettled[identity] = attempt{row.id, row.version + 1}
		}
		return schema.ID{}, schema.Failure(err)
	}
	delete(r.unsettled, identity)
	r.putDevice(row.id, orgID, *wanted.DeviceMACAddress, identity)
	return row.id, nil
}

// updateDevice writes what is new of a device. Its caller decides about the device.
func (r *Registry) updateDevice(ctx context.Context, d *device, wanted NewDevice) error {
	if wanted.Type == nil && wanted.Comments == nil && wanted.OffChrtReferenceID == nil {
		return nil
	}
	row, found, err := r.db.FindDevice(ctx, d.id)
	if err != nil {
		return schema.Failure(err)
	}
	if !found {
		row = schema.Device{ID: d.id, OrgID: d.org.id, MACAddress: d.mac, CreatedAt: r.now()}
	}
	changed := set(&row.Type, wanted.Type, false, equal)
	changed = set(&row.Comments, wanted.Comments, false, equal) || changed
	changed = set(&row.OffChrtReferenceID, wanted.OffChrtReferenceID, false, equal) || changed
	if !changed {
		return nil
	}
	row.Version++
	if err := r.db.SaveDevice(ctx, row); err != nil {
		return schema.Failure(err)
	}
	return nil
}
