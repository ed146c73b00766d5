package oidc_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"lastseen/keys"
	"lastseen/keys/people"
	"lastseen/keys/people/oidc"
	"lastseen/keys/people/oidc/oidctest"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

const redirectURI = "http://127.0.0.1:9/auth/callback"

var (
	ana = oidctest.User{ID: "user_ana", Name: "ana", Claims: map[string]any{"org_id": "org_a", "org_role": "admin"}}
	bob = oidctest.User{ID: "user_bob", Name: "bob"}
	eve = oidctest.User{ID: "user_eve", Name: "eve", OnlyUserInfo: true, Claims: map[string]any{"org_id": "org_e", "org_role": "member"}}
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// newProvider runs a provider and returns it with what verifies its tokens, on a clock of its own.
func newProvider(t *testing.T, change func(*oidc.Config)) (*oidctest.Provider, *oidc.Provider, *schematest.Clock) {
	t.Helper()
	at, now := oidctest.Start(t, redirectURI, ana, bob, eve), schematest.NewClock(time.Now())
	config := oidc.Config{
		IssuerURL: at.URL, ClientID: oidctest.ClientID, ClientSecret: oidctest.ClientSecret, RedirectURL: redirectURI,
		Now: now.Now, Logger: quiet(),
	}
	if change != nil {
		change(&config)
	}
	provider, err := oidc.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(provider.Close)
	return at, provider, now
}

// goodClaims are those of a token that is accepted.
func goodClaims(at *oidctest.Provider, now time.Time) map[string]any {
	return map[string]any{
		"iss": at.URL, "aud": oidctest.ClientID, "sub": "user_ana", "org_id": "org_a", "org_role": "owner",
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
}

func with(claims map[string]any, changes map[string]any) map[string]any {
	changed := maps.Clone(claims)
	for name, value := range changes {
		if changed[name] = value; value == nil {
			delete(changed, name)
		}
	}
	return changed
}

func TestIdentityProviderSignsPeopleIn(t *testing.T) {
	t.Parallel()
	at, provider, _ := newProvider(t, nil)
	flow := people.Flow{State: "the state", Nonce: "the nonce", Verifier: strings.Repeat("v", 50)}
	begin := func(t *testing.T, userName string) oidc.Callback {
		t.Helper()
		address, err := provider.AuthCodeURL(t.Context(), flow)
		if err != nil {
			t.Fatal(err)
		}
		back := at.SignIn(t, address, userName)
		if back.Get("state") != flow.State {
			t.Fatalf("the provider sent the state %q back", back.Get("state"))
		}
		return oidc.Callback{Code: back.Get("code"), Issuer: back.Get("iss")}
	}

	t.Run("with the claims of the ID token", func(t *testing.T) {
		got, err := provider.Exchange(t.Context(), flow, begin(t, "ana"))
		want := people.Person{UserID: "user_ana", Memberships: []people.Membership{{OrgID: "org_a", Role: keys.RoleAdministrator}}}
		if err != nil || !cmp.Equal(got, want) {
			t.Fatalf("got %+v, %v, want %+v", got, err, want)
		}
	})
	t.Run("with the claims of userinfo when the ID token has none", func(t *testing.T) {
		got, err := provider.Exchange(t.Context(), flow, begin(t, "eve"))
		want := people.Person{UserID: "user_eve", Memberships: []people.Membership{{OrgID: "org_e", Role: keys.RoleDriver}}}
		if err != nil || !cmp.Equal(got, want) {
			t.Fatalf("got %+v, %v, want %+v", got, err, want)
		}
	})
	t.Run("but not without an organisation", func(t *testing.T) {
		if _, err := provider.Exchange(t.Context(), flow, begin(t, "bob")); !errors.Is(err, people.ErrNoOrganisation) {
			t.Fatalf("got %v, want ErrNoOrganisation", err)
		}
	})
	t.Run("nor with a code that was redeemed", func(t *testing.T) {
		callback := begin(t, "ana")
		if _, err := provider.Exchange(t.Context(), flow, callback); err != nil {
			t.Fatal(err)
		}
		if _, err := provider.Exchange(t.Context(), flow, callback); !errors.Is(err, schema.InvalidCredential) {
			t.Fatalf("got %v, want ErrInvalid", err)
		}
	})
	for name, other := range map[string]func(*people.Flow, *oidc.Callback){
		"nor with another nonce":         func(f *people.Flow, _ *oidc.Callback) { f.Nonce = "another" },
		"nor with another PKCE verifier": func(f *people.Flow, _ *oidc.Callback) { f.Verifier = strings.Repeat("w", 50) },
		"nor with another provider's":    func(_ *people.Flow, c *oidc.Callback) { c.Issuer = "https://elsewhere.example" },
		"nor with a made-up code":        func(_ *people.Flow, c *oidc.Callback) { c.Code = "made-up" },
	} {
		t.Run(name, func(t *testing.T) {
			flow, callback := flow, begin(t, "ana")
			other(&flow, &callback)
			if _, err := provider.Exchange(t.Context(), flow, callback); !errors.Is(err, schema.InvalidCredential) {
				t.Fatalf("got %v, want ErrInvalid", err)
			}
		})
	}
	t.Run("and says so when the provider is down", func(t *testing.T) {
		callback := begin(t, "ana")
		at.Gate(oidctest.Down)
		defer at.Gate(nil)
		if _, err := provider.Exchange(t.Context(), flow, callback); !errors.Is(err, schema.Unavailable) || errors.Is(err, schema.InvalidCredential) {
			t.Fatalf("got %v, want ErrUnavailable", err)
		}
	})
}

func TestIdentityProviderVerifiesBearerTokens(t *testing.T) {
	t.Parallel()
	at, provider, now := newProvider(t, nil)
	issuer, err := people.OpenIssuer(t.TempDir(), now.Now)
	if err != nil {
		t.Fatal(err)
	}
	users := oidc.Users{Local: issuer, Provider: provider}

	token := at.Sign(t, goodClaims(at, now.Now()))
	got, err := users.Verify(t.Context(), []byte(token))
	want := &keys.Principal{
		Kind: keys.CallerUser, OrgID: "org_a", UserID: "user_ana", Role: keys.RoleOwner,
		ExpiresAt: now.Now().Add(time.Hour).Truncate(time.Second),
	}
	if err != nil || !cmp.Equal(got, want) {
		t.Fatalf("got %+v, %v, want %+v", got, err, want)
	}
	local, err := issuer.Sign(people.User{ID: "user_l", OrgID: "org_l", Role: keys.RoleDriver}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := users.Verify(t.Context(), []byte(local)); err != nil || got.UserID != "user_l" {
		t.Errorf("a token of the local issuer gives %+v, %v", got, err)
	}
}

// asPEM is what an attacker who has the published key would sign with, hoping to be checked with it.
func asPEM(t *testing.T, key *rsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// unsigned is a token with a header of one's own and any signature.
func unsigned(t *testing.T, header, claims map[string]any, signature string) string {
	t.Helper()
	part := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	return part(header) + "." + part(claims) + "." + base64.RawURLEncoding.EncodeToString([]byte(signature))
}

func TestIdentityProviderRefusesForgedTokens(t *testing.T) {
	t.Parallel()
	at, provider, now := newProvider(t, nil)
	good := goodClaims(at, now.Now())
	id, key := at.Key()
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signedBy := func(algorithm jose.SignatureAlgorithm, key any, kid string, headers map[jose.HeaderKey]any) string {
		return oidctest.Sign(t, jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, good, headers)
	}
	whole := at.Sign(t, good)
	if _, err := provider.Verify(t.Context(), []byte(whole)); err != nil {
		t.Fatalf("the token that the others are made from is refused: %v", err)
	}
	parts := strings.Split(whole, ".")
	payload := unsigned(t, nil, with(good, map[string]any{"org_role": "owner", "org_id": "org_other"}), "")
	for name, token := range map[string]string{
		"signed by a stranger under the provider's key id": signedBy(jose.RS256, stranger, id, nil),
		"signed by a stranger under no key id":             signedBy(jose.RS256, stranger, "", nil),
		"signed by a key that the provider does not have":  signedBy(jose.RS256, stranger, "unknown", nil),
		"that brings its own key": oidctest.Sign(t, jose.SigningKey{Algorithm: jose.RS256, Key: stranger}, good,
			map[jose.HeaderKey]any{"jwk": jose.JSONWebKey{Key: &stranger.PublicKey}}),
		"that says where its key is":                signedBy(jose.RS256, stranger, "", map[jose.HeaderKey]any{"jku": "https://evil.example/keys"}),
		"with alg none":                             unsigned(t, map[string]any{"alg": "none", "kid": id}, good, ""),
		"with alg None":                             unsigned(t, map[string]any{"alg": "None", "kid": id}, good, ""),
		"without alg":                               unsigned(t, map[string]any{"kid": id}, good, "x"),
		"with the public key as a shared secret":    signedBy(jose.HS256, asPEM(t, key), id, nil),
		"with the key's modulus as shared secret":   signedBy(jose.HS256, key.N.Bytes(), id, nil),
		"of an elliptic key under an RSA key's id":  signedBy(jose.ES256, curve, id, nil),
		"of an Edwards key under an RSA key's id":   signedBy(jose.EdDSA, edwards, id, nil),
		"with another algorithm of the same key":    signedBy(jose.PS256, key, id, nil),
		"with an extension that must be understood": signedBy(jose.RS256, key, id, map[jose.HeaderKey]any{"crit": []string{"exp"}, "exp": 1}),
		"that is a logout token":                    signedBy(jose.RS256, key, id, map[jose.HeaderKey]any{"typ": "logout+jwt"}),
		"with another payload":                      parts[0] + "." + strings.Split(payload, ".")[1] + "." + parts[2],
		"with half its signature":                   whole[:len(whole)-100],
		"without its signature":                     parts[0] + "." + parts[1] + ".",
		"with its last bits changed":                whole[:len(whole)-1] + "~",
		"in JSON serialisation":                     `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		"with a fourth part":                        whole + ".AAAA",
		"that is empty":                             "",
	} {
		t.Run(name, func(t *testing.T) {
			if principal, err := provider.Verify(t.Context(), []byte(token)); !errors.Is(err, schema.InvalidCredential) {
				t.Fatalf("got %+v, %v, want ErrInvalid", principal, err)
			}
		})
	}
}

func TestIdentityProviderRefusesWrongClaims(t *testing.T) {
	t.Parallel()
	at, provider, now := newProvider(t, func(c *oidc.Config) { c.Audiences = []string{"api://one", "api://two"} })
	good := with(goodClaims(at, now.Now()), map[string]any{"aud": "api://two"})
	in := func(d time.Duration) int64 { return now.Now().Add(d).Unix() }
	for name, c := range map[string]struct {
		changes map[string]any
		want    error
	}{
		"as they should be":                   {nil, nil},
		"one of several audiences":            {map[string]any{"aud": []string{"other", "api://one"}}, nil},
		"a clock that is a little ahead":      {map[string]any{"iat": in(20 * time.Second), "nbf": in(20 * time.Second)}, nil},
		"no nbf and no iat":                   {map[string]any{"nbf": nil, "iat": nil}, nil},
		"expired":                             {map[string]any{"exp": in(-time.Second)}, schema.ExpiredCredential},
		"expired this very second":            {map[string]any{"exp": in(0)}, schema.ExpiredCredential},
		"no expiry":                           {map[string]any{"exp": nil}, schema.InvalidCredential},
		"not yet valid":                       {map[string]any{"nbf": in(time.Minute)}, schema.InvalidCredential},
		"issued in the future":                {map[string]any{"iat": in(time.Minute)}, schema.InvalidCredential},
		"a wrong audience":                    {map[string]any{"aud": "api://three"}, schema.InvalidCredential},
		"the client, which is no audience":    {map[string]any{"aud": oidctest.ClientID}, schema.InvalidCredential},
		"no audience":                         {map[string]any{"aud": nil}, schema.InvalidCredential},
		"an audience that only begins alike":  {map[string]any{"aud": "api://two/"}, schema.InvalidCredential},
		"another issuer":                      {map[string]any{"iss": "https://elsewhere.example"}, schema.InvalidCredential},
		"the issuer with a slash":             {map[string]any{"iss": at.URL + "/"}, schema.InvalidCredential},
		"no issuer":                           {map[string]any{"iss": nil}, schema.InvalidCredential},
		"no subject":                          {map[string]any{"sub": nil}, schema.InvalidCredential},
		"a subject with a line feed":          {map[string]any{"sub": "user\nroot"}, schema.InvalidCredential},
		"a subject of 300 letters":            {map[string]any{"sub": strings.Repeat("u", 300)}, schema.InvalidCredential},
		"a subject that is a number":          {map[string]any{"sub": 7}, schema.InvalidCredential},
		"no organisation":                     {map[string]any{"org_id": nil}, people.ErrNoOrganisation},
		"an organisation that is none of us":  {map[string]any{"org_id": "harbour"}, schema.InvalidCredential},
		"a list of organisations as one":      {map[string]any{"org_id": []string{"org_a"}}, people.ErrNoOrganisation},
		"no role":                             {map[string]any{"org_role": nil}, people.ErrNoOrganisation},
		"a role that does not exist":          {map[string]any{"org_role": "superuser"}, people.ErrNoOrganisation},
		"a role in capitals":                  {map[string]any{"org_role": "OWNER"}, people.ErrNoOrganisation},
		"a text as an expiry":                 {map[string]any{"exp": "tomorrow"}, schema.InvalidCredential},
		"an expiry beyond what a time can be": {map[string]any{"exp": 1e300}, schema.InvalidCredential},
	} {
		t.Run(name, func(t *testing.T) {
			principal, err := provider.Verify(t.Context(), []byte(at.Sign(t, with(good, c.changes))))
			if !errors.Is(err, c.want) || (err == nil) != (principal != nil) {
				t.Fatalf("got %+v, %v, want %v", principal, err, c.want)
			}
		})
	}
}

func TestProviderKeysAreReadSparingly(t *testing.T) {
	t.Parallel()
	const readings = 2 // requests for one reading: the discovery document and the keys

	t.Run("once, however many tokens arrive first", func(t *testing.T) {
		t.Parallel()
		at, provider, now := newProvider(t, nil)
		token := []byte(at.Sign(t, goodClaims(at, now.Now())))
		var waiting sync.WaitGroup
		for range 50 {
			waiting.Go(func() {
				if _, err := provider.Verify(t.Context(), token); err != nil {
					t.Error(err)
				}
			})
		}
		waiting.Wait()
		if got := at.Requests(); got != readings {
			t.Errorf("the provider got %d requests, want %d", got, readings)
		}
	})
	t.Run("at most once in a pause, whatever keys tokens name", func(t *testing.T) {
		t.Parallel()
		at, provider, now := newProvider(t, func(c *oidc.Config) { c.RefreshPause = time.Minute })
		stranger, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 40 {
			key := jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: stranger, KeyID: strings.Repeat("k", i)}}
			token := oidctest.Sign(t, key, goodClaims(at, now.Now()), nil)
			if _, err := provider.Verify(t.Context(), []byte(token)); !errors.Is(err, schema.InvalidCredential) {
				t.Fatalf("got %v, want ErrInvalid", err)
			}
			now.Advance(3 * time.Second)
		}
		if got := at.Requests(); got > 3*readings {
			t.Errorf("in two minutes the provider got %d requests, want at most %d", got, 3*readings)
		}
	})
	t.Run("again when a token names a new key", func(t *testing.T) {
		t.Parallel()
		at, provider, now := newProvider(t, nil)
		before := []byte(at.Sign(t, goodClaims(at, now.Now())))
		if _, err := provider.Verify(t.Context(), before); err != nil {
			t.Fatal(err)
		}
		at.Rotate(t, false)
		now.Advance(5 * time.Second)
		if _, err := provider.Verify(t.Context(), []byte(at.Sign(t, goodClaims(at, now.Now())))); err != nil {
			t.Errorf("a token of the new key: %v", err)
		}
		if _, err := provider.Verify(t.Context(), before); err != nil {
			t.Errorf("a token of the old key, which is still published: %v", err)
		}
	})
	t.Run("again when a token that names no key does not fit", func(t *testing.T) {
		t.Parallel()
		at, provider, now := newProvider(t, nil)
		nameless := func() []byte {
			_, key := at.Key()
			return []byte(oidctest.Sign(t, jose.SigningKey{Algorithm: jose.RS256, Key: key}, goodClaims(at, now.Now()), nil))
		}
		if _, err := provider.Verify(t.Context(), nameless()); err != nil {
			t.Fatal(err)
		}
		at.Rotate(t, true)
		now.Advance(5 * time.Second)
		if _, err := provider.Verify(t.Context(), nameless()); err != nil {
			t.Errorf("a token of the new key: %v", err)
		}
	})
	t.Run("again after a while, so that a withdrawn key stops being trusted", func(t *testing.T) {
		t.Parallel()
		at, provider, now := newProvider(t, nil)
		withdrawn := []byte(at.Sign(t, goodClaims(at, now.Now())))
		if _, err := provider.Verify(t.Context(), withdrawn); err != nil {
			t.Fatal(err)
		}
		at.Rotate(t, true)
		now.Advance(11 * time.Minute)
		// This one is the first to find the keys old, and is not made to wait for new ones.
		if _, err := provider.Verify(t.Context(), withdrawn); err != nil {
			t.Fatal(err)
		}
		oidc.AwaitProviderKeys(provider)
		if _, err := provider.Verify(t.Context(), withdrawn); !errors.Is(err, schema.InvalidCredential) {
			t.Errorf("got %v, want ErrInvalid", err)
		}
	})
}

func TestATroubledProviderHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	hang := func(w http.ResponseWriter, r *http.Request) bool {
		<-r.Context().Done() // until the client has had enough
		return false
	}
	huge := func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", "application/json")
		w.Write(bytes.Repeat([]byte(" "), 2<<20))
		return true // what follows would be a good answer
	}
	for name, gate := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"one that is down":                 oidctest.Down,
		"one that never answers":           hang,
		"one that answers at great length": huge,
		"one that answers something else":  func(w http.ResponseWriter, _ *http.Request) bool { w.Write([]byte("<html>")); return false },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at, provider, now := newProvider(t, func(c *oidc.Config) { c.Timeout = 300 * time.Millisecond })
			token := []byte(at.Sign(t, goodClaims(at, now.Now())))
			at.Gate(gate)
			if _, err := provider.Verify(t.Context(), token); !errors.Is(err, schema.Unavailable) {
				t.Fatalf("before its keys were ever read: got %v, want ErrUnavailable", err)
			}
			requests := at.Requests()
			if _, err := provider.Verify(t.Context(), token); !errors.Is(err, schema.Unavailable) || at.Requests() != requests {
				t.Fatalf("at once again: got %v after %d more requests, want ErrUnavailable after none", err, at.Requests()-requests)
			}
			at.Gate(nil)
			now.Advance(5 * time.Second)
			if _, err := provider.Verify(t.Context(), token); err != nil {
				t.Fatalf("after it has recovered: %v", err)
			}
			at.Gate(gate)
			now.Advance(30 * time.Minute)
			if _, err := provider.Verify(t.Context(), token); err != nil {
				t.Fatalf("with keys that were read before the trouble: %v", err)
			}
			oidc.AwaitProviderKeys(provider)
			if _, err := provider.Verify(t.Context(), token); err != nil {
				t.Fatalf("after the attempt to read them again has failed: %v", err)
			}
			now.Advance(24 * time.Hour)
			fresh := []byte(at.Sign(t, goodClaims(at, now.Now())))
			if _, err := provider.Verify(t.Context(), fresh); !errors.Is(err, schema.Unavailable) {
				t.Fatalf("with keys of the day before yesterday: got %v, want ErrUnavailable", err)
			}
		})
	}
	t.Run("longer than the request may take", func(t *testing.T) {
		t.Parallel()
		at, provider, now := newProvider(t, func(c *oidc.Config) { c.Timeout = time.Hour })
		arrived := make(chan struct{}, 10)
		at.Gate(func(w http.ResponseWriter, r *http.Request) bool { arrived <- struct{}{}; return hang(w, r) })
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-arrived; cancel() }()
		token := []byte(at.Sign(t, goodClaims(at, now.Now())))
		if _, err := provider.Verify(ctx, token); !errors.Is(err, schema.Unavailable) {
			t.Fatalf("got %v, want ErrUnavailable", err)
		}
		provider.Close() // ends what hangs
		if _, err := provider.Verify(t.Context(), token); !errors.Is(err, schema.Unavailable) {
			t.Fatalf("after Close: got %v, want ErrUnavailable", err)
		}
	})
}

func TestIdentityProviderConfigIsChecked(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]oidc.Config{
		"no issuer":                       {ClientID: "c"},
		"an issuer without TLS":           {IssuerURL: "http://id.example", ClientID: "c"},
		"an issuer that only looks local": {IssuerURL: "http://localhost.example", ClientID: "c"},
		"an issuer of another scheme":     {IssuerURL: "ftp://localhost", ClientID: "c"},
		"no client":                       {IssuerURL: "https://id.example"},
		"a shared-secret algorithm":       {IssuerURL: "https://id.example", ClientID: "c", Algorithms: []string{"HS256"}},
		"no algorithm":                    {IssuerURL: "https://id.example", ClientID: "c", Algorithms: []string{"none"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if provider, err := oidc.New(config); err == nil {
				provider.Close()
				t.Fatal("it was accepted")
			}
		})
	}
}
