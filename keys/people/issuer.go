package people

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"lastseen/keys"
	"lastseen/schema"
)

const (
	issuerName = "lastseen"
	audience   = "lastseen"

	// ClockLeeway is how far another machine's clock may be ahead of ours when it issues a token.
	ClockLeeway = 30 * time.Second
	// maxClaimLength bounds the ids in a token, in bytes.
	maxClaimLength = 255
)

// Issuer is the built-in issuer of user tokens: JWTs signed with an Ed25519 key in the data
// directory. Whoever may read that directory may be anybody. It is safe for concurrent use.
type Issuer struct {
	key    ed25519.PrivateKey
	now    func() time.Time
	parser *jwt.Parser
}

// IssuerFile is the file in the data directory that holds the issuer's key.
const IssuerFile = "issuer.key"

// OpenIssuer reads the key from IssuerFile in the data directory, or makes both when they are absent;
// of several processes that make it at once all get the same. now is the clock; nil means time.Now.
func OpenIssuer(dataDir string, now func() time.Time) (*Issuer, error) {
	if now == nil {
		now = time.Now
	}
	key, err := openIssuerKey(filepath.Join(dataDir, IssuerFile))
	if err != nil {
		return nil, fmt.Errorf("open the key that signs user tokens: %w", err)
	}
	return &Issuer{
		key: key,
		now: now,
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}),
			jwt.WithIssuer(issuerName),
			jwt.WithAudience(audience),
			jwt.WithExpirationRequired(),
			jwt.WithIssuedAt(),
			jwt.WithLeeway(ClockLeeway),
			jwt.WithTimeFunc(now),
			jwt.WithStrictDecoding(),
		),
	}, nil
}

// DeriveKey returns a secret of 32 bytes for another purpose than tokens, the same for the same purpose
// for as long as the issuer's key stays. It tells nothing about that key or about other secrets.
func (i *Issuer) DeriveKey(purpose string) []byte {
	derived, err := hkdf.Key(sha256.New, i.key.Seed(), nil, "lastseen "+purpose, sha256.Size)
	if err != nil {
		panic(err) // only for more bytes than the hash can give
	}
	return derived
}

// User is whom a token speaks for.
type User struct {
	ID    string // 1 to 255 visible ASCII characters
	OrgID string // likewise; begins with org_
	Role  keys.Role
}

// check returns a schema.Invalid for a user that no token may speak for.
func (u User) check() error {
	switch {
	case !visibleASCII(u.ID):
		return schema.Invalid.About("user", "Give a user id of 1 to 255 visible characters without spaces.")
	case !visibleASCII(u.OrgID) || !strings.HasPrefix(u.OrgID, "org_") || u.OrgID == "org_":
		return schema.Invalid.About("org", "Give an organisation id that begins with org_, of at most 255 visible characters without spaces.")
	case u.Role < keys.RoleDriver || u.Role > keys.RoleOwner:
		return schema.Invalid.About("role", "Give one of the roles owner, administrator, operator and driver.")
	}
	return nil
}

func visibleASCII(text string) bool {
	for i := range len(text) {
		if c := rune(text[i]); c >= utf8.RuneSelf || c == ' ' || !unicode.IsPrint(c) {
			return false
		}
	}
	return text != "" && len(text) <= maxClaimLength
}

// claims are what a token of the local issuer says.
type claims struct {
	jwt.RegisteredClaims
	OrgID   string `json:"org_id"`
	OrgRole string `json:"org_role"`
}

// Sign issues a token for a user that is good for a time, at least a second. Tokens end at whole seconds, so that it
// may be good for less than a second less, but never for longer. It fails with schema.Invalid.
func (i *Issuer) Sign(user User, ttl time.Duration) (string, error) {
	if err := user.check(); err != nil {
		return "", err
	}
	if ttl < time.Second {
		return "", schema.Invalid.About("ttl", "Give a time of at least one second for which the token is good.")
	}
	now := i.now()
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    issuerName,
			Audience:  jwt.ClaimStrings{audience},
			Subject:   user.ID,
			IssuedAt:  jwt.NewNumericDate(now),
			NotBefore: jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(ttl)), // which drops the fraction of a second
		},
		OrgID:   user.OrgID,
		OrgRole: user.Role.String(),
	})
	signed, err := token.SignedString(i.key)
	if err != nil {
		return "", fmt.Errorf("sign a user token: %w", err)
	}
	return signed, nil
}

// Verify tells who a token of this issuer speaks for. It fails with schema.InvalidCredential, and with
// schema.ExpiredCredential for a token that was good once; neither says more, since the library's texts quote the token.
func (i *Issuer) Verify(_ context.Context, token []byte) (*keys.Principal, error) {
	if bytes.ContainsAny(token, "\r\n") { // which base64 decoders skip: the same token would have many texts
		return nil, schema.InvalidCredential
	}
	var said claims
	parsed, err := i.parser.ParseWithClaims(string(token), &said, func(*jwt.Token) (any, error) { return i.key.Public(), nil })
	switch {
	case errors.Is(err, jwt.ErrTokenExpired): // the signature has been checked by then
		return nil, schema.ExpiredCredential
	case err != nil:
		return nil, schema.InvalidCredential
	case parsed.Header["crit"] != nil: // extensions that must be understood (RFC 7515, 4.1.11); we know none
		return nil, schema.InvalidCredential
	case !i.now().Before(said.ExpiresAt.Time): // the leeway is for clocks that are ahead, not for the end
		return nil, schema.ExpiredCredential
	}
	role, known := keys.ParseRole(said.OrgRole)
	user := User{ID: said.Subject, OrgID: said.OrgID, Role: role}
	if !known || user.check() != nil {
		return nil, schema.InvalidCredential
	}
	return &keys.Principal{Kind: keys.CallerUser, OrgID: user.OrgID, UserID: user.ID, Role: role, ExpiresAt: said.ExpiresAt.UTC()}, nil
}
