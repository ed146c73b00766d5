package apikey_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/keys/apikey"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

// names follows a list's cursors in pages of a size and returns the names of the keys on them.
func (f *fixture) names(t *testing.T, q apikey.ListQuery) (all []string) {
	t.Helper()
	for first := true; first || q.Cursor != ""; first = false {
		page, err := f.service.List(t.Context(), "org_a", schema.KindAPIKey, q)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Records) > q.Limit || len(page.Records) < q.Limit && page.NextCursor != "" {
			t.Fatalf("a page of %d has %d keys and the cursor %q", q.Limit, len(page.Records), page.NextCursor)
		}
		for _, record := range page.Records {
			all = append(all, record.Name)
		}
		q.Cursor = page.NextCursor
	}
	return all
}

// listedKeys makes keys in all states, each a second after the one before, and others that no list of org_a's may hold.
func listedKeys(t *testing.T, f *fixture) {
	t.Helper()
	foreign := &keys.Principal{Kind: keys.CallerUser, OrgID: "org_b", UserID: "user_admin", Role: keys.RoleAdministrator}
	for i, name := range []string{"beta", "Alpha", "ärger", "used", "revoked", "expired", "soon"} {
		life := time.Duration(i+10) * 24 * time.Hour
		if name == "soon" {
			life = 3 * 24 * time.Hour
		} else if name == "expired" {
			life = time.Hour
		}
		record, text, err := f.service.Create(t.Context(), f.admin, apikey.NewKey{Kind: schema.KindAPIKey, Name: name, ExpiresAt: f.clock.Now().Add(life)})
		if err != nil {
			t.Fatal(err)
		}
		if name == "used" {
			f.want(t, []byte(text), nil)
			if err := f.auth.FlushUses(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if name == "revoked" {
			f.revoke(t, record.ID)
		}
		f.clock.Advance(time.Second)
	}
	if _, _, err := f.service.Create(t.Context(), foreign, apikey.NewKey{Kind: schema.KindAPIKey, Name: "foreign", ExpiresAt: f.clock.Now().Add(24 * time.Hour)}); err != nil {
		t.Fatal(err)
	}
	f.create(t, schema.KindDeviceCredential)
	f.clock.Advance(2 * time.Hour)
}

func TestAListIsSearchedFilteredSortedAndPaged(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	listedKeys(t, f)
	for _, c := range []struct {
		name  string
		query apikey.ListQuery
		want  []string
	}{
		{"newest first", apikey.ListQuery{}, []string{"soon", "expired", "revoked", "used", "ärger", "Alpha", "beta"}},
		{"by name", apikey.ListQuery{Sort: schema.KeysByName}, []string{"Alpha", "beta", "expired", "revoked", "soon", "used", "ärger"}},
		{"by expiry", apikey.ListQuery{Sort: schema.KeysByExpiry}, []string{"expired", "soon", "beta", "Alpha", "ärger", "used", "revoked"}},
		{"by use", apikey.ListQuery{Sort: schema.KeysByUse}, nil},
		{"active", apikey.ListQuery{Filter: schema.KeysActive}, []string{"soon", "used", "ärger", "Alpha", "beta"}},
		{"expired", apikey.ListQuery{Filter: schema.KeysExpired}, []string{"expired"}},
		{"revoked", apikey.ListQuery{Filter: schema.KeysRevoked}, []string{"revoked"}},
		{"ended", apikey.ListQuery{Filter: schema.KeysEnded}, []string{"expired", "revoked"}},
		{"expiring", apikey.ListQuery{Filter: schema.KeysExpiring}, []string{"soon"}},
		{"unused", apikey.ListQuery{Filter: schema.KeysUnused}, []string{"soon", "ärger", "Alpha", "beta"}},
		{"search", apikey.ListQuery{Search: "ÄRG"}, []string{"ärger"}},
		{"search for nothing that is there", apikey.ListQuery{Search: "foreign"}, nil},
		{"search in what is active", apikey.ListQuery{Search: "user_ADMIN", Filter: schema.KeysRevoked}, []string{"revoked"}},
	} {
		for _, size := range []int{1, 3, 1000} {
			c.query.Limit = size
			got := f.names(t, c.query)
			if c.name == "by use" {
				if len(got) != 7 || got[0] != "used" {
					t.Errorf("%s, %d a page: %q", c.name, size, got)
				}
				continue
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s, %d a page: %q, want %q", c.name, size, got, c.want)
			}
		}
	}
	page, err := f.service.List(t.Context(), "org_a", schema.KindAPIKey, apikey.ListQuery{Limit: 2, Filter: schema.KeysActive})
	if err != nil || page.TotalCount != 5 {
		t.Errorf("%d in all, error %v", page.TotalCount, err)
	}
}

func TestACursorIsGoodForItsListAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	for range 3 {
		f.create(t, schema.KindAPIKey)
	}
	query := apikey.ListQuery{Limit: 1, Search: "e", Filter: schema.KeysActive}
	page, err := f.service.List(t.Context(), "org_a", schema.KindAPIKey, query)
	if err != nil || page.NextCursor == "" {
		t.Fatalf("cursor %q, error %v", page.NextCursor, err)
	}
	changed := []byte(page.NextCursor)
	changed[len(changed)/2] ^= 1
	for name, ask := range map[string]func() error{
		"changed":                 func() error { return f.listWith(t, "org_a", schema.KindAPIKey, query, string(changed)) },
		"cut":                     func() error { return f.listWith(t, "org_a", schema.KindAPIKey, query, page.NextCursor[:20]) },
		"made up":                 func() error { return f.listWith(t, "org_a", schema.KindAPIKey, query, "AQAAAA") },
		"long":                    func() error { return f.listWith(t, "org_a", schema.KindAPIKey, query, strings.Repeat("A", 1<<16)) },
		"of another organisation": func() error { return f.listWith(t, "org_b", schema.KindAPIKey, query, page.NextCursor) },
		"of another kind":         func() error { return f.listWith(t, "org_a", schema.KindDeviceCredential, query, page.NextCursor) },
		"of another sort": func() error {
			return f.listWith(t, "org_a", schema.KindAPIKey, apikey.ListQuery{Limit: 1, Search: "e", Filter: schema.KeysActive, Sort: schema.KeysByName}, page.NextCursor)
		},
		"of another filter": func() error {
			return f.listWith(t, "org_a", schema.KindAPIKey, apikey.ListQuery{Limit: 1, Search: "e"}, page.NextCursor)
		},
		"of another search": func() error {
			return f.listWith(t, "org_a", schema.KindAPIKey, apikey.ListQuery{Limit: 1, Filter: schema.KeysActive}, page.NextCursor)
		},
	} {
		if err := ask(); schematest.InvalidField(err) != "cursor" {
			t.Errorf("%s: %v", name, err)
		}
	}
	query.Limit = 5 // may be another from page to page
	if err := f.listWith(t, "org_a", schema.KindAPIKey, query, page.NextCursor); err != nil {
		t.Error(err)
	}
	for field, bad := range map[string]apikey.ListQuery{"limit": {Limit: 1001}, "search": {Limit: 1, Search: strings.Repeat("x", 201)}} {
		_, err := f.service.List(t.Context(), "org_a", schema.KindAPIKey, bad)
		wantInvalid(t, err, field)
	}
}

func (f *fixture) listWith(t *testing.T, orgID string, kind schema.KeyKind, q apikey.ListQuery, cursor string) error {
	t.Helper()
	q.Cursor = cursor
	_, err := f.service.List(t.Context(), orgID, kind, q)
	return err
}

func TestAnOrganisationHasAsManyGoodKeysAsItMay(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	service := apikey.NewService(apikey.ServiceConfig{DB: f.db, Channel: f.channel, Now: f.clock.Now, MaxKeys: 2})
	made := make([]apikey.Record, 0, 3)
	create := func(orgID string, kind schema.KeyKind) error {
		actor := *f.admin
		actor.OrgID = orgID
		record, _, err := service.Create(t.Context(), &actor, apikey.NewKey{Kind: kind, Name: "counted", ExpiresAt: f.clock.Now().Add(time.Hour)})
		if err == nil {
			made = append(made, record)
		}
		return err
	}
	for range 2 {
		if err := create("org_a", schema.KindAPIKey); err != nil {
			t.Fatal(err)
		}
	}
	if err := create("org_a", schema.KindAPIKey); !errors.Is(err, schema.Conflict) || !strings.Contains(fmt.Sprint(err), "has 2 that are good") {
		t.Errorf("a third: %v", err)
	}
	for name, err := range map[string]error{
		"another kind": create("org_a", schema.KindDeviceCredential), "another organisation": create("org_b", schema.KindAPIKey),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := service.Rotate(t.Context(), f.admin, schema.KindAPIKey, made[0].ID, apikey.Rotation{Grace: time.Minute}); err != nil {
		t.Errorf("a rotation: %v", err)
	}
	if err := create("org_a", schema.KindAPIKey); !errors.Is(err, schema.Conflict) {
		t.Errorf("while the rotated key is good: %v", err)
	}
	f.clock.Advance(2 * time.Minute)
	if _, err := service.Revoke(t.Context(), f.admin, schema.KindAPIKey, made[1].ID); err != nil {
		t.Fatal(err)
	}
	if err := create("org_a", schema.KindAPIKey); err != nil {
		t.Errorf("after a revocation: %v", err)
	}
}
