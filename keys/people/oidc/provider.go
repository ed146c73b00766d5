package oidc

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"lastseen/keys"
	"lastseen/keys/people"
	"lastseen/schema"
)

// Users verifies the tokens of everybody: those of the local issuer, and those of an identity
// provider, if there is one. It is an apikey.TokenVerifier.
type Users struct {
	Local    *people.Issuer // required
	Provider *Provider      // nil for none
}

// Verify asks the one that the token says it is from, who then finds out whether that is true.
func (u Users) Verify(ctx context.Context, token []byte) (*keys.Principal, error) {
	if u.Provider != nil && unverifiedIssuer(token) == u.Provider.config.IssuerURL {
		return u.Provider.Verify(ctx, token)
	}
	return u.Local.Verify(ctx, token)
}

// unverifiedIssuer returns what a token says of its issuer, true or not.
func unverifiedIssuer(token []byte) string {
	parts := strings.Split(string(token), ".")
	if len(parts) != 3 {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	var said struct {
		Issuer string `json:"iss"`
	}
	if json.Unmarshal(payload, &said) != nil {
		return ""
	}
	return said.Issuer
}

// Config says how to work with an OpenID Connect provider. Zero values mean the defaults.
type Config struct {
	// IssuerURL is the provider's address, exactly as its tokens and its discovery document say it:
	// https, or http on this machine. Required.
	IssuerURL string
	// ClientID is what the provider knows this service by. Required.
	ClientID string
	// ClientSecret is empty for a public client.
	ClientSecret string
	// RedirectURL is where the provider sends browsers back to. Without it no browser can sign in.
	RedirectURL string
	// Audiences are what bearer tokens may be for; the default is the ClientID alone.
	Audiences []string
	// Scopes are what is asked for at sign-in, openid added when it is not among them; the default
	// is openid and profile.
	Scopes []string
	// Claims says where tokens carry what is needed.
	Claims ClaimNames
	// Algorithms are those that a token may be signed with; the default is the RSA, ECDSA and EdDSA
	// ones. Those with a shared secret, and none, are never accepted.
	Algorithms []string

	// Timeout bounds each exchange with the provider; 0 means 5 s.
	Timeout time.Duration
	// RefreshEvery is how often the provider's keys are read anew while there are requests; 0 means
	// 10 min. A key that the provider has withdrawn is trusted for so long.
	RefreshEvery time.Duration
	// RefreshPause is the least time between two attempts to read the keys, whatever tokens arrive; 0 means 3 s.
	RefreshPause time.Duration
	// KeepKeys is how long the keys are trusted while the provider cannot be reached; 0 means 24 h.
	KeepKeys time.Duration

	// Transport carries requests to the provider; nil means http.DefaultTransport.
	Transport http.RoundTripper
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Logger gets what goes wrong with the provider; nil means slog.Default.
	Logger *slog.Logger
}

var asymmetricAlgorithms = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512,
	oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA,
}

func (c *Config) setDefaults() error {
	issuer, err := url.Parse(c.IssuerURL)
	if err != nil || issuer.Host == "" || issuer.Scheme != "https" && (issuer.Scheme != "http" || !isLoopback(issuer.Hostname())) {
		return errors.New("the issuer must be an https address, or an http address on this machine")
	}
	if c.ClientID == "" {
		return errors.New("a client id is required")
	}
	if len(c.Audiences) == 0 {
		c.Audiences = []string{c.ClientID}
	}
	if len(c.Scopes) == 0 {
		c.Scopes = []string{oidc.ScopeOpenID, "profile"}
	}
	if !slices.Contains(c.Scopes, oidc.ScopeOpenID) {
		c.Scopes = append([]string{oidc.ScopeOpenID}, c.Scopes...)
	}
	if len(c.Algorithms) == 0 {
		c.Algorithms = asymmetricAlgorithms
	}
	for _, algorithm := range c.Algorithms {
		if !slices.Contains(asymmetricAlgorithms, algorithm) {
			return fmt.Errorf("the signature algorithm %q is not accepted: use some of %s", algorithm, strings.Join(asymmetricAlgorithms, ", "))
		}
	}
	c.Claims.setDefaults()
	for _, span := range []struct {
		value    *time.Duration
		standard time.Duration
	}{
		{&c.Timeout, 5 * time.Second}, {&c.RefreshEvery, 10 * time.Minute}, {&c.RefreshPause, 3 * time.Second}, {&c.KeepKeys, 24 * time.Hour},
	} {
		if *span.value <= 0 {
			*span.value = span.standard
		}
	}
	if c.Transport == nil {
		c.Transport = http.DefaultTransport
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return nil
}

func isLoopback(host string) bool {
	address := net.ParseIP(host)
	return host == "localhost" || address != nil && address.IsLoopback()
}

// Provider verifies the tokens of an OpenID Connect provider and signs people in there. It
// speaks to the provider when it first has to, and keeps what it learns. It is safe for concurrent use.
type Provider struct {
	config Config
	keys   *providerKeys
}

// New checks the configuration; it does not speak to the provider. Close releases what it starts later.
func New(config Config) (*Provider, error) {
	if err := config.setDefaults(); err != nil {
		return nil, fmt.Errorf("set up the identity provider: %w", err)
	}
	return &Provider{config: config, keys: newProviderKeys(config)}, nil
}

// Close ends what runs in the background and waits for it.
func (p *Provider) Close() { p.keys.close() }

// Verify tells who a token of the provider speaks for. It fails with schema.InvalidCredential, schema.ExpiredCredential,
// ErrNoOrganisation, and schema.Unavailable when the provider's keys are needed and cannot be had.
func (p *Provider) Verify(ctx context.Context, token []byte) (*keys.Principal, error) {
	verified, payload, err := p.verify(ctx, string(token), p.config.Audiences)
	if err != nil {
		return nil, err
	}
	person, err := p.config.Claims.person(payload)
	if err != nil {
		return nil, err
	}
	first := person.Memberships[0]
	return &keys.Principal{Kind: keys.CallerUser, OrgID: first.OrgID, UserID: person.UserID, Role: first.Role, ExpiresAt: verified.Expiry.UTC()}, nil
}

// verify checks a token's signature, issuer, audience and times, and returns it with its claims.
func (p *Provider) verify(ctx context.Context, token string, audiences []string) (*oidc.IDToken, []byte, error) {
	signature := &tokenSignature{keys: p.keys, algorithms: p.config.Algorithms}
	verified, err := oidc.NewVerifier(p.config.IssuerURL, signature, &oidc.Config{
		SupportedSigningAlgs: p.config.Algorithms,
		SkipClientIDCheck:    true, // there may be several audiences
		SkipExpiryCheck:      true, // see checkTimes
	}).Verify(ctx, token)
	switch {
	case signature.err != nil: // which the library would turn into text
		return nil, nil, signature.err
	case err != nil:
		return nil, nil, schema.InvalidCredential
	case !slices.ContainsFunc(verified.Audience, func(a string) bool { return slices.Contains(audiences, a) }):
		return nil, nil, schema.InvalidCredential
	}
	if err := p.checkTimes(signature.payload); err != nil {
		return nil, nil, err
	}
	return verified, signature.payload, nil
}

// lastSecond is the end of the year 9999 in Unix seconds.
const lastSecond = 253_402_300_799

// checkTimes checks when a token is good. The library lets one begin five minutes from now, counts
// the instant of its expiry as before it, and takes any number for a time.
func (p *Provider) checkTimes(payload []byte) error {
	var said struct {
		Expiry    *float64 `json:"exp"`
		NotBefore float64  `json:"nbf"`
		IssuedAt  float64  `json:"iat"`
	}
	if json.Unmarshal(payload, &said) != nil || said.Expiry == nil || *said.Expiry > lastSecond {
		return schema.InvalidCredential
	}
	now := p.config.Now()
	if *said.Expiry <= float64(now.UnixNano())/1e9 {
		return schema.ExpiredCredential
	}
	if latest := float64(now.Add(people.ClockLeeway).Unix()); said.NotBefore > latest || said.IssuedAt > latest {
		return schema.InvalidCredential
	}
	return nil
}

// AuthCodeURL returns where to send a browser to sign in. It fails with schema.Unavailable.
func (p *Provider) AuthCodeURL(ctx context.Context, flow people.Flow) (string, error) {
	known, err := p.keys.get(ctx, anyKeys)
	if err != nil {
		return "", err
	}
	return p.oauth(known).AuthCodeURL(flow.State, oidc.Nonce(flow.Nonce), oauth2.S256ChallengeOption(flow.Verifier)), nil
}

// oauth says how to sign people in at the provider. How this client proves who it is follows from what
// the provider publishes; the library would find out by sending the code twice.
func (p *Provider) oauth(known *providerState) *oauth2.Config {
	endpoint := known.provider.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInHeader
	var published struct {
		Methods []string `json:"token_endpoint_auth_methods_supported"`
	}
	readable := known.provider.Claims(&published) == nil
	if p.config.ClientSecret == "" || readable && len(published.Methods) > 0 && !slices.Contains(published.Methods, "client_secret_basic") {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return &oauth2.Config{
		ClientID: p.config.ClientID, ClientSecret: p.config.ClientSecret, RedirectURL: p.config.RedirectURL,
		Endpoint: endpoint, Scopes: p.config.Scopes,
	}
}

// Callback is what the provider sends a browser back with.
type Callback struct {
	Code   string
	Issuer string // RFC 9207; empty when the provider does not send it
}

// Exchange redeems the code of a callback and tells who has signed in. It fails with schema.InvalidCredential,
// schema.ExpiredCredential, ErrNoOrganisation and schema.Unavailable.
func (p *Provider) Exchange(ctx context.Context, flow people.Flow, callback Callback) (people.Person, error) {
	if callback.Issuer != "" && callback.Issuer != p.config.IssuerURL {
		return people.Person{}, schema.InvalidCredential.Because(errors.New("the code is another provider's"))
	}
	known, err := p.keys.get(ctx, anyKeys)
	if err != nil {
		return people.Person{}, err
	}
	ctx = oidc.ClientContext(ctx, p.keys.client)
	tokens, err := p.oauth(known).Exchange(ctx, callback.Code, oauth2.VerifierOption(flow.Verifier))
	if err != nil {
		return people.Person{}, exchangeError(err)
	}
	raw, _ := tokens.Extra("id_token").(string)
	verified, payload, err := p.verify(ctx, raw, []string{p.config.ClientID})
	if err != nil {
		return people.Person{}, err
	}
	if err := p.checkIDToken(verified, payload, tokens.AccessToken, flow.Nonce); err != nil {
		return people.Person{}, err
	}
	person, err := p.config.Claims.person(payload)
	if errors.Is(err, people.ErrNoOrganisation) && known.provider.UserInfoEndpoint() != "" {
		return p.askUserInfo(ctx, known, tokens, verified.Subject)
	}
	return person, err
}

// exchangeError sorts the ways in which a code is not redeemed. The provider's text is left out: it
// may quote the code.
func exchangeError(err error) error {
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) {
		return schema.Unavailable.Because(fmt.Errorf("redeem a sign-in code: %w", err))
	}
	if refused.ErrorCode == "invalid_grant" {
		return schema.InvalidCredential.Because(errors.New("the provider does not accept the code"))
	}
	return schema.Unavailable.Because(fmt.Errorf("redeem a sign-in code: the provider answered %d %q", refused.Response.StatusCode, refused.ErrorCode))
}

// checkIDToken checks what binds an ID token to this client, this flow and the access token.
func (p *Provider) checkIDToken(verified *oidc.IDToken, payload []byte, accessToken, nonce string) error {
	var said struct {
		AuthorizedParty string `json:"azp"`
	}
	if json.Unmarshal(payload, &said) != nil {
		return schema.InvalidCredential
	}
	switch {
	case subtle.ConstantTimeCompare([]byte(verified.Nonce), []byte(nonce)) != 1:
		return schema.InvalidCredential.Because(errors.New("the token is of another sign-in"))
	case said.AuthorizedParty != "" && said.AuthorizedParty != p.config.ClientID, said.AuthorizedParty == "" && len(verified.Audience) > 1:
		return schema.InvalidCredential.Because(errors.New("the token is another client's"))
	case verified.AccessTokenHash != "" && verified.VerifyAccessToken(accessToken) != nil:
		return schema.InvalidCredential.Because(errors.New("the tokens do not belong together"))
	}
	return nil
}

// askUserInfo reads a person from the userinfo endpoint, where some providers put what the ID token
// lacks.
func (p *Provider) askUserInfo(ctx context.Context, known *providerState, tokens *oauth2.Token, subject string) (people.Person, error) {
	info, err := known.provider.UserInfo(ctx, oauth2.StaticTokenSource(tokens))
	if err != nil {
		return people.Person{}, schema.Unavailable.Because(fmt.Errorf("ask for userinfo: %w", err))
	}
	if info.Subject != subject {
		return people.Person{}, schema.InvalidCredential.Because(errors.New("userinfo is about somebody else"))
	}
	var payload json.RawMessage
	if err := info.Claims(&payload); err != nil {
		return people.Person{}, schema.InvalidCredential
	}
	return p.config.Claims.person(payload)
}
