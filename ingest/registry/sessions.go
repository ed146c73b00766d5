package registry

import (
	"context"
	"fmt"
	"slices"
	"time"

	"lastseen/schema"
)

// CreateSession begins a session of a device and returns its id. A session whose termination was
// scheduled for a time that has come counts as ended.
//
// Errors: schema.Invalid; schema.NotFound when the organisation has no such device; schema.Conflict when
// the device has an active session, or the organisation as many as it may; schema.Unavailable.
func (r *Registry) CreateSession(ctx context.Context, orgID string, deviceID schema.ID, wanted NewSession) (schema.ID, error) {
	if err := wanted.validate(r.now(), true); err != nil {
		return schema.ID{}, err
	}
	r.mu.RLock()
	d := r.known.device(deviceID)
	r.mu.RUnlock()
	if d == nil || d.org.id != orgID {
		return schema.ID{}, schema.NotFound
	}
	release, err := r.decide(ctx, d.identity())
	if err != nil {
		return schema.ID{}, err
	}
	defer release()

	now := r.now().UTC().Truncate(time.Millisecond)
	if r.hasActive(d, now.UnixMilli()) {
		return schema.ID{}, schema.Conflict.Say("The device has an active session: terminate it first, or use it.")
	}
	scheduled, err := wanted.scheduled(now)
	if err != nil {
		return schema.ID{}, err
	}
	begun, err := r.orgs.reserveSession(orgID, now.UnixMilli())
	if err != nil {
		return schema.ID{}, err
	}
	defer begun()
	row := attempt{id: schema.NewID()}
	if d.unsettled != nil {
		row = *d.unsettled
	}
	s := schema.Session{
		ID: row.id, OrgID: d.org.id, DeviceID: d.id, DeviceMACAddress: d.mac, CreatedAt: now,
		Comments: wanted.Comments, OffChrtReferenceID: wanted.OffChrtReferenceID,
		OffChrtShipperOrgDataID: wanted.OffChrtShipperOrgDataID, Public: wanted.Public, Outliers: wanted.Outliers,
		TerminationScheduledFor: scheduled, Version: row.version,
	}
	if err := r.save(ctx, d, s, false); err != nil {
		d.unsettled = &attempt{row.id, row.version + 1}
		return schema.ID{}, schema.Failure(err)
	}
	return s.ID, nil
}

// UpdateSession changes what people say of a session, which may have ended. Only the organisation
// that owns it can.
//
// Errors: schema.Invalid; schema.NotFound when the organisation owns no such session; schema.Conflict when
// it would reschedule the termination of a session that has ended; schema.Unavailable.
func (r *Registry) UpdateSession(ctx context.Context, orgID string, id schema.ID, update SessionUpdate) error {
	if err := update.validate(r.now()); err != nil {
		return err
	}
	return r.changeSession(ctx, orgID, id, func(s *schema.Session, _ session, now time.Time) (bool, error) {
		_, hasEnded := s.EndedAt(now)
		changed, rescheduled, err := update.change(s, now)
		if err == nil && hasEnded && rescheduled {
			err = schema.Conflict.Say("The session has ended: its termination can no longer be scheduled or cleared.")
		}
		return changed, err
	})
}

// TerminateSession ends a session now. Points that were taken before may still arrive, until the end
// by their own timestamps.
//
// Errors: schema.NotFound when the organisation owns no such session; schema.Conflict when it has ended
// already; schema.Unavailable.
func (r *Registry) TerminateSession(ctx context.Context, orgID string, id schema.ID) error {
	return r.changeSession(ctx, orgID, id, func(s *schema.Session, known session, now time.Time) (bool, error) {
		if s.TerminatedAt != nil && known.terminatedAt == 0 {
			return false, nil // an earlier call got through that was not told so; this one is
		}
		if _, hasEnded := s.EndedAt(now); hasEnded {
			return false, schema.Conflict.Say("The session has ended already.")
		}
		s.TerminatedAt = &now
		return true, nil
	})
}

// UpdateSharedOrgs changes which other organisations may see a session: adds, then removes, so that
// an organisation in both lists is removed. The owner needs no share and is left out.
//
// Errors: schema.Invalid with the field add_org_ids or remove_org_ids; schema.NotFound when the
// organisation owns no such session; schema.Unavailable.
func (r *Registry) UpdateSharedOrgs(ctx context.Context, orgID string, id schema.ID, add, remove []string) error {
	if err := validateOrgIDs("add_org_ids", add); err != nil {
		return err
	}
	if err := validateOrgIDs("remove_org_ids", remove); err != nil {
		return err
	}
	return r.changeSession(ctx, orgID, id, func(s *schema.Session, _ session, _ time.Time) (bool, error) {
		var shared []string
		for _, org := range slices.Concat(s.SharedWithOrgIDs, add) {
			if org != orgID && !slices.Contains(remove, org) && !slices.Contains(shared, org) {
				shared = append(shared, org)
			}
		}
		if len(shared) > maxSharedOrgs {
			return false, schema.Invalid.About("add_org_ids", "A session can be shared with at most %d organisations.", maxSharedOrgs)
		}
		changed := !slices.Equal(shared, s.SharedWithOrgIDs)
		s.SharedWithOrgIDs = shared
		return changed, nil
	})
}

// changeSession changes a session by a function, which gets the row that ClickHouse has and what was
// known of it, and reports whether it changed the row. Meanwhile nobody else decides about the
// session's device.
func (r *Registry) changeSession(ctx context.Context, orgID string, id schema.ID,
	change func(s *schema.Session, known session, now time.Time) (changed bool, err error)) error {
	d, ok := r.deviceOf(orgID, id)
	if !ok {
		return schema.NotFound
	}
	release, err := r.decide(ctx, d.identity())
	if err != nil {
		return err
	}
	defer release()
	row, found, err := r.db.FindSession(ctx, orgID, id)
	if err == nil && !found {
		err = fmt.Errorf("the session %s is known and is not there", id)
	}
	if err != nil {
		return schema.Failure(err)
	}
	r.mu.RLock()
	known := *r.known.session(id)
	r.mu.RUnlock()
	if row.Version > uint64(known.version) {
		if err := r.tell(ctx, d, row); err != nil { // an earlier change got through without our being told
			return schema.Failure(err)
		}
	}
	before := row
	changed, err := change(&row, known, r.now().UTC().Truncate(time.Millisecond))
	if err != nil || !changed {
		return err
	}
	row.Version = max(row.Version, uint64(known.tried)) + 1
	if err := r.save(ctx, d, row, isNarrower(&row, &before)); err != nil {
		r.mu.Lock()
		r.known.session(id).tried = uint32(row.Version)
		r.mu.Unlock()
		return schema.Failure(err)
	}
	return nil
}

// isNarrower reports whether a change of a session takes it away from somebody who could see it.
func isNarrower(s, before *schema.Session) bool {
	isPublic := func(s *schema.Session) bool { return s.Public != nil && *s.Public }
	lost := func(orgID string) bool { return !slices.Contains(s.SharedWithOrgIDs, orgID) }
	return isPublic(before) && !isPublic(s) || slices.ContainsFunc(before.SharedWithOrgIDs, lost)
}
