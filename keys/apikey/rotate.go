package apikey

import (
	"context"
	"fmt"
	"time"

	"lastseen/keys"
	"lastseen/schema"
)

// Rotation says how a key is to be replaced.
type Rotation struct {
	// Grace is for how long the old key stays good beside the new one: 0 to 7 days, and never
	// longer than it would have been.
	Grace time.Duration
	// ExpiresAt is when the new key expires, by the rules for a NewKey; zero means after as long a
	// life as the old key was given.
	ExpiresAt time.Time
}

// Rotate makes a key with the name, the device and the limits of an old one, and lets the old one expire when the
// grace ends. It returns the new key's record and, this once, its text. It fails with schema.Invalid,
// with schema.NotFound, with schema.Conflict when the old key has already ended or was rotated before, and
// with schema.Unavailable; a new key may then be in the list whose text nobody knows, and the old one may end.
func (s *Service) Rotate(ctx context.Context, actor *keys.Principal, kind schema.KeyKind, id schema.ID, rotation Rotation) (Record, string, error) {
	if rotation.Grace < 0 || rotation.Grace > MaxGrace {
		return Record{}, "", schema.Invalid.About("grace_seconds", "Give a grace of 0 to %d seconds.", int(MaxGrace/time.Second))
	}
	if !rotation.ExpiresAt.IsZero() {
		if err := checkExpiry(rotation.ExpiresAt, s.config.Now()); err != nil {
			return Record{}, "", err
		}
	}
	ctx, cancel := beginChange(ctx)
	defer cancel()
	unlock, err := s.lock(ctx, id)
	if err != nil {
		return Record{}, "", err
	}
	defer unlock()
	old, err := s.find(ctx, actor.OrgID, kind, id)
	if err != nil {
		return Record{}, "", err
	}
	now := s.now()
	if recordOf(old, now).Status != StatusActive {
		return Record{}, "", schema.Conflict.Say("This key has expired or was revoked, so it cannot be rotated: create a new one.")
	}
	rotated, err := s.config.DB.HasKeyEvent(ctx, old.OrgID, old.ID, schema.KeyRotated)
	switch {
	case err != nil:
		return Record{}, "", schema.Unavailable.Because(fmt.Errorf("look whether a key was rotated: %w", err))
	case rotated:
		return Record{}, "", schema.Conflict.Say("This key was rotated already and is good only until its grace ends: use the key that replaced it.")
	}
	if err := s.checkQuota(ctx, old.OrgID, kind, 2*s.config.MaxKeys); err != nil {
		return Record{}, "", err
	}
	if rotation.ExpiresAt.IsZero() {
		rotation.ExpiresAt = now.Add(old.ExpiresAt.Sub(old.CreatedAt))
	}
	created, text, err := s.create(ctx, actor, NewKey{
		Kind: kind, Name: old.Name, ExpiresAt: rotation.ExpiresAt, DeviceID: old.DeviceID, RegistersDevices: old.RegistersDevices,
		Limits: old.KeyLimits, replaces: old.ID,
	})
	if err != nil {
		return Record{}, "", err
	}
	if err := s.end(ctx, actor, old, created.ID, now, now.Add(rotation.Grace)); err != nil {
		return Record{}, "", err
	}
	return recordOf(created, s.config.Now()), text, nil
}

// end makes a key expire at a time, if it does not expire earlier, on behalf of its rotation.
func (s *Service) end(ctx context.Context, actor *keys.Principal, key schema.APIKey, by schema.ID, now, endsAt time.Time) error {
	if err := s.recordEvent(ctx, key, schema.KeyRotated, actor.UserID, now); err != nil {
		return err
	}
	if err := s.config.DB.ReplaceAPIKey(ctx, key.Hash, by); err != nil {
		return schema.Unavailable.Because(fmt.Errorf("note what a key was rotated into: %w", err))
	}
	if !endsAt.Before(key.ExpiresAt) {
		return nil
	}
	notice := Notice{Kind: NoticeEnds, Hash: key.Hash, EndsAt: endsAt, ExpiresAt: key.ExpiresAt}
	var err error
	if endsAt.After(now) {
		err = s.config.DB.ExpireAPIKey(ctx, key.Hash, endsAt)
	} else { // for good: a clock that is set back brings nothing back
		notice.EndsAt = time.Time{}
		err = s.config.DB.EndAPIKey(ctx, key.Hash, endsAt, actor.UserID)
	}
	if err != nil {
		return schema.Unavailable.Because(fmt.Errorf("end the key that was rotated: %w", err))
	}
	if err := s.config.Channel.Publish(ctx, notice); err != nil {
		return schema.Unavailable.Because(fmt.Errorf("announce the end of a key: %w", err))
	}
	return s.count(ctx)
}
