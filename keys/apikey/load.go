package apikey

import (
	"context"
	"fmt"
	"time"

	"lastseen/keys"
	"lastseen/schema"
)

// cachedKey is a key's record as the cache holds it. All but what notes its use is never changed.
type cachedKey struct {
	hash      schema.KeyHash
	principal keys.Principal
	expiresAt int64 // Unix milliseconds
	changes   uint32
	revoked   bool
	ended     bool // has expired, whatever the time

	use keyUse
}

// newCachedKey makes a key of its record. A log takes what it is used for.
func newCachedKey(record schema.APIKey, log *useLog) *cachedKey {
	key := &cachedKey{
		hash:      record.Hash,
		principal: keys.Principal{Kind: keys.CallerAPIKey, OrgID: record.OrgID, Role: keys.RoleOperator, KeyID: record.ID, Limits: record.KeyLimits, ExpiresAt: record.ExpiresAt},
		expiresAt: record.ExpiresAt.UnixMilli(),
		changes:   record.Changes,
		revoked:   !record.RevokedAt.IsZero() && !record.Ended(),
		ended:     record.Ended(),
	}
	if record.Kind == schema.KindDeviceCredential {
		key.principal.Kind, key.principal.Role, key.principal.DeviceID = keys.CallerDeviceCredential, 0, record.DeviceID
		key.principal.RegistersDevices = record.RegistersDevices
	} else {
		key.use.log, key.principal.Uses = log, key
	}
	return key
}

// check returns schema.RevokedCredential or schema.ExpiredCredential for a key that is over at a time (Unix milliseconds).
func (k *cachedKey) check(now int64) error {
	switch {
	case k.revoked:
		return schema.RevokedCredential
	case k.ended || now >= k.expiresAt:
		return schema.ExpiredCredential
	}
	return nil
}

// freshLoads bounds how often a key is looked up for one request: again when it was changed while a look-up that began
// before was under way.
const freshLoads = 3

// loadFresh looks up a key that the cache does not know, or not as it is now. The record that it returns says all that
// the revoked set knows.
func (a *Authenticator) loadFresh(ctx context.Context, text []byte, hash schema.KeyHash) (*cachedKey, error) {
	if _, ok := Parse(text); !ok {
		return nil, schema.InvalidCredential
	}
	a.checks.misses.Add(1)
	now := a.config.Now()
	if err := a.revoked.check(&hash, now.UnixMilli(), anyChange); err != nil {
		return nil, err
	}
	if a.unknown.has(&hash, a.elapsed(now)) {
		a.checks.unknown.Add(1)
		return nil, schema.InvalidCredential
	}
	for range freshLoads {
		key, err := a.load(ctx, hash)
		if err != nil {
			return nil, err
		}
		if err = a.revoked.check(&hash, a.config.Now().UnixMilli(), key.changes); err != errOutdated {
			return key, err
		}
	}
	return nil, schema.Unavailable.Because(errOutdated)
}

// load returns a key's record from ClickHouse. However many ask for one key at a time, it is looked
// up once, and whatever keys are missed at a time are looked up together; whoever's context ends stops
// waiting and disturbs nobody else.
func (a *Authenticator) load(ctx context.Context, hash schema.KeyHash) (*cachedKey, error) {
	wanted, err := a.loads.join(hash)
	if err != nil {
		return nil, err
	}
	patience := time.NewTimer(a.config.LoadWait)
	defer patience.Stop()
	left := ctx.Done()
	for {
		select {
		case <-wanted.done:
			return wanted.key, wanted.err
		case <-left:
			a.loads.leave(wanted)
			return nil, schema.Unavailable.Because(fmt.Errorf("wait for the look-up of a key: %w", ctx.Err()))
		case <-patience.C:
			if a.loads.giveUp(wanted) {
				return nil, schema.Unavailable.Because(errTooLate)
			}
		}
	}
}

// lookUp asks ClickHouse for a batch of keys and remembers the answers, on behalf of everybody who
// waits for them.
func (a *Authenticator) lookUp(batch []*lookUp) {
	defer a.loads.end(batch)
	hashes := make([]schema.KeyHash, len(batch))
	for i, wanted := range batch {
		hashes[i] = wanted.hash
	}
	generation, begun := a.unknown.generation(), a.begun()
	ctx, cancel := context.WithTimeout(a.closing, a.config.LoadTimeout)
	defer cancel()
	records, err := a.config.Store.FindAPIKeys(ctx, hashes)
	if err != nil {
		a.loads.failed.Add(1)
		err = schema.Unavailable.Because(fmt.Errorf("look up %d keys: %w", len(batch), err))
		for _, wanted := range batch {
			wanted.err = err
		}
		return
	}
	found := make(map[schema.KeyHash]*cachedKey, len(records))
	for i := range records {
		found[records[i].Hash] = newCachedKey(records[i], &a.uses)
	}
	forgotten := a.elapsed(a.config.Now().Add(a.config.UnknownFor))
	known := make([]*cachedKey, 0, len(batch))
	for _, wanted := range batch {
		key := found[wanted.hash]
		if key == nil {
			a.unknown.add(wanted.hash, generation, forgotten)
			wanted.err = schema.InvalidCredential
			continue
		}
		known = append(known, key)
		wanted.key = key
	}
	a.keep(known, begun)
}
