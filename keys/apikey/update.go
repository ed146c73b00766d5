package apikey

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"lastseen/keys"
	"lastseen/schema"
)

// Update says what is to be changed of a key; nil leaves it as it is.
type Update struct {
	Name              *string
	Denied            *schema.KeyScopes // see ParseScopes
	Ranges            *[]netip.Prefix   // see ParseRanges
	RequestsPerSecond *uint32
}

// Update renames an API key or narrows what it may do, and returns its record: every request that starts after Update
// has returned is decided by what it may now. It fails with schema.Invalid, also when the key could do more than
// before, with schema.NotFound, with schema.Conflict when the key has ended, and with schema.Unavailable, when it may
// have been done or not; then call it again.
func (s *Service) Update(ctx context.Context, actor *keys.Principal, kind schema.KeyKind, id schema.ID, update Update) (Record, error) {
	ctx, cancel := beginChange(ctx)
	defer cancel()
	unlock, err := s.lock(ctx, id)
	if err != nil {
		return Record{}, err
	}
	defer unlock()
	key, err := s.find(ctx, actor.OrgID, kind, id)
	if err != nil {
		return Record{}, err
	}
	if recordOf(key, s.config.Now()).Status != StatusActive {
		return Record{}, schema.Conflict.Say("This key has expired or was revoked, so nothing of it can be changed.")
	}
	next, changed, err := update.of(key)
	if err != nil {
		return Record{}, err
	}
	if len(changed) > 0 {
		// The event is written first: there is then no change without one, whatever fails.
		if err := s.recordEvent(ctx, next, schema.KeyUpdated, actor.UserID, s.now(), changed...); err != nil {
			return Record{}, err
		}
		if err := s.config.DB.ChangeAPIKey(ctx, &next); err != nil {
			return Record{}, schema.Unavailable.Because(fmt.Errorf("change a key: %w", err))
		}
	}
	// This is repeated where nothing is changed, since an earlier attempt may have failed half way.
	notice := Notice{Kind: NoticeChanged, Hash: key.Hash, ExpiresAt: key.ExpiresAt, Changes: next.Changes}
	if err := s.config.Channel.Publish(ctx, notice); err != nil {
		return Record{}, schema.Unavailable.Because(fmt.Errorf("announce a change to a key: %w", err))
	}
	if err := s.count(ctx); err != nil {
		return Record{}, err
	}
	return recordOf(next, s.config.Now()), nil
}

// of returns a key as it is after the update, and the fields that have changed.
func (u *Update) of(key schema.APIKey) (next schema.APIKey, changed []string, _ error) {
	next = key
	if u.Name != nil {
		if err := checkName(*u.Name); err != nil {
			return next, nil, err
		}
		next.Name = *u.Name
	}
	if u.Denied != nil {
		next.Denied = *u.Denied
	}
	if u.Ranges != nil {
		next.Ranges = *u.Ranges
	}
	if u.RequestsPerSecond != nil {
		next.RequestsPerSecond = *u.RequestsPerSecond
	}
	if err := checkLimits(key.Kind, &next.KeyLimits); err != nil {
		return next, nil, err
	}
	if err := checkNarrower(&key.KeyLimits, &next.KeyLimits); err != nil {
		return next, nil, err
	}
	for _, field := range []struct {
		name string
		same bool
	}{
		{"name", next.Name == key.Name}, {"scopes", next.Denied == key.Denied}, {"allowed_ip_ranges", slices.Equal(next.Ranges, key.Ranges)},
		{"requests_per_second", next.RequestsPerSecond == key.RequestsPerSecond},
	} {
		if !field.same {
			changed = append(changed, field.name)
		}
	}
	if len(changed) > 0 {
		next.Changes++
	}
	return next, changed, nil
}
