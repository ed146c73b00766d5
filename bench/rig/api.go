package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// The routes of API keys.
const (
	PathCreateKey = "/orgs/api_keys/create/v1"
	PathRevokeKey = "/orgs/api_keys/revoke/v1"
)

// API calls the routes of a service that a load is not made of: keys, sessions, tokens.
type API struct {
	// Base is the service's address, without a slash at its end.
	Base string
	// Client makes the calls.
	Client *http.Client

	tokens []string // an organisation's user token
}

// NewAPI makes one for an address. It is safe for concurrent use.
func NewAPI(base string) *API {
	return &API{Base: base, Client: &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 32}}}
}

// Token is an organisation's user token.
func (a *API) Token(organisation int) string { return a.tokens[organisation] }

// Secret is a key or a device credential that was just made.
type Secret struct {
	// ID names it on the routes, and Key is what its holder shows.
	ID  string `json:"_id"`
	Key string `json:"key"`
}

// CreateKey makes an API key of an organisation.
func (a *API) CreateKey(ctx context.Context, organisation int) (s Secret, err error) {
	return s, a.create(ctx, PathCreateKey, organisation, &s)
}

// CreateCredential makes a device credential of an organisation.
func (a *API) CreateCredential(ctx context.Context, organisation int) (s Secret, err error) {
	return s, a.create(ctx, "/orgs/device_credentials/create/v1", organisation, &s)
}

func (a *API) create(ctx context.Context, path string, organisation int, into *Secret) error {
	body := map[string]string{"name": "load suite", "expires_at_timestamp": time.Now().Add(30 * 24 * time.Hour).UTC().Format(time.RFC3339)}
	return a.Call(ctx, http.MethodPost, path, nil, a.tokens[organisation], body, into)
}

// RevokeKey revokes an API key of an organisation.
func (a *API) RevokeKey(ctx context.Context, organisation int, id string) error {
	return a.Call(ctx, http.MethodPost, PathRevokeKey, url.Values{"api_key_id": {id}}, a.tokens[organisation], nil, nil)
}

// Call sends a request and decodes a successful answer into answer, unless that is nil.
func (a *API) Call(ctx context.Context, method, path string, query url.Values, credential string, body, answer any) error {
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("encode the request to %s: %w", path, err)
		}
		reader = bytes.NewReader(text)
	}
	address := a.Base + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, method, address, reader)
	if err != nil {
		return fmt.Errorf("make the request to %s: %w", path, err)
	}
	request.Header.Set("Authorization", "Bearer "+credential)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := a.Client.Do(request)
	if err != nil {
		return err // it names the method and the address already
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", path, err)
	}
	if response.StatusCode >= 300 {
		return fmt.Errorf("%s answered %s: %.300s", path, response.Status, text)
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("decode the answer of %s: %w", path, err)
	}
	return nil
}
