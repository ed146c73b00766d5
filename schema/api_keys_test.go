package schema_test

import (
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lastseen/schema"
	"lastseen/schema/schematest"
)

// aKey returns a record whose texts would break statements that values were pasted into.
func aKey(orgID, text string, createdAt time.Time) schema.APIKey {
	return schema.APIKey{
		Hash: sha256.Sum256([]byte(text)), ID: schema.NewID(), Kind: schema.KindAPIKey, OrgID: orgID,
		Name: `it's "a" \key\n {org:String} ключ 鍵 🔑`, Prefix: "ak_abcde", CreatedByUserID: "user_1",
		CreatedAt: createdAt, ExpiresAt: createdAt.Add(time.Hour),
	}
}

func insertKey(t *testing.T, db *schema.DB, key schema.APIKey) {
	t.Helper()
	if err := db.InsertAPIKey(t.Context(), key); err != nil {
		t.Fatal(err)
	}
}

// wantKey checks what both ways to find a key return.
func wantKey(t *testing.T, db *schema.DB, want schema.APIKey) {
	t.Helper()
	got, found, err := db.FindAPIKey(t.Context(), want.Hash)
	if err != nil || !found {
		t.Fatalf("find by hash: found %v, error %v", found, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("found by hash (- want, + got):\n%s", diff)
	}
	got, found, err = db.FindAPIKeyByID(t.Context(), want.OrgID, want.Kind, want.ID)
	if err != nil || !found {
		t.Fatalf("find by id: found %v, error %v", found, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("found by id (- want, + got):\n%s", diff)
	}
}

var keyBirth = time.Date(2026, 1, 15, 9, 30, 0, 123e6, time.UTC)

func TestAPIKeys(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	t.Run("come back as they were written", func(t *testing.T) {
		key := aKey("org_a", "as written", keyBirth)
		insertKey(t, db, key)
		wantKey(t, db, key)
		bound := aKey("org_a", "bound to a device", keyBirth)
		bound.Kind, bound.DeviceID = schema.KindDeviceCredential, schema.NewID()
		insertKey(t, db, bound)
		wantKey(t, db, bound)
	})
	t.Run("stay revoked whatever is written after", func(t *testing.T) {
		key := aKey("org_a", "revoked", keyBirth)
		insertKey(t, db, key)
		at := keyBirth.Add(time.Minute)
		for _, later := range []time.Duration{time.Second, 0, time.Hour} {
			if err := db.RevokeAPIKey(t.Context(), key.Hash, at.Add(later), "user_2"); err != nil {
				t.Fatal(err)
			}
		}
		used := at.Add(time.Hour)
		if err := db.RecordKeyUses(t.Context(), []schema.KeyUse{{Hash: key.Hash, At: used}, {Hash: key.Hash, At: at}}); err != nil {
			t.Fatal(err)
		}
		insertKey(t, db, key) // a retry that comes late
		key.RevokedAt, key.RevokedByUserID, key.LastUsedAt = at, "user_2", used
		wantKey(t, db, key)
	})
	t.Run("expire ever earlier", func(t *testing.T) {
		key := aKey("org_a", "ended", keyBirth)
		insertKey(t, db, key)
		for _, end := range []time.Duration{time.Minute, 2 * time.Hour, time.Second} {
			if err := db.ExpireAPIKey(t.Context(), key.Hash, keyBirth.Add(end)); err != nil {
				t.Fatal(err)
			}
		}
		key.ExpiresAt = keyBirth.Add(time.Second)
		wantKey(t, db, key)
	})
	t.Run("that nobody made are not found", func(t *testing.T) {
		hash := schema.KeyHash(sha256.Sum256([]byte("nobody's")))
		// Even when something is said about them.
		if err := db.RecordKeyUses(t.Context(), []schema.KeyUse{{Hash: hash, At: keyBirth}}); err != nil {
			t.Fatal(err)
		}
		if _, found, err := db.FindAPIKey(t.Context(), hash); found || err != nil {
			t.Errorf("found %v, error %v", found, err)
		}
	})
	t.Run("are not found by another organisation or as another kind", func(t *testing.T) {
		key := aKey("org_a", "mine", keyBirth)
		insertKey(t, db, key)
		if _, found, err := db.FindAPIKeyByID(t.Context(), "org_b", key.Kind, key.ID); found || err != nil {
			t.Errorf("another organisation: found %v, error %v", found, err)
		}
		if _, found, err := db.FindAPIKeyByID(t.Context(), "org_a", schema.KindDeviceCredential, key.ID); found || err != nil {
			t.Errorf("another kind: found %v, error %v", found, err)
		}
	})
	t.Run("are listed newest first, revoked ones included", func(t *testing.T) {
		var want []schema.APIKey
		for i := range 3 {
			key := aKey("org_list", fmt.Sprint("listed ", i), keyBirth.Add(time.Duration(-i)*time.Hour))
			insertKey(t, db, key)
			want = append(want, key)
		}
		if err := db.RevokeAPIKey(t.Context(), want[1].Hash, keyBirth, "user_3"); err != nil {
			t.Fatal(err)
		}
		want[1].RevokedAt, want[1].RevokedByUserID = keyBirth, "user_3"
		placed, err := db.ListAPIKeys(t.Context(), schema.KeyList{OrgID: "org_list", Kind: schema.KindAPIKey, Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		var got []schema.APIKey
		for _, key := range placed {
			got = append(got, key.APIKey)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the list (- want, + got):\n%s", diff)
		}
	})
	t.Run("have their uses recorded many at a time", func(t *testing.T) {
		key := aKey("org_a", "used", keyBirth)
		insertKey(t, db, key)
		uses := make([]schema.KeyUse, 5000)
		for i := range uses {
			uses[i] = schema.KeyUse{Hash: sha256.Sum256(fmt.Append(nil, "some key ", i)), At: keyBirth}
		}
		uses[len(uses)-1] = schema.KeyUse{Hash: key.Hash, At: keyBirth.Add(time.Minute)}
		if err := db.RecordKeyUses(t.Context(), uses); err != nil {
			t.Fatal(err)
		}
		key.LastUsedAt = keyBirth.Add(time.Minute)
		wantKey(t, db, key)
	})
}

func TestKeyEvents(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	var want []schema.KeyEvent
	for i := range 5 {
		event := schema.KeyEvent{
			ID: schema.NewID(), OrgID: "org_a", Kind: schema.KindAPIKey, KeyID: schema.NewID(), Name: "it's named",
			Prefix: "ak_abcde", Action: schema.KeyRevoked, UserID: "user_1", At: keyBirth.Add(time.Duration(-i) * time.Second),
		}
		want = append(want, event)
		foreign := event
		foreign.OrgID = "org_b"
		other := event
		other.Kind = schema.KindDeviceCredential
		for _, e := range []schema.KeyEvent{event, foreign, other, event} { // the first one twice
			if err := db.InsertKeyEvent(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, page := range map[string]struct{ limit, offset, from, to int }{
		"the first page":        {2, 0, 0, 2},
		"the last page":         {2, 4, 4, 5},
		"a page past the end":   {2, 6, 5, 5},
		"a page that holds all": {10, 0, 0, 5},
	} {
		t.Run(name, func(t *testing.T) {
			got, total, err := db.ListKeyEvents(t.Context(), "org_a", schema.KindAPIKey, page.limit, page.offset)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want[page.from:page.to], got); diff != "" {
				t.Errorf("the page (- want, + got):\n%s", diff)
			}
			if total != len(want) {
				t.Errorf("total %d, want %d", total, len(want))
			}
		})
	}
}

func TestFindAPIKeysFindsThoseThatExist(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	const n = 1000
	var records []schema.APIKey
	var hashes []schema.KeyHash
	for i := range n {
		hash := schema.KeyHash{byte(i), byte(i >> 8)}
		hashes = append(hashes, hash)
		if i%3 == 0 {
			records = append(records, schema.APIKey{Hash: hash, ID: schema.NewID(), Kind: schema.KindAPIKey, OrgID: "org_a",
				CreatedAt: time.UnixMilli(1_700_000_000_000).UTC(), ExpiresAt: time.UnixMilli(1_800_000_000_000).UTC()})
		}
	}
	if err := db.InsertAPIKeys(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	// The note of a use alone makes no key.
	if err := db.RecordKeyUses(t.Context(), []schema.KeyUse{{Hash: hashes[1], At: time.UnixMilli(1_750_000_000_000)}}); err != nil {
		t.Fatal(err)
	}
	found, err := db.FindAPIKeys(t.Context(), hashes)
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[schema.KeyHash]schema.APIKey)
	for _, record := range records {
		want[record.Hash] = record
	}
	got := make(map[schema.KeyHash]schema.APIKey)
	for _, record := range found {
		got[record.Hash] = record
	}
	if d := cmp.Diff(want, got); d != "" || len(found) != len(want) {
		t.Errorf("%d keys are found, want %d (-want +got):\n%s", len(found), len(want), d)
	}
	if none, err := db.FindAPIKeys(t.Context(), nil); err != nil || len(none) != 0 {
		t.Errorf("without a hash: %d keys, error %v", len(none), err)
	}
}
