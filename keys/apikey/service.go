package apikey

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"lastseen/keys"
	"lastseen/schema"
	"lastseen/schema/keyedlock"
	"lastseen/schema/measure"
)

// DeviceDirectory says whose devices are whose.
type DeviceDirectory interface {
	// OwnsDevice reports whether a device is registered to an organisation.
	OwnsDevice(orgID string, deviceID schema.ID) bool
}

// ServiceConfig says what a Service works with.
type ServiceConfig struct {
	DB      *schema.DB        // required
	Channel RevocationChannel // required
	// Devices is asked when a credential is to be bound to a device; nil means that none can be.
	Devices DeviceDirectory
	// MaxKeys bounds the API keys of an organisation that are good at the same time, and its device credentials
	// likewise; 0 means no bound. Rotations, which replace, may go as far beyond as it is.
	MaxKeys int
	// CursorKey signs the cursors of lists, with at least 32 secret bytes; when it is shorter, a key is made
	// and cursors are good for as long as the Service.
	CursorKey []byte
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Logger gets what goes wrong without failing a request; nil means slog.Default.
	Logger *slog.Logger
}

// Service makes, lists, rotates and revokes keys. Who may do so is for its caller to decide; it
// confines everybody to their own organisation. It is safe for concurrent use.
type Service struct {
	config   ServiceConfig
	random   io.Reader
	changing *keyedlock.Locks // by key id
	creating *keyedlock.Locks // by organisation
	cursors  cursors
	quotas   quotas

	propagation *measure.Histogram // of revocations
	unannounced atomic.Uint64      // revocations that did not reach everybody
	expiring    atomic.Pointer[[]schema.ExpiringKeys]
}

// changeTimeout bounds a change to a key, from the first write to the last.
const changeTimeout = 15 * time.Second

// NewService makes a Service. It holds nothing that needs to be closed.
func NewService(config ServiceConfig) *Service {
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	return &Service{
		config: config, random: rand.Reader, changing: keyedlock.New(64), creating: keyedlock.New(256), cursors: newCursors(config.CursorKey),
		propagation: measure.NewHistogram(measure.DurationBounds()),
	}
}

// NewKey is a key to be made.
type NewKey struct {
	Kind      schema.KeyKind
	Name      string    // 1 to 100 printable characters
	ExpiresAt time.Time // in the future, at most five years ahead; milliseconds count
	DeviceID  schema.ID // the one device that a device credential may write for; zero for any
	// RegistersDevices lets a device credential for any device have devices registered that nobody knows yet.
	RegistersDevices bool
	// Limits is what an API key may not do; see ParseScopes and ParseRanges.
	Limits schema.KeyLimits
	// Request names the request that makes the key, so that it makes no second one within a day; empty for none.
	Request string

	replaces schema.ID // of a rotation
}

// Create makes a key in the actor's organisation and returns its record and, this once, its text. The
// key is accepted from the moment that Create returns. It fails with schema.Invalid, with schema.Conflict when the
// organisation has as many keys as it may or the request has made one before, which is then named, and with
// schema.Unavailable.
func (s *Service) Create(ctx context.Context, actor *keys.Principal, wanted NewKey) (Record, string, error) {
	if err := s.validate(actor, wanted); err != nil {
		return Record{}, "", err
	}
	ctx, cancel := beginChange(ctx)
	defer cancel()
	unlock, err := s.creating.Lock(ctx, actor.OrgID)
	if err != nil {
		return Record{}, "", schema.Unavailable.Because(fmt.Errorf("wait for another creation of a key: %w", err))
	}
	defer unlock()
	if err := checkRequest(ctx, s.config.DB, actor, &wanted, s.now()); err != nil {
		return Record{}, "", err
	}
	if err := s.checkQuota(ctx, actor.OrgID, wanted.Kind, s.config.MaxKeys); err != nil {
		return Record{}, "", err
	}
	key, text, err := s.create(ctx, actor, wanted)
	if err != nil {
		return Record{}, "", err
	}
	return recordOf(key, s.config.Now()), text, nil
}

// checkQuota fails with schema.Conflict when an organisation has so many good keys of a kind; 0 is no bound. Otherwise one more
// is taken to be made.
func (s *Service) checkQuota(ctx context.Context, orgID string, kind schema.KeyKind, most int) error {
	of := quotaOf{orgID, kind}
	if most == 0 || s.quotas.take(of, most, time.Now()) {
		return nil
	}
	live, err := s.config.DB.CountAPIKeys(ctx, schema.KeyList{OrgID: orgID, Kind: kind, Filter: schema.KeysActive, Now: s.config.Now()})
	switch {
	case err != nil:
		return schema.Unavailable.Because(err)
	case live >= most:
		return schema.Conflict.Say(fmt.Sprintf("Your organisation has %d that are good, which is as many as it may have: revoke one that is no longer used.", live))
	}
	s.quotas.count(of, live+1, time.Now())
	return nil
}

func (s *Service) validate(actor *keys.Principal, wanted NewKey) error {
	if wanted.Kind != schema.KindAPIKey && wanted.Kind != schema.KindDeviceCredential {
		return schema.Invalid.About("kind", "Give one of the kinds api_key and device_credential.")
	}
	if err := checkName(wanted.Name); err != nil {
		return err
	}
	if err := checkExpiry(wanted.ExpiresAt, s.config.Now()); err != nil {
		return err
	}
	if err := checkLimits(wanted.Kind, &wanted.Limits); err != nil {
		return err
	}
	if wanted.RegistersDevices && (wanted.Kind != schema.KindDeviceCredential || wanted.DeviceID != (schema.ID{})) {
		return schema.Invalid.About("registers_devices", "Leave this out, or make a device credential that is not for one device.")
	}
	if wanted.DeviceID == (schema.ID{}) {
		return nil
	}
	if wanted.Kind != schema.KindDeviceCredential || s.config.Devices == nil || !s.config.Devices.OwnsDevice(actor.OrgID, wanted.DeviceID) {
		return schema.Invalid.About("device_id", "Give the id of a device that is registered to your organisation, or leave it out.")
	}
	return nil
}

// create writes a key whose particulars have been checked. The event is written first: there is then
// no key without one, whatever fails.
func (s *Service) create(ctx context.Context, actor *keys.Principal, wanted NewKey) (schema.APIKey, string, error) {
	text, err := newKey(wanted.Kind, s.random)
	if err != nil {
		return schema.APIKey{}, "", err
	}
	key := schema.APIKey{
		Hash: sha256.Sum256(text), ID: schema.NewID(), Kind: wanted.Kind, OrgID: actor.OrgID,
		Name: wanted.Name, Prefix: string(text[:shownLength]), DeviceID: wanted.DeviceID, RegistersDevices: wanted.RegistersDevices,
		CreatedByUserID: actor.UserID, CreatedAt: s.now(), ExpiresAt: wanted.ExpiresAt.UTC().Truncate(time.Millisecond),
		KeyLimits: wanted.Limits, Replaces: wanted.replaces, RequestHash: wanted.Request,
	}
	if err := s.recordEvent(ctx, key, schema.KeyCreated, actor.UserID, key.CreatedAt); err != nil {
		return schema.APIKey{}, "", err
	}
	if err := s.config.DB.InsertAPIKey(ctx, key); err != nil {
		return schema.APIKey{}, "", schema.Unavailable.Because(fmt.Errorf("create a key: %w", err))
	}
	notice := Notice{Kind: NoticeCreated, Hash: key.Hash, ExpiresAt: key.ExpiresAt}
	if err := s.config.Channel.Publish(ctx, notice); err != nil {
		// The key exists, and whoever believes that it does not will ask again within seconds.
		s.config.Logger.Warn("could not announce a new key", "key_id", key.ID.String(), "error", err)
	}
	return key, string(text), nil
}

// Revoke ends a key of the actor's organisation and returns its record: no request that starts after
// Revoke has returned is accepted with that key. Revoking it again gives the same record. It fails
// with schema.NotFound, or with schema.Unavailable when the key may still be accepted; then call it again.
func (s *Service) Revoke(ctx context.Context, actor *keys.Principal, kind schema.KeyKind, id schema.ID) (Record, error) {
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
	again := !key.RevokedAt.IsZero()
	if !again {
		key.RevokedAt, key.RevokedByUserID = s.now(), actor.UserID
		if err := s.config.DB.RevokeAPIKey(ctx, key.Hash, key.RevokedAt, key.RevokedByUserID); err != nil {
			return Record{}, schema.Unavailable.Because(fmt.Errorf("revoke a key: %w", err))
		}
	}
	// The rest is repeated for a key that is revoked already, since an earlier attempt may have
	// failed half way.
	notice := Notice{Kind: NoticeRevoked, Hash: key.Hash, ExpiresAt: key.ExpiresAt}
	published := time.Now()
	if err := s.config.Channel.Publish(ctx, notice); err != nil {
		s.unannounced.Add(1)
		return Record{}, schema.Unavailable.Because(fmt.Errorf("announce a revocation: %w", err))
	}
	s.propagation.ObserveSince(published)
	event := eventOf(&key, schema.KeyRevoked, key.RevokedByUserID, key.RevokedAt)
	event.Again = again
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return s.record(ctx, event) })
	all.Go(func() error { return s.count(ctx) })
	if err := all.Wait(); err != nil {
		return Record{}, err
	}
	return recordOf(key, s.config.Now()), nil
}

// find returns an organisation's key, or schema.NotFound.
func (s *Service) find(ctx context.Context, orgID string, kind schema.KeyKind, id schema.ID) (schema.APIKey, error) {
	key, found, err := s.config.DB.FindAPIKeyByID(ctx, orgID, kind, id)
	switch {
	case err != nil:
		return schema.APIKey{}, schema.Unavailable.Because(fmt.Errorf("find a key: %w", err))
	case !found:
		return schema.APIKey{}, schema.NotFound
	}
	return key, nil
}

// beginChange gives a change its own deadline and lets it finish when its caller goes away: a
// revocation that is written must also be announced.
func beginChange(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), changeTimeout)
}

// lock keeps other changes to a key away, so that of two revocations the second sees the first.
func (s *Service) lock(ctx context.Context, id schema.ID) (unlock func(), err error) {
	if unlock, err = s.changing.Lock(ctx, string(id[:])); err != nil {
		return nil, schema.Unavailable.Because(fmt.Errorf("wait for another change to a key: %w", err))
	}
	return unlock, nil
}

// now is the time as it is stored.
func (s *Service) now() time.Time {
	return s.config.Now().UTC().Truncate(time.Millisecond)
}

// recordEvent writes a new event.
func (s *Service) recordEvent(ctx context.Context, key schema.APIKey, action schema.KeyAction, userID string, at time.Time, changed ...string) error {
	event := eventOf(&key, action, userID, at)
	event.Changed = changed
	return s.record(ctx, event)
}

// record writes an event. Writing it again changes nothing.
func (s *Service) record(ctx context.Context, event schema.KeyEvent) error {
	if err := s.config.DB.InsertKeyEvent(ctx, event); err != nil {
		return schema.Unavailable.Because(fmt.Errorf("record what was done to a key: %w", err))
	}
	return nil
}

// Stats returns the counts. It is safe for concurrent use.
func (s *Service) Stats() ServiceStats {
	stats := ServiceStats{Propagation: s.propagation.Distribution(), PropagationFailures: s.unannounced.Load()}
	if expiring := s.expiring.Load(); expiring != nil {
		stats.Expiring = *expiring
	}
	return stats
}
