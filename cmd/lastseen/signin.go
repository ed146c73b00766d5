package main

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"lastseen/keys/people"
	"lastseen/keys/people/oidc"
)

// signInFlags say how people sign in with browsers, and whose tokens are accepted.
type signInFlags struct {
	PublicURL  string        `name:"public-url" placeholder:"URL" help:"Where browsers reach the service, such as https://tracking.example; with https, session cookies go over TLS only. Needed for an identity provider."`
	SessionTTL time.Duration `name:"session-ttl" default:"8h" placeholder:"DURATION" help:"How long a browser stays signed in; a changed role counts from the next sign-in (default ${default})."`

	OIDCIssuer           string   `name:"oidc-issuer" placeholder:"URL" help:"OpenID Connect provider whose users are let in, exactly as its tokens name it; none by default."`
	OIDCClientID         string   `name:"oidc-client-id" placeholder:"ID" help:"What the provider knows this service by; its redirect address is PUBLIC-URL/auth/callback."`
	OIDCClientSecret     string   `name:"oidc-client-secret" placeholder:"SECRET" help:"The client's secret, empty for a public client; put it into the environment variable, not on the command line."`
	OIDCAudience         []string `name:"oidc-audience" placeholder:"AUDIENCE" help:"What bearer tokens may be for, separated by commas; by default the client id."`
	OIDCScopes           []string `name:"oidc-scopes" placeholder:"SCOPE" help:"What is asked for at sign-in, separated by commas; by default openid and profile."`
	OIDCAlgorithms       []string `name:"oidc-algorithms" placeholder:"ALG" help:"Signature algorithms to accept, separated by commas; by default RSA, ECDSA and EdDSA. Shared secrets and none never are."`
	OIDCUserClaim        string   `name:"oidc-user-claim" default:"sub" placeholder:"CLAIM" help:"Claim with the user's id; dots lead into objects (default ${default})."`
	OIDCOrgClaim         string   `name:"oidc-org-claim" default:"org_id" placeholder:"CLAIM" help:"Claim with the organisation's id (default ${default})."`
	OIDCRoleClaim        string   `name:"oidc-role-claim" default:"org_role" placeholder:"CLAIM" help:"Claim with the role in it, or a list of which the highest counts (default ${default})."`
	OIDCMembershipsClaim string   `name:"oidc-memberships-claim" placeholder:"CLAIM" help:"Claim with further organisations: an object of roles, or a list of objects with org_id and org_role; none by default."`
}

// Validate refuses flags that do not go together.
func (f *signInFlags) Validate() error {
	public, err := url.Parse(f.PublicURL)
	switch {
	case f.PublicURL != "" && (err != nil || public.Host == "" || public.Scheme != "http" && public.Scheme != "https" || strings.Trim(public.Path, "/") != "" || public.RawQuery != ""):
		return errors.New("--public-url must be like https://tracking.example, without a path")
	case f.SessionTTL < time.Minute || f.SessionTTL > 30*24*time.Hour:
		return errors.New("--session-ttl must be 1m to 720h")
	case f.OIDCIssuer == "" && (f.OIDCClientID != "" || f.OIDCClientSecret != ""):
		return errors.New("--oidc-client-id and --oidc-client-secret need --oidc-issuer")
	case f.OIDCIssuer != "" && (f.OIDCClientID == "" || f.PublicURL == ""):
		return errors.New("--oidc-issuer needs --oidc-client-id and --public-url")
	}
	return nil
}

// signInConfig says how people sign in. The zero value is for sign-in links alone.
type signInConfig struct {
	sessionTTL time.Duration
	provider   *oidc.Config // nil for none
}

func (f *signInFlags) signInConfig() signInConfig {
	config := signInConfig{sessionTTL: f.SessionTTL}
	if f.OIDCIssuer != "" {
		config.provider = &oidc.Config{
			IssuerURL: f.OIDCIssuer, ClientID: f.OIDCClientID, ClientSecret: f.OIDCClientSecret,
			RedirectURL: strings.TrimRight(f.PublicURL, "/") + "/auth/callback",
			Audiences:   f.OIDCAudience, Scopes: f.OIDCScopes, Algorithms: f.OIDCAlgorithms,
			Claims: oidc.ClaimNames{User: f.OIDCUserClaim, Org: f.OIDCOrgClaim, Role: f.OIDCRoleClaim, Memberships: f.OIDCMembershipsClaim},
		}
	}
	return config
}

// startSignIn sets up how people sign in. The provider is nil when there is none.
func (a *App) startSignIn(ctx context.Context, issuer *people.Issuer) (*people.SignIn, *oidc.Provider, error) {
	var store people.SpentStore = a.db
	if a.nodes != nil {
		store = a.nodes.SpentIn(a.db)
	}
	signIn, err := people.OpenSignIn(ctx, people.SignInConfig{
		Issuer: issuer, Store: store, DataDir: a.config.schema.DataDir, SessionTTL: a.config.signIn.sessionTTL, Logger: a.config.log,
	})
	if err != nil {
		return nil, nil, err
	}
	if a.config.signIn.provider == nil {
		return signIn, nil, nil
	}
	config := *a.config.signIn.provider
	config.Logger = a.config.log
	provider, err := oidc.New(config)
	if err != nil {
		return nil, nil, err
	}
	a.onStop("the identity provider's keys", func(context.Context) error {
		provider.Close()
		return nil
	})
	return signIn, provider, nil
}
