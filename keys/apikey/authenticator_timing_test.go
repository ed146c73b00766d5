package apikey_test

import (
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/keys/apikey"
	"lastseen/keys/people"
	"lastseen/schema"
)

// BenchmarkAuthenticate measures what every request pays for telling who is calling.
func BenchmarkAuthenticate(b *testing.B) {
	f := newFixture(b, func(c *apikey.AuthenticatorConfig) { c.Now = time.Now })
	_, good := f.create(b, schema.KindAPIKey)
	revoked, revokedText := f.create(b, schema.KindAPIKey)
	f.revoke(b, revoked.ID)
	unknown := apikey.FormatKey(schema.KindAPIKey, [32]byte{42})
	mistyped := append([]byte(nil), good...)
	mistyped[10] ^= 1
	token, err := f.issuer.Sign(people.User{ID: "user_1", OrgID: "org_a", Role: keys.RoleOperator}, time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	for _, test := range []struct {
		name       string
		credential []byte
	}{
		{"a key", good},
		{"a revoked key", revokedText},
		{"a key that does not exist", unknown},
		{"a mistyped key", mistyped},
		{"a user token", []byte(token)},
	} {
		b.Run(test.name, func(b *testing.B) {
			f.warm(b, test.credential)
			b.SetBytes(int64(len(test.credential)))
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					f.auth.Authenticate(b.Context(), test.credential)
				}
			})
		})
	}
}
