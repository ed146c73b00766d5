package apikey

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/ristretto/v2"

	"lastseen/keys"
	"lastseen/keys/ratelimit"
	"lastseen/schema"
)

// Store is where the records of keys are. *schema.DB is one. It must be safe for concurrent use,
// and a look-up must see every change whose writing was acknowledged before the look-up began.
type Store interface {
	// FindAPIKeys returns the keys with the hashes, each once, in any order; a hash that no key has is
	// missing from the answer.
	FindAPIKeys(ctx context.Context, hashes []schema.KeyHash) ([]schema.APIKey, error)
	RecordKeyUses(ctx context.Context, uses []schema.KeyUse) error
	// AddKeyRequests adds to what keys were used for. The batch is named: adding it again changes nothing.
	AddKeyRequests(ctx context.Context, batch string, counted []schema.KeyRequests) error
}

// TokenVerifier tells who a user token speaks for. Its errors are schema.InvalidCredential, schema.ExpiredCredential and
// schema.Unavailable, wrapped or not. It must be safe for concurrent use and must not keep the token.
type TokenVerifier interface {
	Verify(ctx context.Context, token []byte) (*keys.Principal, error)
}

// AuthenticatorConfig says what an Authenticator works with. Zero values mean the defaults.
type AuthenticatorConfig struct {
	Store   Store             // required
	Users   TokenVerifier     // required
	Channel RevocationChannel // required; the one that the Service publishes on

	// CachedKeys bounds the records of keys in memory; 0 means 100,000, about 75 MB.
	CachedKeys int
	// UnknownKeys and VerifiedTokens bound how many keys that do not exist and how many user tokens
	// are remembered; 0 means 16,384 and 8,192.
	UnknownKeys, VerifiedTokens int
	// UnknownFor is how long a key that does not exist is remembered; 0 means 5 s.
	UnknownFor time.Duration
	// Loads bounds the look-ups that run at the same time, each of up to LoadBatch keys, and
	// QueuedLoads the keys that wait for one of these; 0 means 2, 1,000 and 16,384.
	Loads, LoadBatch, QueuedLoads int
	// LoadRate bounds how often a look-up begins, of however many keys and however fast ClickHouse
	// answers, so that who guesses keys cannot keep it busy; the zero value is no limit.
	LoadRate ratelimit.Rate
	// LoadWait bounds the time for which a key waits until its look-up begins and LoadTimeout the
	// time that the look-up takes; 0 means 2 s and 5 s.
	LoadWait, LoadTimeout time.Duration
	// UsesEvery is how often it is written when keys were last used, and for what; 0 means a minute.
	UsesEvery time.Duration
	// Routes are the names of the routes by whose numbers requests are counted, at most MaxRoutes; the first is of all
	// that have no other.
	Routes []string

	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Logger gets what goes wrong in the background; nil means slog.Default.
	Logger *slog.Logger
}

// Authenticator turns a credential into who is calling. It is safe for concurrent use.
type Authenticator struct {
	config      AuthenticatorConfig
	cache       *ristretto.Cache[uint64, *cachedKey]
	revoked     revokedSet
	denied      atomic.Bool // all keys; see Deny
	ended       bell
	unknown     unknownKeys
	tokens      recent[*keys.Principal]
	uses        useLog
	usage       usageLog
	checks      checks
	loads       loadQueue
	unsubscribe func()
	made        time.Time

	fill      sync.Mutex // held while look-ups fill the cache, and by Forget
	forgotten uint64     // calls of Forget; guarded by fill

	closing   context.Context // ends when Close begins
	stop      context.CancelFunc
	closeOnce sync.Once
	closed    error
	recorder  chan struct{} // closed when the goroutine that records uses has ended
}

// tokenTrust bounds how long a verified token is believed without verifying it again.
const tokenTrust = 5 * time.Minute

// NewAuthenticator subscribes to the revocation channel and starts recording when keys are used.
// Close releases it.
func NewAuthenticator(config AuthenticatorConfig) (*Authenticator, error) {
	if config.Store == nil || config.Users == nil || config.Channel == nil {
		return nil, errors.New("make an authenticator: a store, a token verifier and a channel are required")
	}
	if len(config.Routes) > MaxRoutes {
		return nil, fmt.Errorf("make an authenticator: requests of %d routes are to be counted, and at most %d can be", len(config.Routes), MaxRoutes)
	}
	config.setDefaults()
	cache, err := ristretto.NewCache(&ristretto.Config[uint64, *cachedKey]{
		NumCounters: int64(config.CachedKeys) * 10, // as ristretto advises
		MaxCost:     int64(config.CachedKeys),
		// ristretto's goroutine is woken each time that so many look-ups have been noted. With the usual
		// 64, waking it costs a poll more than the look-up itself.
		BufferItems:        1024,
		IgnoreInternalCost: true, // a record costs 1
		KeyToHash:          func(key uint64) (uint64, uint64) { return key, 0 },
	})
	if err != nil {
		return nil, fmt.Errorf("make the cache of keys: %w", err)
	}
	closing, stop := context.WithCancel(context.Background())
	a := &Authenticator{
		config:   config,
		cache:    cache,
		made:     config.Now(),
		unknown:  unknownKeys{recent: newRecent[struct{}](config.UnknownKeys)},
		tokens:   newRecent[*keys.Principal](config.VerifiedTokens),
		usage:    usageLog{names: rand.Text()},
		closing:  closing,
		stop:     stop,
		recorder: make(chan struct{}),
	}
	a.loads = loadQueue{
		slots: make(chan struct{}, config.Loads), waiting: config.QueuedLoads, batch: config.LoadBatch,
		rate: config.LoadRate, now: config.Now,
	}
	// Before the first look-up: a revocation is then either in what is looked up or in a notice.
	a.unsubscribe = config.Channel.Subscribe(a.apply)
	a.loads.start(closing, a.lookUp)
	go a.recordUses()
	return a, nil
}

func (c *AuthenticatorConfig) setDefaults() {
	for _, size := range []struct {
		value    *int
		standard int
	}{
		{&c.CachedKeys, 100_000}, {&c.UnknownKeys, 16_384}, {&c.VerifiedTokens, 8_192},
		{&c.Loads, 2}, {&c.LoadBatch, 1_000}, {&c.QueuedLoads, 16_384},
	} {
		if *size.value <= 0 {
			*size.value = size.standard
		}
	}
	for _, span := range []struct {
		value    *time.Duration
		standard time.Duration
	}{
		{&c.UnknownFor, 5 * time.Second}, {&c.LoadWait, 2 * time.Second}, {&c.LoadTimeout, 5 * time.Second}, {&c.UsesEvery, time.Minute},
	} {
		if *span.value <= 0 {
			*span.value = span.standard
		}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
}

// Authenticate tells who a credential speaks for, or why it is not accepted: schema.NoCredential,
// schema.InvalidCredential, schema.ExpiredCredential, schema.RevokedCredential, or schema.Unavailable when that cannot
// be told now. It does not keep the credential. For a key that it has seen before it neither allocates nor takes a lock of
// its own; otherwise it waits for ClickHouse, at most until the context ends.
func (a *Authenticator) Authenticate(ctx context.Context, credential []byte) (*keys.Principal, error) {
	if _, isKey := prefixKind(credential); isKey {
		return a.authenticateKey(ctx, credential)
	}
	if bytes.Count(credential, []byte(".")) == 2 {
		return a.authenticateToken(ctx, credential)
	}
	return nil, schema.NoCredential
}

// authenticateKey checks a key: what the cache or, for a text of the right form, ClickHouse says of
// it, and after that what the revoked set says. Only texts of the right form get into the cache, so
// what is found there needs no look at its form.
func (a *Authenticator) authenticateKey(ctx context.Context, text []byte) (*keys.Principal, error) {
	if len(text) != keyLength {
		return nil, schema.InvalidCredential
	}
	if a.denied.Load() {
		return nil, errDamaged
	}
	hash := schema.KeyHash(sha256.Sum256(text))
	now := a.config.Now().UnixMilli()
	key, cached := a.cache.Get(cacheSlot(&hash))
	err := errOutdated // another key with the same slot is a miss, too
	if cached && key.hash == hash {
		err = a.revoked.check(&hash, now, key.changes)
	}
	if err == errOutdated {
		if key, err = a.loadFresh(ctx, text, hash); err != nil {
			return nil, err
		}
		now = a.config.Now().UnixMilli()
	} else {
		a.checks.hits.Add(1)
	}
	if err != nil {
		return nil, err
	}
	if err := key.check(now); err != nil {
		return nil, err
	}
	a.uses.note(key, now)
	return &key.principal, nil
}

// Known is Authenticate for credentials that it has seen before and still believes; of others it says
// false, without looking anything up or verifying anything. It is counted as a check by CountKnown, for
// callers that may leave the request to Authenticate after all.
func (a *Authenticator) Known(credential []byte) (*keys.Principal, bool) {
	clock := a.config.Now()
	now := clock.UnixMilli()
	hash := schema.KeyHash(sha256.Sum256(credential))
	if _, isKey := prefixKind(credential); !isKey {
		principal, known := a.tokens.get(&hash, a.elapsed(clock))
		return principal, known && now < principal.ExpiresAt.UnixMilli()
	}
	key, cached := a.cache.Get(cacheSlot(&hash))
	if !cached || key.hash != hash || a.denied.Load() || a.revoked.check(&hash, now, key.changes) != nil || key.check(now) != nil {
		return nil, false
	}
	a.uses.note(key, now)
	return &key.principal, true
}

// CountKnown counts a check that was answered by Known.
func (a *Authenticator) CountKnown(p *keys.Principal) {
	if p.Kind == keys.CallerUser {
		a.checks.tokenHits.Add(1)
	} else {
		a.checks.hits.Add(1)
	}
}

// authenticateToken checks a user token. A token that was verified lately is not verified again, but
// its expiry is compared every time.
func (a *Authenticator) authenticateToken(ctx context.Context, token []byte) (*keys.Principal, error) {
	if len(token) > keys.MaxTokenLength {
		return nil, schema.InvalidCredential
	}
	hash := schema.KeyHash(sha256.Sum256(token))
	now := a.config.Now()
	principal, known := a.tokens.get(&hash, a.elapsed(now))
	if known {
		a.checks.tokenHits.Add(1)
	} else {
		a.checks.tokenMisses.Add(1)
		var err error
		if principal, err = a.config.Users.Verify(ctx, token); err != nil {
			return nil, err
		}
		a.tokens.put(hash, principal, a.elapsed(now.Add(tokenTrust)))
	}
	if !now.Before(principal.ExpiresAt) {
		return nil, schema.ExpiredCredential
	}
	return principal, nil
}

// elapsed is how long after its making by the Authenticator a time is, in milliseconds, by a clock that nobody sets: what is
// remembered for a while must not be believed for as long as a clock is set back.
func (a *Authenticator) elapsed(at time.Time) int64 { return at.Sub(a.made).Milliseconds() }

// cacheSlot is a hash's key in ristretto. SHA-256 is as good a hash as any, and the cached record
// holds all of it.
func cacheSlot(hash *schema.KeyHash) uint64 {
	return binary.LittleEndian.Uint64(hash[:])
}

// apply is the subscriber of the revocation channel. What it has applied when it returns holds for
// every check that begins after that.
func (a *Authenticator) apply(_ context.Context, notice Notice) error {
	switch notice.Kind {
	case NoticeCreated:
		a.unknown.forget(notice.Hash)
		// A look-up that is under way may have begun too early to see the key: let nobody join it.
		a.loads.forget(notice.Hash)
		return nil
	case NoticeRevoked, NoticeEnds, NoticeChanged:
		// First the revoked set, then the cache: a load that began before the revocation may put
		// the key back into the cache at any time later, and then the revoked set refuses it.
		a.revoked.add(notice.Hash, endingOf(notice), a.config.Now().UnixMilli())
		a.cache.Del(cacheSlot(&notice.Hash))
		// As for a key that was created: nobody may join a look-up that began too early to see the change.
		a.loads.forget(notice.Hash)
		a.ended.ring()
		return nil
	}
	return fmt.Errorf("a notice of an unknown kind %d", notice.Kind) // from a newer node
}

// Forget drops every record of a key: changes may have been missed. Records of look-ups that have begun are not kept either. Every check
// that begins after it returned sees what ClickHouse had when it was called, or later.
func (a *Authenticator) Forget() {
	// First this: a look-up that compares it afterwards keeps nothing, and what one before has kept goes with the rest.
	a.fill.Lock()
	a.forgotten++
	a.cache.Clear()
	a.fill.Unlock()
	a.unknown.forgetAll()
	a.loads.forgetAll()
	a.ended.ring()
}

// keep puts the records of a look-up into the cache that began after so many calls of Forget, if there was none since.
func (a *Authenticator) keep(found []*cachedKey, forgotten uint64) {
	a.fill.Lock()
	defer a.fill.Unlock()
	if forgotten != a.forgotten {
		return
	}
	for _, key := range found {
		a.cache.Set(cacheSlot(&key.hash), key, 1) // ristretto may drop it; then the next request looks it up again
	}
}

// begun returns how often Forget was called, for keep.
func (a *Authenticator) begun() uint64 {
	a.fill.Lock()
	defer a.fill.Unlock()
	return a.forgotten
}

// Ended returns a channel that is closed when a key is revoked or its life cut short after the call: for who has let
// somebody in for long, to look again.
func (a *Authenticator) Ended() <-chan struct{} { return a.ended.next() }

// Close stops look-ups, writes the last uses of keys and releases the caches. Callers must have
// stopped calling Authenticate. It may be called more than once.
func (a *Authenticator) Close() error {
	a.closeOnce.Do(func() {
		a.unsubscribe()
		a.stop()
		a.loads.close()
		<-a.recorder
		ctx, cancel := context.WithTimeout(context.Background(), a.config.LoadTimeout)
		defer cancel()
		a.closed = a.FlushUses(ctx)
		a.cache.Close() // last: ristretto panics when something is set during this
	})
	return a.closed
}
