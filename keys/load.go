package keys

import (
	"context"
	"fmt"

	"lastseen/schema"
)

// cachedKey is a key's record as the cache holds it. All but what notes its use is never changed.
type cachedKey struct {
	hash      schema.KeyHash
	principal Principal
	expiresAt int64 // Unix milliseconds
	revoked   bool

	use keyUse
}

func newCachedKey(record schema.APIKey) *cachedKey {
	key := &cachedKey{
		hash:      record.Hash,
		principal: Principal{Kind: CallerAPIKey, OrgID: record.OrgID, Role: RoleOperator, KeyID: record.ID, ExpiresAt: record.ExpiresAt},
		expiresAt: record.ExpiresAt.UnixMilli(),
		revoked:   !record.RevokedAt.IsZero(),
	}
	if record.Kind == schema.KindDeviceCredential {
		key.principal.Kind, key.principal.Role, key.principal.DeviceID = CallerDeviceCredential, 0, record.DeviceID
	}
	return key
}

// check returns ErrRevoked or ErrExpired for a key that is over at a time (Unix milliseconds).
func (k *cachedKey) check(now int64) error {
	switch {
	case k.revoked:
		return ErrRevoked
	case now >= k.expiresAt:
		return ErrExpired
	}
	return nil
}

// load returns a key's record from ClickHouse. However many ask for one key at a time, it is looked
// up once; whoever's context ends stops waiting and disturbs nobody else.
func (a *Authenticator) load(ctx context.Context, hash schema.KeyHash) (*cachedKey, error) {
	flight := a.flights.DoChan(string(hash[:]), func() (any, error) { return a.lookUp(hash) })
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("%w (wait for the look-up of a key: %w)", ErrUnavailable, ctx.Err())
	case result := <-flight:
		if result.Err != nil {
			return nil, result.Err
		}
		return result.Val.(*cachedKey), nil
	}
}

// lookUp asks ClickHouse for a key and remembers the answer, on behalf of everybody who waits for it.
func (a *Authenticator) lookUp(hash schema.KeyHash) (*cachedKey, error) {
	release, err := a.admission.acquire(a.closing, a.config.LoadWait)
	if err != nil {
		return nil, err
	}
	defer release()
	generation := a.unknown.generation()
	ctx, cancel := context.WithTimeout(a.closing, a.config.LoadTimeout)
	defer cancel()
	record, found, err := a.config.Store.FindAPIKey(ctx, hash)
	if err != nil {
		a.admission.failed.Add(1)
		return nil, fmt.Errorf("%w (look up a key: %w)", ErrUnavailable, err)
	}
	if !found {
		a.unknown.add(hash, generation, a.config.Now().Add(a.config.UnknownFor).UnixMilli())
		return nil, ErrInvalid
	}
	key := newCachedKey(record)
	a.cache.Set(cacheSlot(&hash), key, 1) // ristretto may drop it; then the next request looks it up again
	return key, nil
}
