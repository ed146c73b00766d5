package apikey_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lastseen/keys"
	"lastseen/keys/apikey"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

// wantInvalid checks that a request was refused for a field.
func wantInvalid(t *testing.T, err error, field string) {
	t.Helper()
	if schematest.InvalidField(err) != field || !strings.HasSuffix(err.Error(), ".") {
		t.Errorf("got %v, want schema.Invalid about %s with a sentence", err, field)
	}
}

func TestCreate(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	t.Run("returns the record and the text, and stores no more than its hash", func(t *testing.T) {
		expiresAt := f.clock.Now().AddDate(5, 0, 0)
		record, text, err := f.service.Create(t.Context(), f.admin, apikey.NewKey{Kind: schema.KindAPIKey, Name: "für Łódź 倉庫", ExpiresAt: expiresAt})
		if err != nil {
			t.Fatal(err)
		}
		want := apikey.Record{
			ID: record.ID, Kind: schema.KindAPIKey, OrgID: "org_a", Name: "für Łódź 倉庫", Prefix: text[:8],
			CreatedByUserID: "user_admin", CreatedAt: f.clock.Now(), ExpiresAt: expiresAt, Status: apikey.StatusActive,
		}
		if diff := cmp.Diff(want, record); diff != "" {
			t.Errorf("the record (- want, + got):\n%s", diff)
		}
		listed, err := list(t.Context(), f.service, "org_a", schema.KindAPIKey)
		if err != nil || len(listed) != 1 {
			t.Fatalf("%d keys are listed, error %v", len(listed), err)
		}
		if diff := cmp.Diff(want, listed[0]); diff != "" {
			t.Errorf("the listed record (- want, + got):\n%s", diff)
		}
	})
	t.Run("refuses what is not valid and writes nothing", func(t *testing.T) {
		now := f.clock.Now()
		good := apikey.NewKey{Kind: schema.KindDeviceCredential, Name: "good", ExpiresAt: now.Add(time.Hour)}
		for field, spoil := range map[string]func(*apikey.NewKey){
			"kind":                 func(k *apikey.NewKey) { k.Kind = "skeleton" },
			"name":                 func(k *apikey.NewKey) { k.Name = " " },
			"expires_at_timestamp": func(k *apikey.NewKey) { k.ExpiresAt = now },
			"device_id":            func(k *apikey.NewKey) { k.DeviceID = schema.NewID() },
		} {
			bad := good
			spoil(&bad)
			_, _, err := f.service.Create(t.Context(), f.admin, bad)
			wantInvalid(t, err, field)
		}
		tooLate := good
		tooLate.ExpiresAt = now.AddDate(5, 0, 0).Add(time.Millisecond)
		_, _, err := f.service.Create(t.Context(), f.admin, tooLate)
		wantInvalid(t, err, "expires_at_timestamp")
		bound := apikey.NewKey{Kind: schema.KindAPIKey, Name: "an API key bound to a device", ExpiresAt: good.ExpiresAt, DeviceID: ownDevice}
		_, _, err = f.service.Create(t.Context(), f.admin, bound)
		wantInvalid(t, err, "device_id")
		if listed, err := list(t.Context(), f.service, "org_a", schema.KindDeviceCredential); err != nil || len(listed) != 0 {
			t.Errorf("%d credentials are listed, error %v", len(listed), err)
		}
		if page, err := f.service.Events(t.Context(), "org_a", schema.KindDeviceCredential, 1, 10); err != nil || page.TotalCount != 0 {
			t.Errorf("%d events are listed, error %v", page.TotalCount, err)
		}
	})
}

func TestCheckName(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text string
		ok   bool
	}{
		"one letter":                     {"a", true},
		"letters of several scripts":     {"Zug Ωμέγα поезд 列車 ट्रेन קטר", true},
		"Persian with a joiner":          {"می\u200cخواهم", true},
		"an emoji with a joiner":         {"👩\u200d🔧", true},
		"markup":                         {`<b>"a" & 'b'</b>`, true},
		"a hundred letters":              {strings.Repeat("é", 100), true},
		"a hundred and one letters":      {strings.Repeat("é", 101), false},
		"nothing":                        {"", false},
		"spaces":                         {"  \u00a0\u3000 ", false},
		"joiners":                        {"\u200c\u200d", false},
		"a combining mark on nothing":    {"\u0301", false},
		"a line feed":                    {"a\nb", false},
		"a null":                         {"a\x00", false},
		"an escape":                      {"\x1b[31mred", false},
		"a mark that reverses the order": {"a\u202eb", false},
		"a zero-width space":             {"a\u200bb", false},
		"a line separator":               {"a\u2028b", false},
		"a private character":            {"a\ue000", false},
		"bytes that are no UTF-8":        {"a\xff", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := apikey.CheckName(test.text)
			if test.ok && err != nil {
				t.Errorf("%q is refused: %v", test.text, err)
			}
			if !test.ok {
				wantInvalid(t, err, "name")
			}
		})
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	t.Run("again gives the same answer, whoever asks", func(t *testing.T) {
		record, _ := f.create(t, schema.KindAPIKey)
		first := f.revoke(t, record.ID)
		record.Status, record.RevokedAt, record.RevokedByUserID = apikey.StatusRevoked, f.clock.Now(), "user_admin"
		if diff := cmp.Diff(record, first); diff != "" {
			t.Errorf("the answer (- want, + got):\n%s", diff)
		}
		f.clock.Advance(time.Hour)
		colleague := &keys.Principal{Kind: keys.CallerUser, OrgID: "org_a", UserID: "user_colleague", Role: keys.RoleOwner}
		again, err := f.service.Revoke(t.Context(), colleague, schema.KindAPIKey, record.ID)
		if diff := cmp.Diff(first, again); err != nil || diff != "" {
			t.Errorf("error %v; the second answer (- first, + second):\n%s", err, diff)
		}
	})
	t.Run("by several at once gives all the same answer", func(t *testing.T) {
		record, _ := f.create(t, schema.KindAPIKey)
		answers := make([]apikey.Record, 8)
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() {
				f.clock.Advance(time.Millisecond)
				actor := &keys.Principal{Kind: keys.CallerUser, OrgID: "org_a", UserID: "user_" + string(rune('a'+i)), Role: keys.RoleOwner}
				var err error
				if answers[i], err = f.service.Revoke(t.Context(), actor, schema.KindAPIKey, record.ID); err != nil {
					t.Errorf("revoke: %v", err)
				}
			})
		}
		all.Wait()
		for _, answer := range answers[1:] {
			if diff := cmp.Diff(answers[0], answer); diff != "" {
				t.Errorf("two answers (- one, + other):\n%s", diff)
			}
		}
	})
	t.Run("finds nothing of another organisation, of another kind, or that never was", func(t *testing.T) {
		record, text := f.create(t, schema.KindAPIKey)
		stranger := &keys.Principal{Kind: keys.CallerUser, OrgID: "org_b", UserID: "user_b", Role: keys.RoleOwner}
		for name, revoke := range map[string]func() (apikey.Record, error){
			"another organisation": func() (apikey.Record, error) {
				return f.service.Revoke(t.Context(), stranger, schema.KindAPIKey, record.ID)
			},
			"another kind": func() (apikey.Record, error) {
				return f.service.Revoke(t.Context(), f.admin, schema.KindDeviceCredential, record.ID)
			},
			"never was": func() (apikey.Record, error) {
				return f.service.Revoke(t.Context(), f.admin, schema.KindAPIKey, schema.NewID())
			},
		} {
			if got, err := revoke(); !errors.Is(err, schema.NotFound) || got.ID != (schema.ID{}) {
				t.Errorf("%s: got %+v, %v", name, got, err)
			}
		}
		f.want(t, text, nil)
	})
}

func TestRotate(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	rotate := func(id schema.ID, rotation apikey.Rotation) (apikey.Record, string, error) {
		return f.service.Rotate(t.Context(), f.admin, schema.KindAPIKey, id, rotation)
	}
	t.Run("leaves the old key good until the grace ends, in every cache", func(t *testing.T) {
		old, oldText := f.create(t, schema.KindAPIKey)
		f.warm(t, oldText)
		made, newText, err := rotate(old.ID, apikey.Rotation{Grace: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if made.ID == old.ID || made.Name != old.Name || !made.ExpiresAt.Equal(f.clock.Now().Add(24*time.Hour)) {
			t.Errorf("the new key is %+v", made)
		}
		f.want(t, oldText, nil)
		f.want(t, []byte(newText), nil)
		f.clock.Advance(time.Minute - time.Millisecond)
		f.want(t, oldText, nil)
		f.clock.Advance(time.Millisecond)
		f.want(t, oldText, schema.ExpiredCredential)
		f.want(t, []byte(newText), nil)
		restarted := f.newAuthenticator(t, nil)
		if _, err := restarted.Authenticate(t.Context(), oldText); !errors.Is(err, schema.ExpiredCredential) {
			t.Errorf("after a restart: %v", err)
		}
	})
	t.Run("without grace ends the old key at once, even during a look-up", func(t *testing.T) {
		old, oldText := f.create(t, schema.KindAPIKey)
		held := newGate()
		f.store.set(nil, held.pass, nil)
		var early sync.WaitGroup
		early.Go(func() { f.want(t, oldText, schema.ExpiredCredential) })
		<-held.reached
		if _, _, err := rotate(old.ID, apikey.Rotation{}); err != nil {
			t.Fatal(err)
		}
		f.store.set(nil, nil, nil)
		f.want(t, oldText, schema.ExpiredCredential)
		close(held.open)
		early.Wait()
		f.want(t, oldText, schema.ExpiredCredential)
	})
	t.Run("without grace ends the old key for good, though the clock is set back", func(t *testing.T) {
		old, oldText := f.create(t, schema.KindAPIKey)
		f.warm(t, oldText)
		f.clock.Advance(2 * time.Hour)
		if _, _, err := rotate(old.ID, apikey.Rotation{}); err != nil {
			t.Fatal(err)
		}
		f.clock.Advance(-time.Hour)
		defer f.clock.Advance(-time.Hour)
		f.want(t, oldText, schema.ExpiredCredential)
		restarted := f.newAuthenticator(t, nil)
		if _, err := restarted.Authenticate(t.Context(), oldText); !errors.Is(err, schema.ExpiredCredential) {
			t.Errorf("after a restart: %v", err)
		}
		if record := f.listed(t, old.ID); record.Status != apikey.StatusExpired || !record.RevokedAt.IsZero() || record.RevokedByUserID != "" {
			t.Errorf("the old key is listed as %+v", record)
		}
	})
	t.Run("makes one new key however many ask at once", func(t *testing.T) {
		old, _ := f.create(t, schema.KindAPIKey)
		before, err := list(t.Context(), f.service, "org_a", schema.KindAPIKey)
		if err != nil {
			t.Fatal(err)
		}
		var made, refused atomic.Int64
		var all sync.WaitGroup
		for range 12 {
			all.Go(func() {
				switch _, _, err := rotate(old.ID, apikey.Rotation{Grace: time.Hour}); {
				case err == nil:
					made.Add(1)
				case errors.Is(err, schema.Conflict):
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		after, err := list(t.Context(), f.service, "org_a", schema.KindAPIKey)
		if err != nil || made.Load() != 1 || refused.Load() != 11 || len(after) != len(before)+1 {
			t.Errorf("%d made, %d refused, %d more in the list, error %v", made.Load(), refused.Load(), len(after)-len(before), err)
		}
	})
	t.Run("never makes the old key last longer", func(t *testing.T) {
		short, _, err := f.service.Create(t.Context(), f.admin, apikey.NewKey{Kind: schema.KindAPIKey, Name: "short", ExpiresAt: f.clock.Now().Add(time.Second)})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := rotate(short.ID, apikey.Rotation{Grace: time.Hour}); err != nil {
			t.Fatal(err)
		}
		if record := f.listed(t, short.ID); !record.ExpiresAt.Equal(short.ExpiresAt) {
			t.Errorf("the old key expires at %v, want %v", record.ExpiresAt, short.ExpiresAt)
		}
	})
	t.Run("keeps a credential's device", func(t *testing.T) {
		bound, _, err := f.service.Create(t.Context(), f.admin, apikey.NewKey{
			Kind: schema.KindDeviceCredential, Name: "bound", ExpiresAt: f.clock.Now().Add(time.Hour), DeviceID: ownDevice,
		})
		if err != nil {
			t.Fatal(err)
		}
		made, text, err := f.service.Rotate(t.Context(), f.admin, schema.KindDeviceCredential, bound.ID, apikey.Rotation{Grace: time.Second})
		if err != nil || made.DeviceID != ownDevice || !strings.HasPrefix(text, "dk_") {
			t.Errorf("the new credential is %+v, error %v", made, err)
		}
	})
	t.Run("refuses what is not valid", func(t *testing.T) {
		old, oldText := f.create(t, schema.KindAPIKey)
		for _, grace := range []time.Duration{-time.Second, 7*24*time.Hour + time.Second} {
			_, _, err := rotate(old.ID, apikey.Rotation{Grace: grace})
			wantInvalid(t, err, "grace_seconds")
		}
		_, _, err := rotate(old.ID, apikey.Rotation{ExpiresAt: f.clock.Now()})
		wantInvalid(t, err, "expires_at_timestamp")
		if _, _, err := rotate(schema.NewID(), apikey.Rotation{}); !errors.Is(err, schema.NotFound) {
			t.Errorf("a key that never was: %v", err)
		}
		f.want(t, oldText, nil)
		f.revoke(t, old.ID)
		if _, _, err := rotate(old.ID, apikey.Rotation{}); !errors.Is(err, schema.Conflict) {
			t.Errorf("a revoked key: %v", err)
		}
	})
}

func TestEventsSayWhoDidWhat(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	old, _ := f.create(t, schema.KindAPIKey)
	f.create(t, schema.KindDeviceCredential) // listed apart
	f.clock.Advance(time.Second)
	made, _, err := f.service.Rotate(t.Context(), f.admin, schema.KindAPIKey, old.ID, apikey.Rotation{Grace: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	f.clock.Advance(time.Second)
	for range 2 {
		f.revoke(t, made.ID)
	}
	type line struct {
		action schema.KeyAction
		key    schema.ID
	}
	got := make(map[line]int)
	for page := 1; page <= 2; page++ {
		events, err := f.service.Events(t.Context(), "org_a", schema.KindAPIKey, page, 2)
		if err != nil || events.TotalCount != 4 || len(events.Events) != 2 {
			t.Fatalf("page %d: %d of %d events, error %v", page, len(events.Events), events.TotalCount, err)
		}
		for _, event := range events.Events {
			got[line{event.Action, event.KeyID}]++
			if event.UserID != "user_admin" || event.Name != "test" || !strings.HasPrefix(event.Prefix, "ak_") {
				t.Errorf("the event is %+v", event)
			}
		}
	}
	want := map[line]int{
		{schema.KeyCreated, old.ID}: 1, {schema.KeyRotated, old.ID}: 1, {schema.KeyCreated, made.ID}: 1, {schema.KeyRevoked, made.ID}: 1,
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(line{})); diff != "" {
		t.Errorf("the events (- want, + got):\n%s", diff)
	}
	_, err = f.service.Events(t.Context(), "org_a", schema.KindAPIKey, 0, 10)
	wantInvalid(t, err, "page")
	_, err = f.service.Events(t.Context(), "org_a", schema.KindAPIKey, 1, 1001)
	wantInvalid(t, err, "page_size")
}

func TestListIsConfinedToAnOrganisationAndShowsStates(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	active, _ := f.create(t, schema.KindAPIKey)
	revoked, _ := f.create(t, schema.KindAPIKey)
	f.revoke(t, revoked.ID)
	expired, _, err := f.service.Create(t.Context(), f.admin, apikey.NewKey{Kind: schema.KindAPIKey, Name: "short", ExpiresAt: f.clock.Now().Add(time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	f.clock.Advance(time.Second)
	listed, err := list(t.Context(), f.service, "org_a", schema.KindAPIKey)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[schema.ID]apikey.Status)
	for _, record := range listed {
		got[record.ID] = record.Status
	}
	want := map[schema.ID]apikey.Status{active.ID: apikey.StatusActive, revoked.ID: apikey.StatusRevoked, expired.ID: apikey.StatusExpired}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the states (- want, + got):\n%s", diff)
	}
	if listed, err := list(t.Context(), f.service, "org_b", schema.KindAPIKey); err != nil || listed == nil || len(listed) != 0 {
		t.Errorf("another organisation's list is %v, error %v", listed, err)
	}
}

// TestWithoutClickHouse checks that nothing claims success, and that no error quotes a key.
func TestWithoutClickHouse(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	channel := new(apikey.LocalChannel)
	service := apikey.NewService(apikey.ServiceConfig{DB: db, Channel: channel})
	admin := &keys.Principal{Kind: keys.CallerUser, OrgID: "org_a", UserID: "user_admin", Role: keys.RoleOwner}
	wanted := apikey.NewKey{Kind: schema.KindAPIKey, Name: "test", ExpiresAt: time.Now().Add(time.Hour)}
	record, _, err := service.Create(t.Context(), admin, wanted)
	if err != nil {
		t.Fatal(err)
	}
	channel.Subscribe(func(context.Context, apikey.Notice) error {
		t.Error("a change that failed was announced")
		return nil
	})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	secret := [32]byte{5, 5, 5}
	apikey.SetRandom(service, bytes.NewReader(secret[:]))
	_, _, err = service.Create(t.Context(), admin, wanted)
	wantUnavailable(t, "create", err)
	if text := apikey.FormatKey(schema.KindAPIKey, secret); err == nil || strings.Contains(err.Error(), string(text[10:])) {
		t.Errorf("the error quotes the key: %v", err)
	}
	_, err = service.Revoke(t.Context(), admin, schema.KindAPIKey, record.ID)
	wantUnavailable(t, "revoke", err)
	_, _, err = service.Rotate(t.Context(), admin, schema.KindAPIKey, record.ID, apikey.Rotation{})
	wantUnavailable(t, "rotate", err)
	_, err = list(t.Context(), service, "org_a", schema.KindAPIKey)
	wantUnavailable(t, "list", err)
	_, err = service.Events(t.Context(), "org_a", schema.KindAPIKey, 1, 1)
	wantUnavailable(t, "events", err)
}

func wantUnavailable(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, schema.Unavailable) {
		t.Errorf("%s: got %v, want ErrUnavailable", what, err)
	}
}

func TestALostRevocationIsWrittenAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	if schematest.Layout() == schematest.Sharded {
		t.Skip("no row can be taken out of a Distributed table")
	}
	lost, lostText := f.create(t, schema.KindAPIKey)
	_, good := f.create(t, schema.KindAPIKey)
	f.revoke(t, lost.ID)
	schematest.Exec(t, f.db, "ALTER TABLE api_keys DELETE WHERE revoked_by_user_id != '' SETTINGS mutations_sync = 2")
	restarted := f.newAuthenticator(t, nil)
	if _, err := restarted.Authenticate(t.Context(), lostText); err != nil {
		t.Fatalf("the loss has no effect: %v", err)
	}
	for _, want := range []int{1, 0} {
		if n, err := f.service.RepairRevocations(t.Context()); n != want || err != nil {
			t.Errorf("%d keys were revoked again, error %v, want %d", n, err, want)
		}
		if _, err := restarted.Authenticate(t.Context(), lostText); !errors.Is(err, schema.RevokedCredential) {
			t.Errorf("the revoked key: %v", err)
		}
	}
	f.want(t, good, nil)
}
