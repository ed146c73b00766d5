package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"lastseen/schema"
)

// providerKeys keeps what a provider publishes: its endpoints and the keys that it signs with. They
// are read when first needed, again after a while without anybody waiting for it, and at once when a
// token names a key that is not known; never more often than every RefreshPause, and one at a time,
// so that whatever tokens arrive, the provider gets few requests and nobody waits for long.
type providerKeys struct {
	config Config
	client *http.Client

	closing context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	state    *providerState // nil before the first success
	reading  chan struct{}  // closed when the attempt under way ends; nil when there is none
	tried    time.Time      // when the last attempt began
	attempts int
	failure  error // of the last attempt
}

// providerState is what a provider published at a time. It is never changed.
type providerState struct {
	provider *oidc.Provider
	keys     []jose.JSONWebKey
	readAt   time.Time
}

// maxProviderBody bounds what is read of a provider's answer, in bytes.
const maxProviderBody = 1 << 20

func newProviderKeys(config Config) *providerKeys {
	k := &providerKeys{config: config}
	k.client = &http.Client{Timeout: config.Timeout, Transport: limitedTransport{config.Transport}}
	k.closing, k.stop = context.WithCancel(context.Background())
	return k
}

func (k *providerKeys) close() {
	k.mu.Lock()
	k.stop() // under the lock: no attempt begins afterwards
	k.mu.Unlock()
	k.running.Wait()
}

// anyKeys is a question to get that any state answers.
func anyKeys(*providerState) bool { return true }

// get returns what the provider has published, good enough for the caller. If what is known is not,
// it is read anew, once, unless that was tried a moment ago; the caller then gets what there is, good
// enough or not. It fails with schema.Unavailable when nothing is known, when what is known is too old,
// and when it is not good enough and could not be read anew.
func (k *providerKeys) get(ctx context.Context, goodEnough func(*providerState) bool) (*providerState, error) {
	k.mu.Lock()
	state := k.usable()
	if state != nil && goodEnough(state) {
		if k.config.Now().Sub(state.readAt) >= k.config.RefreshEvery {
			k.begin()
		}
		k.mu.Unlock()
		return state, nil
	}
	reading := k.begin()
	k.mu.Unlock()
	if reading != nil {
		select {
		case <-reading:
		case <-ctx.Done():
			return nil, schema.Unavailable.Because(fmt.Errorf("wait for the identity provider: %w", ctx.Err()))
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	state = k.usable()
	if state == nil || k.failure != nil && !goodEnough(state) {
		return nil, schema.Unavailable.Because(fmt.Errorf("read the identity provider's keys: %w", k.failure))
	}
	return state, nil
}

// usable returns the state unless it is too old. The caller holds mu.
func (k *providerKeys) usable() *providerState {
	if k.state == nil || k.config.Now().Sub(k.state.readAt) > k.config.KeepKeys {
		return nil
	}
	return k.state
}

// begin starts reading, or joins the attempt under way; it returns a channel that is closed at its
// end, and nil when it is too soon for another. The caller holds mu.
func (k *providerKeys) begin() <-chan struct{} {
	now := k.config.Now()
	switch {
	case k.reading != nil:
		return k.reading
	case k.closing.Err() != nil:
		k.failure = errors.New("the service is stopping")
		return nil
	case k.attempts > 0 && now.Sub(k.tried) < k.config.RefreshPause:
		return nil
	}
	done := make(chan struct{})
	k.reading, k.tried = done, now
	k.attempts++
	k.running.Go(func() {
		state, err := k.read()
		k.mu.Lock()
		defer k.mu.Unlock()
		if err != nil {
			k.config.Logger.Warn("could not read the identity provider's keys", "issuer", k.config.IssuerURL, "error", err)
		} else {
			k.state = state
		}
		k.failure, k.reading = err, nil
		close(done)
	})
	return done
}

// read asks the provider for its discovery document and its keys.
func (k *providerKeys) read() (*providerState, error) {
	ctx, cancel := context.WithTimeout(oidc.ClientContext(k.closing, k.client), k.config.Timeout)
	defer cancel()
	readAt := k.config.Now()
	provider, err := oidc.NewProvider(ctx, k.config.IssuerURL)
	if err != nil {
		return nil, fmt.Errorf("read the discovery document: %w", err)
	}
	var published struct {
		KeysURL string `json:"jwks_uri"`
	}
	if err := provider.Claims(&published); err != nil {
		return nil, fmt.Errorf("read the discovery document: %w", err)
	}
	keys, err := k.readKeys(ctx, published.KeysURL)
	if err != nil {
		return nil, fmt.Errorf("read the key set: %w", err)
	}
	return &providerState{provider: provider, keys: keys, readAt: readAt}, nil
}

func (k *providerKeys) readKeys(ctx context.Context, url string) ([]jose.JSONWebKey, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	answer, err := k.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %s", answer.Status)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	return parseKeys(body)
}

// parseKeys reads a JSON Web Key Set. Keys that cannot be read or are not for signatures, and shared
// secrets, are left out, as the standard wants it.
func parseKeys(body []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("it is not a JSON Web Key Set: %w", err)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(raw) != nil || !key.Valid() || !key.IsPublic() || key.Use != "" && key.Use != "sig" {
			continue
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("it holds no key that signatures could be checked with")
	}
	return keys, nil
}

// tokenSignature checks the signature of one token; it is that token's oidc.KeySet.
type tokenSignature struct {
	keys       *providerKeys
	algorithms []string
	payload    []byte // once the signature is checked
	err        error  // schema.InvalidCredential or schema.Unavailable
}

// VerifySignature returns the payload of a token that one of the provider's keys has signed.
func (s *tokenSignature) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	s.payload, s.err = s.verify(ctx, token)
	return s.payload, s.err
}

func (s *tokenSignature) verify(ctx context.Context, token string) ([]byte, error) {
	allowed := make([]jose.SignatureAlgorithm, len(s.algorithms))
	for i, algorithm := range s.algorithms {
		allowed[i] = jose.SignatureAlgorithm(algorithm)
	}
	signed, err := jose.ParseSignedCompact(token, allowed)
	if err != nil || len(signed.Signatures) != 1 {
		return nil, schema.InvalidCredential
	}
	header := signed.Signatures[0].Header
	if !isUserTokenType(header.ExtraHeaders[jose.HeaderType]) {
		return nil, schema.InvalidCredential
	}
	state, err := s.keys.get(ctx, func(state *providerState) bool {
		return slices.ContainsFunc(state.keys, func(key jose.JSONWebKey) bool { return fits(key, header) })
	})
	if err != nil {
		return nil, err
	}
	if payload, ok := checkSignature(signed, state.keys); ok {
		return payload, nil
	}
	if header.KeyID != "" {
		return nil, schema.InvalidCredential
	}
	// A token that does not name its key may be signed with one that is newer than what is known.
	newer, err := s.keys.get(ctx, func(other *providerState) bool { return other != state })
	if err == nil {
		if payload, ok := checkSignature(signed, newer.keys); ok {
			return payload, nil
		}
	}
	return nil, schema.InvalidCredential
}

// checkSignature returns the payload of a token that one of the keys has signed.
func checkSignature(signed *jose.JSONWebSignature, keys []jose.JSONWebKey) ([]byte, bool) {
	for _, key := range keys {
		if fits(key, signed.Signatures[0].Header) {
			if payload, err := signed.Verify(key.Key); err == nil {
				return payload, true
			}
		}
	}
	return nil, false
}

// fits reports whether a key may be what a token is signed with. A key that is for one algorithm is
// for no other.
func fits(key jose.JSONWebKey, header jose.Header) bool {
	return (header.KeyID == "" || key.KeyID == header.KeyID) && (key.Algorithm == "" || key.Algorithm == header.Algorithm)
}

// isUserTokenType reports whether a token's typ header is that of an access or ID token, or absent.
// Providers sign other things with the same keys, such as logout tokens.
func isUserTokenType(typ any) bool {
	name, isText := typ.(string)
	if typ == nil {
		return true
	}
	name = strings.TrimPrefix(strings.ToLower(name), "application/")
	return isText && (name == "jwt" || name == "at+jwt")
}

// limitedTransport bounds the bodies of answers.
type limitedTransport struct{ inner http.RoundTripper }

// RoundTrip sends a request.
func (t limitedTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := t.inner.RoundTrip(request)
	if err == nil {
		answer.Body = http.MaxBytesReader(nil, answer.Body, maxProviderBody)
	}
	return answer, err
}
