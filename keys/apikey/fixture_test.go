package apikey_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/keys/apikey"
	"lastseen/keys/people"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

func TestMain(m *testing.M) { schematest.Main(m) }

// watchedStore is the real database with a window: it counts look-ups and writes of uses, and lets a
// test hold a look-up open or make it fail. It is safe for concurrent use.
type watchedStore struct {
	*schema.DB
	lookUps, useWrites atomic.Int64

	mu     sync.Mutex
	before func(context.Context) error // a look-up
	after  func(context.Context) error
	uses   func() error // before uses are written
	usage  func() error // after requests are counted; set while nothing is flushed
}

func (s *watchedStore) AddKeyRequests(ctx context.Context, batch string, counted []schema.KeyRequests) error {
	err := s.DB.AddKeyRequests(ctx, batch, counted)
	if err == nil && s.usage != nil {
		return s.usage()
	}
	return err
}

func (s *watchedStore) hooks() (before, after func(context.Context) error, uses func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.before, s.after, s.uses
}

func (s *watchedStore) set(before, after func(context.Context) error, uses func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before, s.after, s.uses = before, after, uses
}

func (s *watchedStore) FindAPIKeys(ctx context.Context, hashes []schema.KeyHash) ([]schema.APIKey, error) {
	s.lookUps.Add(1)
	before, after, _ := s.hooks()
	if before != nil {
		if err := before(ctx); err != nil {
			return nil, err
		}
	}
	found, err := s.DB.FindAPIKeys(ctx, hashes)
	if after != nil {
		if err := after(ctx); err != nil {
			return nil, err
		}
	}
	return found, err
}

func (s *watchedStore) RecordKeyUses(ctx context.Context, uses []schema.KeyUse) error {
	if _, _, hook := s.hooks(); hook != nil {
		if err := hook(); err != nil {
			return err
		}
	}
	s.useWrites.Add(1)
	return s.DB.RecordKeyUses(ctx, uses)
}

// gate holds whatever passes through it until it is opened.
type gate struct {
	reached chan struct{} // gets an element for each that arrives
	open    chan struct{}
}

func newGate() *gate {
	return &gate{reached: make(chan struct{}, 1000), open: make(chan struct{})}
}

func (g *gate) pass(ctx context.Context) error {
	g.reached <- struct{}{}
	select {
	case <-g.open:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// joining is a context that says when somebody begins to wait on it.
type joining struct {
	context.Context
	joined chan<- struct{}
}

func (c joining) Done() <-chan struct{} {
	c.joined <- struct{}{}
	return c.Context.Done()
}

// fixture is an authenticator and a service over a database of the test's own.
type fixture struct {
	db      *schema.DB
	store   *watchedStore
	channel *apikey.LocalChannel
	clock   *schematest.Clock
	issuer  *people.Issuer
	auth    *apikey.Authenticator
	service *apikey.Service
	admin   *keys.Principal
}

func newFixture(t testing.TB, configure func(*apikey.AuthenticatorConfig)) *fixture {
	t.Helper()
	f := &fixture{
		db:      schematest.Open(t),
		channel: new(apikey.LocalChannel),
		clock:   schematest.NewClock(time.Now()),
		admin:   &keys.Principal{Kind: keys.CallerUser, OrgID: "org_a", UserID: "user_admin", Role: keys.RoleAdministrator},
	}
	f.store = &watchedStore{DB: f.db}
	issuer, err := people.OpenIssuer(t.TempDir(), f.clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	f.issuer = issuer
	f.auth = f.newAuthenticator(t, configure)
	f.service = apikey.NewService(apikey.ServiceConfig{DB: f.db, Channel: f.channel, Devices: ownedDevices{}, Now: f.clock.Now})
	return f
}

// newAuthenticator makes one more authenticator, as a restart or another node would.
func (f *fixture) newAuthenticator(t testing.TB, configure func(*apikey.AuthenticatorConfig)) *apikey.Authenticator {
	t.Helper()
	config := apikey.AuthenticatorConfig{
		Store: f.store, Users: f.issuer, Channel: f.channel, Now: f.clock.Now,
		UsesEvery: time.Hour, // tests write when they want to
		Logger:    slog.New(slog.DiscardHandler),
	}
	if configure != nil {
		configure(&config)
	}
	auth, err := apikey.NewAuthenticator(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := auth.Close(); err != nil {
			t.Errorf("close the authenticator: %v", err)
		}
	})
	return auth
}

// ownedDevices says that org_a owns one device.
type ownedDevices struct{}

var ownDevice = schema.NewID()

func (ownedDevices) OwnsDevice(orgID string, deviceID schema.ID) bool {
	return orgID == "org_a" && deviceID == ownDevice
}

// create makes a key that lasts a day.
func (f *fixture) create(t testing.TB, kind schema.KeyKind) (apikey.Record, []byte) {
	t.Helper()
	record, text, err := f.service.Create(t.Context(), f.admin, apikey.NewKey{Kind: kind, Name: "test", ExpiresAt: f.clock.Now().Add(24 * time.Hour)})
	if err != nil {
		t.Fatalf("create a key: %v", err)
	}
	return record, []byte(text)
}

func (f *fixture) revoke(t testing.TB, id schema.ID) apikey.Record {
	t.Helper()
	record, err := f.service.Revoke(t.Context(), f.admin, schema.KindAPIKey, id)
	if err != nil {
		t.Fatalf("revoke a key: %v", err)
	}
	return record
}

// list returns an organisation's keys, newest first.
func list(ctx context.Context, service *apikey.Service, orgID string, kind schema.KeyKind) ([]apikey.Record, error) {
	page, err := service.List(ctx, orgID, kind, apikey.ListQuery{Limit: apikey.MaxList})
	return page.Records, err
}

// listed returns a key's record as the list shows it.
func (f *fixture) listed(t testing.TB, id schema.ID) apikey.Record {
	t.Helper()
	all, err := list(t.Context(), f.service, "org_a", schema.KindAPIKey)
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(all, func(r apikey.Record) bool { return r.ID == id })
	if at < 0 {
		t.Fatalf("the key %s is not in the list", id)
	}
	return all[at]
}

// warm authenticates until the cache answers. Ristretto takes up records a little later than it is
// given them; each try costs a query, so that this does not spin.
func (f *fixture) warm(t testing.TB, text []byte) {
	t.Helper()
	for {
		before := f.store.lookUps.Load()
		if _, err := f.auth.Authenticate(t.Context(), text); errors.Is(err, schema.Unavailable) {
			t.Fatal(err)
		}
		if f.store.lookUps.Load() == before {
			return
		}
	}
}

// want authenticates and checks how that ends: nil for accepted.
func (f *fixture) want(t testing.TB, text []byte, want error) {
	t.Helper()
	if _, err := f.auth.Authenticate(t.Context(), text); !errors.Is(err, want) {
		t.Errorf("authenticate: got %v, want %v", err, want)
	}
}
