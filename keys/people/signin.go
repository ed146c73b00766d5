package people

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"lastseen/keys"
	"lastseen/schema"
)

// Tokens that browsers carry are signed with the local issuer's key like user tokens, but each kind
// is for an audience of its own, so that none can be used in place of another.
const (
	audienceLink    = "lastseen/sign-in-link"
	audienceSession = "lastseen/session"
	audienceFlow    = "lastseen/sign-in-flow"

	// FlowLife is the time that a person has to sign in at the identity provider.
	FlowLife = 15 * time.Minute
	// maxLinkTTL bounds the life of a sign-in link.
	maxLinkTTL = 24 * time.Hour
	// maxSessionToken bounds a session's token, in bytes: browsers keep cookies of 4096 with their
	// name and attributes.
	maxSessionToken = 3800
)

// ErrLinkUsed means that a sign-in link was good and has signed somebody in already.
var ErrLinkUsed = errors.New("the sign-in link has been used")

// SignInConfig says what a SignIn works with.
type SignInConfig struct {
	Issuer *Issuer // required
	// Store keeps which links and sessions are spent; required.
	Store SpentStore
	// DataDir is where versions up to 0.1 kept that in a file, which is taken over.
	DataDir string
	// Logger is told of what is damaged; nil means slog.Default.
	Logger *slog.Logger
	// SessionTTL is how long a browser stays signed in; 0 means 8 hours.
	SessionTTL time.Duration
}

// SignIn signs browsers in and out. A session is a signed token that the browser keeps in a cookie:
// who, in which organisations and roles, until when, and the token against cross-site requests. It
// is safe for concurrent use.
type SignIn struct {
	issuer     *Issuer
	sessionTTL time.Duration
	spent      *spentTokens
	links      *jwt.Parser
	sessions   *jwt.Parser
	flows      *jwt.Parser
	verified   verified
}

// OpenSignIn reads which links and sessions are spent.
func OpenSignIn(ctx context.Context, config SignInConfig) (*SignIn, error) {
	if config.Issuer == nil || config.Store == nil {
		return nil, errors.New("set up sign-in: an issuer and a store are required")
	}
	if config.SessionTTL <= 0 {
		config.SessionTTL = 8 * time.Hour
	}
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	deniedBefore, err := adoptSpentFile(ctx, config.DataDir, config.Store)
	if err != nil {
		return nil, fmt.Errorf("set up sign-in: %w", err)
	}
	spent, err := openSpent(ctx, config.Store, config.Issuer.now)
	if err != nil {
		return nil, fmt.Errorf("set up sign-in: %w", err)
	}
	s := &SignIn{
		issuer: config.Issuer, sessionTTL: config.SessionTTL, spent: spent,
		links:    config.Issuer.parserFor(audienceLink),
		sessions: config.Issuer.parserFor(audienceSession),
		flows:    config.Issuer.parserFor(audienceFlow),
	}
	if !deniedBefore.IsZero() {
		config.Logger.Error("the file of spent sign-in tokens was damaged: links and sessions from before its time are refused; sign in again",
			"file", spentFile+damagedSuffix, "before", deniedBefore)
		s.DenyIssuedBefore(deniedBefore)
	}
	return s, nil
}

// DenyIssuedBefore refuses all links and sessions that were made before a time, for when it is not known any
// more which of them are spent.
func (s *SignIn) DenyIssuedBefore(at time.Time) { s.spent.denyIssuedBefore(at) }

// AdoptSpent takes over which links and sessions another process has spent, in the Store too.
func (s *SignIn) AdoptSpent(tokens []schema.SpentToken) { s.spent.adopt(tokens) }

// Spent returns the links and sessions that are spent and remembered.
func (s *SignIn) Spent() []schema.SpentToken { return s.spent.all() }

// browserClaims are what a link or a session says. The first membership stands in the names that
// user tokens have.
type browserClaims struct {
	jwt.RegisteredClaims
	OrgID   string            `json:"org_id"`
	OrgRole string            `json:"org_role"`
	More    []membershipClaim `json:"memberships,omitempty"`
	CSRF    string            `json:"csrf,omitempty"`
}

type membershipClaim struct {
	OrgID string `json:"org_id"`
	Role  string `json:"org_role"`
}

func claimsOf(person Person) browserClaims {
	first := person.Memberships[0]
	said := browserClaims{OrgID: first.OrgID, OrgRole: first.Role.String()}
	said.Subject = person.UserID
	for _, m := range person.Memberships[1:] {
		said.More = append(said.More, membershipClaim{m.OrgID, m.Role.String()})
	}
	return said
}

// person returns whom the claims speak for. They were signed here, so that only a key in other hands
// can make them wrong.
func (c *browserClaims) person() (Person, error) {
	person := Person{UserID: c.Subject}
	for _, m := range append([]membershipClaim{{c.OrgID, c.OrgRole}}, c.More...) {
		role, _ := keys.ParseRole(m.Role)
		person.Memberships = append(person.Memberships, Membership{m.OrgID, role})
	}
	if person.Check() != nil {
		return Person{}, schema.InvalidCredential
	}
	return person, nil
}

// SignLink makes the token of a link that signs a person in once, within a time of at most a day. It
// fails with schema.Invalid.
func (i *Issuer) SignLink(person Person, ttl time.Duration) (string, error) {
	if err := person.Check(); err != nil {
		return "", err
	}
	if ttl < time.Second || ttl > maxLinkTTL {
		return "", schema.Invalid.About("ttl", "Give a time of one second to one day for which the link is good.")
	}
	said := claimsOf(person)
	return i.signFor(audienceLink, &said, &said.RegisteredClaims, ttl)
}

// Redeem signs in whom a link's token is for and spends the token. It returns the new session's token.
// It fails with schema.InvalidCredential, schema.ExpiredCredential, ErrLinkUsed and schema.Unavailable.
func (s *SignIn) Redeem(ctx context.Context, link string) (string, *Session, error) {
	var said browserClaims
	if err := s.issuer.verifyFor(s.links, link, &said, &said.RegisteredClaims); err != nil {
		return "", nil, err
	}
	person, err := said.person()
	if err != nil {
		return "", nil, err
	}
	if s.spent.denied(said.IssuedAt.Time) {
		return "", nil, ErrLinkUsed
	}
	first, err := s.spent.add(ctx, said.ID, said.ExpiresAt.Time)
	switch {
	case err != nil:
		return "", nil, err
	case !first:
		return "", nil, ErrLinkUsed
	}
	return s.Begin(person)
}

// Begin makes a session for a person who has proved who they are, and returns its token, of at most
// 3800 bytes: of very many organisations the last are left out. It fails with schema.Invalid.
func (s *SignIn) Begin(person Person) (string, *Session, error) {
	if err := person.Check(); err != nil {
		return "", nil, err
	}
	for {
		said := claimsOf(person)
		said.CSRF = randomToken()
		token, err := s.issuer.signFor(audienceSession, &said, &said.RegisteredClaims, s.sessionTTL)
		if err != nil {
			return "", nil, err
		}
		if len(token) <= maxSessionToken || len(person.Memberships) == 1 {
			return token, s.verified.keep([]byte(token), said.IssuedAt.Time, sessionOf(&said, person)).session, nil
		}
		person.Memberships = person.Memberships[:len(person.Memberships)-1]
	}
}

// Session tells whose session a token is. It fails with schema.InvalidCredential, with schema.ExpiredCredential, and with
// schema.RevokedCredential for one that was ended.
func (s *SignIn) Session(token []byte) (*Session, error) {
	if len(token) > keys.MaxTokenLength {
		return nil, schema.InvalidCredential
	}
	known := s.verified.find(token)
	if known == nil {
		var said browserClaims
		if err := s.issuer.verifyFor(s.sessions, string(token), &said, &said.RegisteredClaims); err != nil {
			return nil, err
		}
		person, err := said.person()
		if err != nil {
			return nil, err
		}
		known = s.verified.keep(token, said.IssuedAt.Time, sessionOf(&said, person))
	}
	switch session := known.session; {
	case !s.issuer.now().Before(session.ExpiresAt):
		return nil, schema.ExpiredCredential
	case s.spent.over(session.id, session.person, session.ExpiresAt) || s.spent.denied(known.issuedAt):
		return nil, schema.RevokedCredential
	default:
		return session, nil
	}
}

// Knows reports whether a token's signature was found good lately, so that Session has none to check.
func (s *SignIn) Knows(token []byte) bool { return s.verified.find(token) != nil }

// End ends a session for good. Of a person who has ended very many lately it ends the older ones too. It fails with
// schema.Unavailable, and then the session may go on.
func (s *SignIn) End(ctx context.Context, session *Session) error {
	return s.spent.end(ctx, session.id, session.person, session.ExpiresAt)
}

// Session is a browser's. It is shared: nobody may change it.
type Session struct {
	Person
	// CSRFToken must come with every request that changes something, in a header, which no page
	// of another site can set.
	CSRFToken string
	ExpiresAt time.Time

	id     string
	person string // what stands for all sessions of the person; see personID
}

func sessionOf(said *browserClaims, person Person) *Session {
	return &Session{
		Person: person, CSRFToken: said.CSRF, ExpiresAt: said.ExpiresAt.UTC(),
		id: said.ID, person: personID(person.UserID),
	}
}

// CheckCSRF reports whether a token is the session's, in constant time.
func (s *Session) CheckCSRF(token []byte) bool {
	return s.CSRFToken != "" && subtle.ConstantTimeCompare([]byte(s.CSRFToken), token) == 1
}

// Principal returns the person as a caller of one of their organisations, the first when orgID is
// empty, and false when they have no role in it.
func (s *Session) Principal(orgID string) (*keys.Principal, bool) {
	for _, m := range s.Memberships {
		if orgID == "" || m.OrgID == orgID {
			return &keys.Principal{Kind: keys.CallerUser, OrgID: m.OrgID, UserID: s.UserID, Role: m.Role, ExpiresAt: s.ExpiresAt}, true
		}
	}
	return nil, false
}

// Flow is one way to the identity provider and back. Its State and Nonce go to the provider in the
// open; Verifier is PKCE's secret, which the provider sees only at the end.
type Flow struct {
	State, Nonce, Verifier string
	ReturnTo               string // a page of the console
}

type flowClaims struct {
	jwt.RegisteredClaims
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"`
	ReturnTo string `json:"return_to"`
}

// BeginFlow makes a flow and the token in which the browser keeps it. A returnTo that is not a page
// of the console is replaced by the console's first.
func (s *SignIn) BeginFlow(returnTo string) (string, Flow, error) {
	flow := Flow{State: randomToken(), Nonce: randomToken(), Verifier: randomToken() + randomToken(), ReturnTo: pageOfConsole(returnTo)}
	said := flowClaims{State: flow.State, Nonce: flow.Nonce, Verifier: flow.Verifier, ReturnTo: flow.ReturnTo}
	token, err := s.issuer.signFor(audienceFlow, &said, &said.RegisteredClaims, FlowLife)
	return token, flow, err
}

// OpenFlow returns the flow that a browser comes back from. state is what the provider sent along. It
// fails with schema.InvalidCredential and schema.ExpiredCredential.
func (s *SignIn) OpenFlow(token []byte, state string) (Flow, error) {
	if len(token) > keys.MaxTokenLength {
		return Flow{}, schema.InvalidCredential
	}
	var said flowClaims
	if err := s.issuer.verifyFor(s.flows, string(token), &said, &said.RegisteredClaims); err != nil {
		return Flow{}, err
	}
	if said.State == "" || subtle.ConstantTimeCompare([]byte(said.State), []byte(state)) != 1 {
		return Flow{}, schema.InvalidCredential
	}
	return Flow{State: said.State, Nonce: said.Nonce, Verifier: said.Verifier, ReturnTo: pageOfConsole(said.ReturnTo)}, nil
}

const consolePath = "/console/"

// pageOfConsole returns an address of the console as it is, and the console's own for any other.
func pageOfConsole(address string) string {
	rest, inside := strings.CutPrefix(address, consolePath)
	if !inside || rest != "" && !strings.HasPrefix(rest, "#/") || len(address) > 1000 {
		return consolePath
	}
	for i := range len(rest) {
		if rest[i] <= ' ' || rest[i] > '~' || rest[i] == '\\' {
			return consolePath
		}
	}
	return address
}

// randomToken returns 43 characters of 256 random bits that nothing in a URL escapes.
func randomToken() string {
	var random [32]byte
	rand.Read(random[:]) // never fails since Go 1.24: it aborts the program instead
	return base64.RawURLEncoding.EncodeToString(random[:])
}

func validTokenID(id string) bool {
	random, err := base64.RawURLEncoding.Strict().DecodeString(id)
	return err == nil && len(random) == 32
}

// parserFor returns a parser of tokens of this issuer for an audience.
func (i *Issuer) parserFor(audience string) *jwt.Parser {
	return jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}),
		jwt.WithIssuer(issuerName), jwt.WithAudience(audience),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(ClockLeeway),
		jwt.WithTimeFunc(i.now), jwt.WithStrictDecoding(),
	)
}

// signFor fills in a token's registered claims and signs it.
func (i *Issuer) signFor(audience string, said jwt.Claims, registered *jwt.RegisteredClaims, ttl time.Duration) (string, error) {
	now := i.now()
	registered.ID = randomToken()
	registered.Issuer = issuerName
	registered.Audience = jwt.ClaimStrings{audience}
	registered.IssuedAt = jwt.NewNumericDate(now)
	registered.ExpiresAt = jwt.NewNumericDate(now.Add(ttl + time.Second - 1)) // which drops the fraction of a second
	signed, err := jwt.NewWithClaims(jwt.SigningMethodEdDSA, said).SignedString(i.key)
	if err != nil {
		return "", fmt.Errorf("sign a token for a browser: %w", err)
	}
	return signed, nil
}

// verifyFor reads a token of this issuer. It fails with schema.InvalidCredential and schema.ExpiredCredential.
func (i *Issuer) verifyFor(parser *jwt.Parser, token string, said jwt.Claims, registered *jwt.RegisteredClaims) error {
	parsed, err := parser.ParseWithClaims(token, said, func(*jwt.Token) (any, error) { return i.key.Public(), nil })
	switch {
	case errors.Is(err, jwt.ErrTokenExpired): // the signature has been checked by then
		return schema.ExpiredCredential
	case err != nil || parsed.Header["crit"] != nil || !validTokenID(registered.ID) || registered.IssuedAt == nil:
		return schema.InvalidCredential
	case !i.now().Before(registered.ExpiresAt.Time): // the leeway is for clocks that are ahead, not for the end
		return schema.ExpiredCredential
	}
	return nil
}
