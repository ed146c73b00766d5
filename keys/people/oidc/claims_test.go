package oidc_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lastseen/keys"
	"lastseen/keys/people"
	"lastseen/keys/people/oidc"
)

func TestClaimsTellPeopleAndRoles(t *testing.T) {
	t.Parallel()
	one := func(org string, role keys.Role) []people.Membership {
		return []people.Membership{{OrgID: org, Role: role}}
	}
	for name, c := range map[string]struct {
		names  oidc.ClaimNames
		claims string
		want   []people.Membership
	}{
		"the usual":                 {oidc.ClaimNames{}, `{"sub":"u","org_id":"org_a","org_role":"operator"}`, one("org_a", keys.RoleOperator)},
		"the alias admin":           {oidc.ClaimNames{}, `{"sub":"u","org_id":"org_a","org_role":"admin"}`, one("org_a", keys.RoleAdministrator)},
		"the alias member":          {oidc.ClaimNames{}, `{"sub":"u","org_id":"org_a","org_role":"member"}`, one("org_a", keys.RoleDriver)},
		"a role after org:":         {oidc.ClaimNames{}, `{"sub":"u","org_id":"org_a","org_role":"org:admin"}`, one("org_a", keys.RoleAdministrator)},
		"the highest of roles":      {oidc.ClaimNames{}, `{"sub":"u","org_id":"org_a","org_role":["member","x","owner","operator"]}`, one("org_a", keys.RoleOwner)},
		"names with dots in them":   {oidc.ClaimNames{Org: "https://id.example/org"}, `{"sub":"u","https://id.example/org":"org_a","org_role":"owner"}`, one("org_a", keys.RoleOwner)},
		"claims inside objects":     {oidc.ClaimNames{Org: "o.id", Role: "o.rol"}, `{"sub":"u","o":{"id":"org_a","rol":"admin"}}`, one("org_a", keys.RoleAdministrator)},
		"another user claim":        {oidc.ClaimNames{User: "uid"}, `{"sub":"x y","uid":"u","org_id":"org_a","org_role":"owner"}`, one("org_a", keys.RoleOwner)},
		"a claim that is no object": {oidc.ClaimNames{Org: "o.id"}, `{"sub":"u","o":"org_a","org_role":"owner"}`, nil},
		"memberships by organisation": {oidc.ClaimNames{Memberships: "orgs"}, `{"sub":"u","org_id":"org_b","org_role":"owner","orgs":{"org_c":"member","org_a":["operator"],"org_b":"driver","org_d":"?"}}`,
			[]people.Membership{{OrgID: "org_b", Role: keys.RoleOwner}, {OrgID: "org_a", Role: keys.RoleOperator}, {OrgID: "org_c", Role: keys.RoleDriver}}},
		"memberships in a list":               {oidc.ClaimNames{Memberships: "orgs"}, `{"sub":"u","orgs":[{"org_id":"org_b","org_role":"owner"},{"org_id":"org_a"},{"org_role":"owner"}]}`, one("org_b", keys.RoleOwner)},
		"memberships that were not asked for": {oidc.ClaimNames{}, `{"sub":"u","memberships":{"org_c":"owner"},"orgs":{"org_c":"owner"}}`, nil},
	} {
		person, err := oidc.PersonOf(c.names, []byte(c.claims))
		if diff := cmp.Diff(c.want, person.Memberships); diff != "" || (err == nil) != (c.want != nil) || err == nil && person.UserID != "u" {
			t.Errorf("%s: %q, %v, %s", name, person.UserID, err, diff)
		}
	}
}

// FuzzPerson: whatever claims say, a person comes out with an id and roles that the claims hold, or nobody.
func FuzzPerson(f *testing.F) {
	f.Add(`{"sub":"u","org_id":"org_a","org_role":"owner","orgs":{"org_b":["admin"]}}`)
	f.Add(`{"sub":"u","o":{"id":"org_a"},"org_role":[1,"owner"],"orgs":[{"org_id":"org_b","org_role":"x"}]}`)
	f.Add(`{"sub":"\u0000","org_id":"org_\n"}`)
	f.Fuzz(func(t *testing.T, claims string) {
		person, err := oidc.PersonOf(oidc.ClaimNames{Memberships: "orgs"}, []byte(claims))
		if err != nil {
			if person.UserID != "" || person.Memberships != nil {
				t.Fatalf("%v comes with %+v", err, person)
			}
			return
		}
		var said any
		if err := json.Unmarshal([]byte(claims), &said); err != nil {
			t.Fatalf("claims that cannot be read give %+v", person)
		}
		// Read and written again, texts stand unescaped, so that what came out can be found.
		var text bytes.Buffer
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(said); err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, m := range person.Memberships {
			encoded, _ := json.Marshal(m.OrgID)
			plain := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(encoded))
			if seen[m.OrgID] || !strings.HasPrefix(m.OrgID, "org_") || !strings.Contains(text.String(), plain) || m.Role < keys.RoleDriver || m.Role > keys.RoleOwner {
				t.Fatalf("%s gives %+v", claims, person)
			}
			seen[m.OrgID] = true
		}
		if len(person.Memberships) == 0 || person.UserID == "" || len(person.UserID) > 255 {
			t.Fatalf("%s gives %+v", claims, person)
		}
	})
}

// FuzzProviderKeys: what is read of a key set is public, asymmetric, and reads the same again.
func FuzzProviderKeys(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","kid":"a","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"b"},{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},{"kty":"?"},7]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		keySet, err := oidc.ParseProviderKeys(body)
		if (err == nil) != (len(keySet) > 0) {
			t.Fatalf("%d keys and %v", len(keySet), err)
		}
		for _, key := range keySet {
			var parts map[string]any
			if err := json.Unmarshal(key, &parts); err != nil {
				t.Fatal(err)
			}
			if parts["kty"] == "oct" || parts["d"] != nil || parts["k"] != nil || parts["use"] != nil && parts["use"] != "sig" {
				t.Fatalf("a key came through that is no public key for signatures: %s", key)
			}
			again, err := oidc.ParseProviderKeys([]byte(`{"keys":[` + string(key) + `]}`))
			if err != nil || !cmp.Equal(again, [][]byte{key}) {
				t.Fatalf("%s reads as %s, %v", key, again, err)
			}
		}
	})
}
