package schema_test

import (
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"lastseen/schema"
	"lastseen/schema/schematest"
)

// BenchmarkOneOrganisationsKeys asks for the keys of an organisation that has ten, alone and among 100,000 of others.
func BenchmarkOneOrganisationsKeys(b *testing.B) {
	db := schematest.Open(b)
	now := time.Now().Truncate(time.Millisecond)
	make := func(org string, n int) (keys []schema.APIKey) {
		for i := range n {
			keys = append(keys, schema.APIKey{
				Hash: sha256.Sum256(fmt.Append(nil, org, i)), ID: schema.NewID(), Kind: schema.KindAPIKey, OrgID: org, Name: fmt.Sprint("key ", i),
				Prefix: "ak_abcde", CreatedByUserID: "user_1", CreatedAt: now, ExpiresAt: now.Add(time.Hour),
			})
		}
		return keys
	}
	own := make("org_own", 10)
	if err := db.InsertAPIKeys(b.Context(), own); err != nil {
		b.Fatal(err)
	}
	list := schema.KeyList{OrgID: "org_own", Kind: schema.KindAPIKey, Now: now, Limit: 1000}
	for _, others := range []int{0, 100_000} {
		if err := db.InsertAPIKeys(b.Context(), make("org_other", others)); err != nil {
			b.Fatal(err)
		}
		for name, ask := range map[string]func() error{
			"find": func() error {
				_, _, err := db.FindAPIKeyByID(b.Context(), "org_own", schema.KindAPIKey, own[3].ID)
				return err
			},
			"list":   func() error { _, err := db.ListAPIKeys(b.Context(), list); return err },
			"count":  func() error { _, err := db.CountAPIKeys(b.Context(), list); return err },
			"revoke": func() error { return db.RevokeAPIKey(b.Context(), own[0].Hash, now, "user_1") },
		} {
			b.Run(fmt.Sprintf("%s/%d others", name, others), func(b *testing.B) {
				for b.Loop() {
					if err := ask(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
