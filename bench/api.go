package bench

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

// api calls the routes of a service that a load is not made of: keys, sessions, tokens.
type api struct {
	base   string
	client *http.Client
	tokens []string // an organisation's user token
}

func newAPI(base string) *api {
	return &api{base: base, client: &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 32}}}
}

// secret is a key or a device credential that was just made.
type secret struct {
	ID  string `json:"_id"`
	Key string `json:"key"`
}

// createKey makes an API key of an organisation.
func (a *api) createKey(ctx context.Context, organisation int) (s secret, err error) {
	return s, a.create(ctx, "/orgs/api_keys/create/v1", organisation, &s)
}

// createCredential makes a device credential of an organisation.
func (a *api) createCredential(ctx context.Context, organisation int) (s secret, err error) {
	return s, a.create(ctx, "/orgs/device_credentials/create/v1", organisation, &s)
}

func (a *api) create(ctx context.Context, path string, organisation int, into *secret) error {
	body := map[string]string{"name": "load suite", "expires_at_timestamp": time.Now().Add(30 * 24 * time.Hour).UTC().Format(time.RFC3339)}
	return a.call(ctx, http.MethodPost, path, nil, a.tokens[organisation], body, into)
}

// revokeKey revokes an API key of an organisation.
func (a *api) revokeKey(ctx context.Context, organisation int, id string) error {
	return a.call(ctx, http.MethodPost, "/orgs/api_keys/revoke/v1", url.Values{"api_key_id": {id}}, a.tokens[organisation], nil, nil)
}

// call sends a request and decodes a successful answer into answer, unless that is nil.
func (a *api) call(ctx context.Context, method, path string, query url.Values, credential string, body, answer any) error {
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("encode the request to %s: %w", path, err)
		}
		reader = bytes.NewReader(text)
	}
	address := a.base + path
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
	response, err := a.client.Do(request)
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
