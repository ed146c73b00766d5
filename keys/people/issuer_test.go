package people_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"lastseen/keys"
	"lastseen/keys/people"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

var someUser = people.User{ID: "user_1", OrgID: "org_a", Role: keys.RoleOperator}

func openIssuer(t testing.TB, dir string, now func() time.Time) *people.Issuer {
	t.Helper()
	issuer, err := people.OpenIssuer(dir, now)
	if err != nil {
		t.Fatal(err)
	}
	return issuer
}

func sign(t testing.TB, issuer *people.Issuer, user people.User, ttl time.Duration) string {
	t.Helper()
	token, err := issuer.Sign(user, ttl)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// storedKey reads the issuer's key from its file.
func storedKey(t *testing.T, dir string) ed25519.PrivateKey {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "issuer.key"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key.(ed25519.PrivateKey)
}

func TestSign(t *testing.T) {
	t.Parallel()
	issuer := openIssuer(t, t.TempDir(), nil)
	t.Run("makes a token that verifies, for every role", func(t *testing.T) {
		t.Parallel()
		for _, role := range []keys.Role{keys.RoleDriver, keys.RoleOperator, keys.RoleAdministrator, keys.RoleOwner} {
			token := sign(t, issuer, people.User{ID: "user_1", OrgID: "org_a", Role: role}, time.Hour)
			got, err := issuer.Verify(t.Context(), []byte(token))
			if err != nil || got.Kind != keys.CallerUser || got.UserID != "user_1" || got.OrgID != "org_a" || got.Role != role {
				t.Errorf("%v: got %+v, error %v", role, got, err)
			}
		}
	})
	t.Run("refuses whom no token may speak for", func(t *testing.T) {
		t.Parallel()
		for name, test := range map[string]struct {
			user  people.User
			ttl   time.Duration
			field string
		}{
			"no user":                      {people.User{OrgID: "org_a", Role: keys.RoleOwner}, time.Hour, "user"},
			"a user with a space":          {people.User{ID: "a b", OrgID: "org_a", Role: keys.RoleOwner}, time.Hour, "user"},
			"a user of 256 characters":     {people.User{ID: strings.Repeat("u", 256), OrgID: "org_a", Role: keys.RoleOwner}, time.Hour, "user"},
			"no organisation":              {people.User{ID: "u", Role: keys.RoleOwner}, time.Hour, "org"},
			"an organisation without org_": {people.User{ID: "u", OrgID: "acme", Role: keys.RoleOwner}, time.Hour, "org"},
			"an organisation that is org_": {people.User{ID: "u", OrgID: "org_", Role: keys.RoleOwner}, time.Hour, "org"},
			"no role":                      {people.User{ID: "u", OrgID: "org_a"}, time.Hour, "role"},
			"a role above all":             {people.User{ID: "u", OrgID: "org_a", Role: keys.RoleOwner + 1}, time.Hour, "role"},
			"no time":                      {someUser, 0, "ttl"},
			"a negative time":              {someUser, -time.Hour, "ttl"},
		} {
			_, err := issuer.Sign(test.user, test.ttl)
			t.Run(name, func(t *testing.T) {
				if schematest.InvalidField(err) != test.field {
					t.Errorf("got %v, want schema.Invalid about %s", err, test.field)
				}
			})
		}
	})
	t.Run("makes a token that never lasts longer than asked", func(t *testing.T) {
		t.Parallel()
		start := time.Date(2026, 1, 15, 9, 30, 0, 900e6, time.UTC)
		now := start
		timed := openIssuer(t, t.TempDir(), func() time.Time { return now })
		token := []byte(sign(t, timed, someUser, 2*time.Second))
		now = start.Add(time.Second)
		if _, err := timed.Verify(t.Context(), token); err != nil {
			t.Errorf("a second before the end: %v", err)
		}
		now = start.Add(2 * time.Second)
		if _, err := timed.Verify(t.Context(), token); !errors.Is(err, schema.ExpiredCredential) {
			t.Errorf("at the end: %v", err)
		}
	})
}

// forgery is a token that the issuer did not make, or would not.
type forgery struct {
	method jwt.SigningMethod
	key    any
	claims jwt.MapClaims
	header map[string]any
}

func TestVerifyRefusesForgeries(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Now()
	issuer := openIssuer(t, dir, func() time.Time { return now })
	key := storedKey(t, dir)
	_, otherKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	publicKey, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		spoil func(*forgery)
		want  error
	}{
		"the same as the issuer makes":        {func(*forgery) {}, nil},
		"an alias of a role":                  {func(f *forgery) { f.claims["org_role"] = "admin" }, nil},
		"a clock that is a little ahead":      {func(f *forgery) { f.claims["nbf"] = now.Add(20 * time.Second).Unix() }, nil},
		"several audiences":                   {func(f *forgery) { f.claims["aud"] = []string{"other", "lastseen"} }, nil},
		"another key":                         {func(f *forgery) { f.key = otherKey }, schema.InvalidCredential},
		"alg none":                            {func(f *forgery) { f.method, f.key = jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType }, schema.InvalidCredential},
		"HMAC with the public key as secret":  {func(f *forgery) { f.method, f.key = jwt.SigningMethodHS256, []byte(key.Public().(ed25519.PublicKey)) }, schema.InvalidCredential},
		"HMAC with the encoded public key":    {func(f *forgery) { f.method, f.key = jwt.SigningMethodHS256, publicKey }, schema.InvalidCredential},
		"RSA":                                 {func(f *forgery) { f.method, f.key = jwt.SigningMethodRS256, rsaKey }, schema.InvalidCredential},
		"an extension that must be known":     {func(f *forgery) { f.header["crit"] = []string{"b64"} }, schema.InvalidCredential},
		"another issuer":                      {func(f *forgery) { f.claims["iss"] = "evil" }, schema.InvalidCredential},
		"no issuer":                           {func(f *forgery) { delete(f.claims, "iss") }, schema.InvalidCredential},
		"another audience":                    {func(f *forgery) { f.claims["aud"] = "other" }, schema.InvalidCredential},
		"no audience":                         {func(f *forgery) { delete(f.claims, "aud") }, schema.InvalidCredential},
		"no expiry":                           {func(f *forgery) { delete(f.claims, "exp") }, schema.InvalidCredential},
		"an expiry that is no number":         {func(f *forgery) { f.claims["exp"] = "tomorrow" }, schema.InvalidCredential},
		"an expiry this second":               {func(f *forgery) { f.claims["exp"] = now.Unix() }, schema.ExpiredCredential},
		"an expiry long ago":                  {func(f *forgery) { f.claims["exp"] = now.Add(-time.Hour).Unix() }, schema.ExpiredCredential},
		"an expiry long ago, and another key": {func(f *forgery) { f.claims["exp"], f.key = now.Add(-time.Hour).Unix(), otherKey }, schema.InvalidCredential},
		"not yet valid":                       {func(f *forgery) { f.claims["nbf"] = now.Add(time.Minute).Unix() }, schema.InvalidCredential},
		"issued in the future":                {func(f *forgery) { f.claims["iat"] = now.Add(time.Minute).Unix() }, schema.InvalidCredential},
		"an unknown role":                     {func(f *forgery) { f.claims["org_role"] = "root" }, schema.InvalidCredential},
		"no role":                             {func(f *forgery) { delete(f.claims, "org_role") }, schema.InvalidCredential},
		"a role that is a list":               {func(f *forgery) { f.claims["org_role"] = []string{"owner"} }, schema.InvalidCredential},
		"an organisation without org_":        {func(f *forgery) { f.claims["org_id"] = "acme" }, schema.InvalidCredential},
		"no organisation":                     {func(f *forgery) { delete(f.claims, "org_id") }, schema.InvalidCredential},
		"no user":                             {func(f *forgery) { delete(f.claims, "sub") }, schema.InvalidCredential},
		"a user with a line feed":             {func(f *forgery) { f.claims["sub"] = "a\nb" }, schema.InvalidCredential},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := forgery{
				method: jwt.SigningMethodEdDSA, key: key, header: map[string]any{},
				claims: jwt.MapClaims{
					"iss": "lastseen", "aud": "lastseen", "sub": "user_1", "org_id": "org_a", "org_role": "operator",
					"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
				},
			}
			test.spoil(&f)
			token := jwt.NewWithClaims(f.method, f.claims)
			for name, value := range f.header {
				token.Header[name] = value
			}
			text, err := token.SignedString(f.key)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := issuer.Verify(t.Context(), []byte(text)); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			} else if err != nil && err != test.want {
				t.Errorf("the error says more than it should: %v", err)
			}
		})
	}
}

func TestVerifyRefusesATokenThatWasChanged(t *testing.T) {
	t.Parallel()
	issuer := openIssuer(t, t.TempDir(), nil)
	token := sign(t, issuer, someUser, time.Hour)
	parts := strings.Split(token, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	raised := base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(payload), "operator", "owner", 1)))
	for name, text := range map[string]string{
		"a higher role":       parts[0] + "." + raised + "." + parts[2],
		"no signature":        parts[0] + "." + parts[1] + ".",
		"half a signature":    token[:len(token)-40],
		"padding":             token + "==",
		"a space at the end":  token + " ",
		"a line break in it":  token[:len(token)-4] + "\n" + token[len(token)-4:],
		"a part more":         token + ".",
		"the payload missing": parts[0] + ".." + parts[2],
		"the header twice":    parts[0] + "." + parts[0] + "." + parts[2],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := issuer.Verify(t.Context(), []byte(text)); err != schema.InvalidCredential {
				t.Errorf("got %v", err)
			}
		})
	}
}

// FuzzVerify changes a good token: nothing but the token itself is accepted.
func FuzzVerify(f *testing.F) {
	issuer := openIssuer(f, f.TempDir(), nil)
	token := sign(f, issuer, someUser, 24*time.Hour)
	f.Add(0, 0, "")
	f.Add(10, 11, "A")
	f.Add(len(token)-1, len(token), "w")
	f.Add(len(token), len(token), "=")
	f.Add(len(token)-9, len(token)-9, "\r\n")
	f.Fuzz(func(t *testing.T, from, to int, replacement string) {
		if from < 0 || to < from || to > len(token) {
			return
		}
		changed := token[:from] + replacement + token[to:]
		if got, err := issuer.Verify(t.Context(), []byte(changed)); err == nil && changed != token {
			t.Errorf("%q is accepted as %+v", changed, got)
		} else if changed == token && err != nil {
			t.Errorf("the token itself is refused: %v", err)
		}
	})
}

func TestOpenIssuer(t *testing.T) {
	t.Parallel()
	t.Run("makes a key that only its owner may read, in a directory that it makes", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "new", "data")
		issuer := openIssuer(t, dir, nil)
		info, err := os.Stat(filepath.Join(dir, "issuer.key"))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("the file's mode is %v", info.Mode())
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
			t.Errorf("the directory holds %v, error %v", entries, err)
		}
		token := sign(t, issuer, someUser, time.Hour)
		if _, err := openIssuer(t, dir, nil).Verify(t.Context(), []byte(token)); err != nil {
			t.Errorf("after a restart: %v", err)
		}
	})
	t.Run("by several at once gives all the same key", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		issuers := make([]*people.Issuer, 16)
		var all sync.WaitGroup
		for i := range issuers {
			all.Go(func() {
				issuer, err := people.OpenIssuer(dir, nil)
				if err != nil {
					t.Errorf("open: %v", err)
					return
				}
				issuers[i] = issuer
			})
		}
		all.Wait()
		if t.Failed() {
			return
		}
		token := []byte(sign(t, issuers[0], someUser, time.Hour))
		for _, issuer := range issuers {
			if _, err := issuer.Verify(t.Context(), token); err != nil {
				t.Errorf("another's token: %v", err)
			}
		}
	})
	t.Run("refuses a key that others may read", func(t *testing.T) {
		t.Parallel()
		if runtime.GOOS == "windows" {
			t.Skip("Windows has no such modes")
		}
		dir := t.TempDir()
		openIssuer(t, dir, nil)
		if err := os.Chmod(filepath.Join(dir, "issuer.key"), 0o640); err != nil {
			t.Fatal(err)
		}
		if _, err := people.OpenIssuer(dir, nil); err == nil || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("got %v", err)
		}
	})
	for name, content := range map[string]string{
		"an empty file":           "",
		"a file that is no PEM":   "secret-secret-secret",
		"a PEM of something else": "-----BEGIN PRIVATE KEY-----\nc2VjcmV0LXNlY3JldA==\n-----END PRIVATE KEY-----\n",
	} {
		t.Run("refuses "+name+", and says what to do", func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "issuer.key")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := people.OpenIssuer(dir, nil)
			if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "delete it") || strings.Contains(err.Error(), "secret-") {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("refuses a data directory that is a file", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := people.OpenIssuer(path, nil); err == nil {
			t.Error("it is opened")
		}
	})
}
