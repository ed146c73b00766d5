package apikey_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/keys/apikey"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

// TestARequestMakesOneKey: sent again within a day, at once or after a restart, it makes no second one.
func TestARequestMakesOneKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	create := func(service *apikey.Service, orgID, request string) (apikey.Record, error) {
		actor := &keys.Principal{Kind: keys.CallerUser, OrgID: orgID, UserID: "user_admin", Role: keys.RoleAdministrator}
		record, _, err := service.Create(t.Context(), actor, apikey.NewKey{
			Kind: schema.KindAPIKey, Name: "once", ExpiresAt: f.clock.Now().Add(100 * time.Hour), Request: request,
		})
		return record, err
	}
	var made, refused atomic.Int64
	var first atomic.Pointer[apikey.Record]
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			record, err := create(f.service, "org_a", "request 1")
			switch {
			case err == nil:
				made.Add(1)
				first.Store(&record)
			case errors.Is(err, schema.Conflict):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if made.Load() != 1 || refused.Load() != 7 {
		t.Fatalf("%d were made and %d refused", made.Load(), refused.Load())
	}
	restarted := apikey.NewService(apikey.ServiceConfig{DB: f.db, Channel: f.channel, Now: f.clock.Now})
	_, err := create(restarted, "org_a", "request 1")
	if e, says := errors.AsType[*schema.Error](err); !says || e.Code != schema.Conflict || e.Existing != first.Load().ID || !strings.Contains(e.Sentence, first.Load().ID.String()) {
		t.Errorf("after a restart: %v, want one that names %s", err, first.Load().ID)
	}
	for name, again := range map[string][2]string{"another request": {"org_a", "request 2"}, "another organisation": {"org_b", "request 1"}} {
		if _, err := create(f.service, again[0], again[1]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	f.clock.Advance(apikey.RequestsKept)
	if _, err := create(f.service, "org_a", "request 1"); err != nil {
		t.Errorf("after a day: %v", err)
	}
	for name, want := range map[string]bool{"": false, "a": true, strings.Repeat("x", 255): true, strings.Repeat("x", 256): false, "ü": false, "a\tb": false} {
		if apikey.CheckRequest(name) != want {
			t.Errorf("the name %q is accepted: %t", name, !want)
		}
	}
}

// TestWhatACreationLeftHalfDoneIsDead: the record of a key whose creation failed may appear later, when the request was
// sent again.
func TestWhatACreationLeftHalfDoneIsDead(t *testing.T) {
	t.Parallel()
	if schematest.Layout() == schematest.Sharded {
		t.Skip("no row can be taken out of a Distributed table")
	}
	f := newFixture(t, nil)
	wanted := apikey.NewKey{Kind: schema.KindAPIKey, Name: "half", ExpiresAt: f.clock.Now().Add(time.Hour), Request: "again"}
	_, lost, err := f.service.Create(t.Context(), f.admin, wanted)
	if err != nil {
		t.Fatal(err)
	}
	schematest.Exec(t, f.db, "CREATE TABLE kept AS api_keys ENGINE = Memory")
	schematest.Exec(t, f.db, "INSERT INTO kept SELECT * FROM api_keys")
	schematest.Exec(t, f.db, "ALTER TABLE api_keys DELETE WHERE 1 SETTINGS mutations_sync = 2")
	_, text, err := f.service.Create(t.Context(), f.admin, wanted)
	if err != nil {
		t.Fatalf("the request, sent again: %v", err)
	}
	schematest.Exec(t, f.db, "INSERT INTO api_keys SELECT * FROM kept")
	restarted := f.newAuthenticator(t, nil)
	if _, err := restarted.Authenticate(t.Context(), []byte(lost)); !errors.Is(err, schema.RevokedCredential) {
		t.Errorf("what appeared later: %v", err)
	}
	if _, err := restarted.Authenticate(t.Context(), []byte(text)); err != nil {
		t.Errorf("what was made: %v", err)
	}
	if _, _, err := f.service.Create(t.Context(), f.admin, wanted); !errors.Is(err, schema.Conflict) {
		t.Errorf("once more: %v", err)
	}
}
