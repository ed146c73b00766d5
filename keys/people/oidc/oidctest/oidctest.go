// Package oidctest runs a real OpenID Connect provider in the test's process: zitadel/oidc with its
// example's storage and login page, and people who have roles in organisations.
package oidctest

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// What the provider knows this service by, and everybody's password.
const (
	ClientID     = "lastseen-console"
	ClientSecret = "a secret of the test"
	Password     = "verysecure"
)

// User is somebody with an account.
type User struct {
	ID     string // the token's sub
	Name   string // to sign in with
	Claims map[string]any
	// OnlyUserInfo keeps the claims out of ID tokens.
	OnlyUserInfo bool
}

// Provider is a running provider. It is safe for concurrent use.
type Provider struct {
	URL string // the issuer

	store    *store
	server   *httptest.Server
	requests atomic.Int64

	mu   sync.Mutex
	gate func(w http.ResponseWriter, r *http.Request) bool
}

// Start runs a provider until the test ends. redirectURI is where it sends browsers back to.
func Start(t testing.TB, redirectURI string, users ...User) *Provider {
	t.Helper()
	p := &Provider{}
	p.server = httptest.NewUnstartedServer(nil)
	// By name, so that for browsers it is another site than a service at 127.0.0.1.
	p.URL = fmt.Sprintf("http://localhost:%d", p.server.Listener.Addr().(*net.TCPAddr).Port)
	people := directory{}
	for _, user := range users {
		people[user.ID] = user
	}
	clients := map[string]*storage.Client{ClientID: storage.WebClient(ClientID, ClientSecret, redirectURI)}
	p.store = &store{Storage: storage.NewStorageWithClients(people, clients), people: people}
	p.Rotate(t, true)
	router := exampleop.SetupServer(p.URL, p.store, nil, false, op.WithLogger(slog.New(slog.DiscardHandler)))
	p.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.requests.Add(1)
		p.mu.Lock()
		gate := p.gate
		p.mu.Unlock()
		if gate == nil || gate(w, r) {
			router.ServeHTTP(w, r)
		}
	})
	p.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	p.server.Start()
	t.Cleanup(p.server.Close)
	return p
}

// Requests returns how many requests have arrived.
func (p *Provider) Requests() int { return int(p.requests.Load()) }

// Gate has a function see every request first; it returns whether the provider shall answer it. nil
// takes it away.
func (p *Provider) Gate(gate func(w http.ResponseWriter, r *http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gate = gate
}

// Down is a gate that answers nothing but errors.
func Down(w http.ResponseWriter, _ *http.Request) bool {
	http.Error(w, "down", http.StatusBadGateway)
	return false
}

// Rotate makes a new key, with which everything is signed from now on. The earlier ones stay published
// unless they are withdrawn.
func (p *Provider) Rotate(t testing.TB, withdraw bool) {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p.store.mu.Lock()
	defer p.store.mu.Unlock()
	if withdraw {
		p.store.keys = nil
	}
	p.store.made++
	p.store.keys = append(p.store.keys, signingKey{fmt.Sprintf("key-%d", p.store.made), private})
}

// Key returns the private key that the provider signs with, and its id.
func (p *Provider) Key() (id string, key *rsa.PrivateKey) {
	newest := p.store.newest()
	return newest.id, newest.private
}

// Sign signs claims with the provider's key as the provider does.
func (p *Provider) Sign(t testing.TB, claims map[string]any) string {
	t.Helper()
	id, key := p.Key()
	return Sign(t, jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: id}}, claims, nil)
}

// Sign signs claims with any key, with additional headers.
func Sign(t testing.TB, key jose.SigningKey, claims map[string]any, headers map[jose.HeaderKey]any) string {
	t.Helper()
	signer, err := jose.NewSigner(key, &jose.SignerOptions{ExtraHeaders: headers})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

var (
	formAction = regexp.MustCompile(`<form[^>]+action="([^"]+)"`)
	formID     = regexp.MustCompile(`name="id" value="([^"]+)"`)
)

// SignIn does what a person does at the address where a service has sent the browser: follow it, fill
// in the form. It returns the parameters with which the provider sends the browser back.
func (p *Provider) SignIn(t testing.TB, address, userName string) url.Values {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	var back url.Values
	errBack := errors.New("sent back")
	client := &http.Client{Jar: jar, CheckRedirect: func(request *http.Request, _ []*http.Request) error {
		if "http://"+request.URL.Host == p.URL {
			return nil
		}
		back = request.URL.Query()
		return errBack
	}}
	page, err := client.Get(address)
	if err != nil {
		t.Fatalf("open the provider's page: %v", err)
	}
	defer page.Body.Close()
	body := make([]byte, 64<<10)
	n, _ := page.Body.Read(body)
	action, id := formAction.FindSubmatch(body[:n]), formID.FindSubmatch(body[:n])
	if action == nil || id == nil {
		t.Fatalf("the provider shows no form but %d %q", page.StatusCode, body[:n])
	}
	target, err := page.Request.URL.Parse(html.UnescapeString(string(action[1])))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.PostForm(target.String(), url.Values{"username": {userName}, "password": {Password}, "id": {string(id[1])}})
	if err == nil {
		defer answer.Body.Close()
		t.Fatalf("the provider did not send the browser back but answered %d", answer.StatusCode)
	}
	if !errors.Is(err, errBack) {
		t.Fatalf("sign in at the provider: %v", err)
	}
	return back
}

// store is the example's storage with several keys and with claims of our own.
type store struct {
	*storage.Storage
	people directory

	mu   sync.Mutex
	keys []signingKey
	made int
}

func (s *store) newest() signingKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[len(s.keys)-1]
}

// SigningKey is for op.Storage.
func (s *store) SigningKey(context.Context) (op.SigningKey, error) { return s.newest(), nil }

// SignatureAlgorithms is for op.Storage.
func (s *store) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{jose.RS256}, nil
}

// KeySet is for op.Storage.
func (s *store) KeySet(context.Context) ([]op.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	published := make([]op.Key, len(s.keys))
	for i, key := range s.keys {
		published[i] = publicKey{key}
	}
	return published, nil
}

// GetClientByClientID is for op.Storage.
func (s *store) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	client, err := s.Storage.GetClientByClientID(ctx, id)
	if err != nil {
		return nil, err
	}
	return jwtClient{client}, nil
}

// jwtClient is a client whose access tokens are JWTs.
type jwtClient struct{ op.Client }

// AccessTokenType is for op.Client.
func (jwtClient) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeJWT }

// GetPrivateClaimsFromScopes is for op.Storage: what access tokens say besides the standard's claims.
func (s *store) GetPrivateClaimsFromScopes(_ context.Context, userID, _ string, _ []string) (map[string]any, error) {
	return s.people[userID].Claims, nil
}

// SetUserinfoFromRequest is for op.Storage: what ID tokens say.
func (s *store) SetUserinfoFromRequest(ctx context.Context, info *oidc.UserInfo, request op.IDTokenRequest, scopes []string) error {
	user := s.people[request.GetSubject()]
	if !user.OnlyUserInfo {
		addClaims(info, user)
	}
	return s.Storage.SetUserinfoFromRequest(ctx, info, request, scopes)
}

// SetUserinfoFromToken is for op.Storage: what the userinfo endpoint says.
func (s *store) SetUserinfoFromToken(ctx context.Context, info *oidc.UserInfo, tokenID, subject, origin string) error {
	addClaims(info, s.people[subject])
	return s.Storage.SetUserinfoFromToken(ctx, info, tokenID, subject, origin)
}

func addClaims(info *oidc.UserInfo, user User) {
	for name, value := range user.Claims {
		info.AppendClaims(name, value)
	}
}

type signingKey struct {
	id      string
	private *rsa.PrivateKey
}

// SignatureAlgorithm, Key and ID are for op.SigningKey.
func (k signingKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k signingKey) Key() any                                    { return k.private }
func (k signingKey) ID() string                                  { return k.id }

type publicKey struct{ key signingKey }

func (k publicKey) Algorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k publicKey) Use() string                        { return "sig" }
func (k publicKey) Key() any                           { return &k.key.private.PublicKey }
func (k publicKey) ID() string                         { return k.key.id }

// directory is the example storage's list of people.
type directory map[string]User

// ExampleClientID is for storage.UserStore.
func (directory) ExampleClientID() string { return "unused" }

// GetUserByID is for storage.UserStore.
func (d directory) GetUserByID(id string) *storage.User {
	user, ok := d[id]
	if !ok {
		return nil
	}
	return &storage.User{ID: user.ID, Username: user.Name, Password: Password}
}

// GetUserByUsername is for storage.UserStore.
func (d directory) GetUserByUsername(name string) *storage.User {
	for id, user := range d {
		if user.Name == name {
			return d.GetUserByID(id)
		}
	}
	return nil
}
