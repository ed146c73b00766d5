package apikey

import (
	"context"
	"fmt"

	"lastseen/schema"
)

// errDamaged is what every key gets while nobody knows which of them were revoked.
var errDamaged = schema.Unavailable.Say("Keys cannot be checked, since a part of what is stored of them is damaged; whoever runs this service finds in its log what to do.")

// Deny refuses all keys from now on, or accepts good ones again: where a part of their table is damaged,
// one that was revoked may look as if it were not.
func (a *Authenticator) Deny(all bool) { a.denied.Store(all) }

// Denies reports whether all keys are refused.
func (a *Authenticator) Denies() bool { return a.denied.Load() }

// RepairRevocations revokes again the keys of which the events say that they were revoked and their records
// do not, which no order of writes explains but a loss, and returns how many there were. It fails with
// schema.Unavailable.
func (s *Service) RepairRevocations(ctx context.Context) (int, error) {
	if _, err := s.config.DB.RepairKeyIDs(ctx); err != nil {
		return 0, schema.Unavailable.Because(err)
	}
	lost, err := s.config.DB.LostRevocations(ctx)
	if err != nil {
		return 0, schema.Unavailable.Because(err)
	}
	for _, key := range lost {
		if err := s.config.DB.RestoreRevocation(ctx, key); err != nil {
			return 0, schema.Unavailable.Because(fmt.Errorf("revoke a key again: %w", err))
		}
		if err := s.config.Channel.Publish(ctx, Notice{Kind: NoticeRevoked, Hash: key.Hash, ExpiresAt: key.ExpiresAt}); err != nil {
			return 0, schema.Unavailable.Because(fmt.Errorf("announce a revocation: %w", err))
		}
	}
	return len(lost), nil
}

// Missing returns what was written of keys and is gone. It fails with schema.Unavailable.
func (s *Service) Missing(ctx context.Context) ([]schema.MissingRows, error) {
	missing, err := s.config.DB.CountKeys(ctx)
	if err != nil {
		return nil, schema.Unavailable.Because(err)
	}
	return missing, nil
}

// AcceptMissing makes what is missing count no more. It fails with schema.Unavailable.
func (s *Service) AcceptMissing(ctx context.Context, missing []schema.MissingRows) error {
	if err := s.config.DB.AcceptMissing(ctx, missing); err != nil {
		return schema.Unavailable.Because(err)
	}
	return nil
}

// count makes what was written of keys so far count, so that its loss is noticed. A right that is taken away is
// acknowledged after it.
func (s *Service) count(ctx context.Context) error {
	if err := s.config.DB.StoreKeyCounts(ctx); err != nil {
		return schema.Unavailable.Because(err)
	}
	return nil
}
