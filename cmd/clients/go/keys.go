package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"time"
)

// keyKind is a kind of key: its routes, how they name the id, and the word for messages.
type keyKind struct{ path, id, what string }

var (
	apiKey           = keyKind{"/orgs/api_keys", "api_key_id", "API key"}
	deviceCredential = keyKind{"/orgs/device_credentials", "device_credential_id", "device credential"}
)

// KeyRecord is what the server tells about an API key or a device credential. Key is the key itself, only in the answer to
// its creation.
type KeyRecord struct {
	ID              string     `json:"_id"`
	OrgID           string     `json:"org_id"`
	Name            string     `json:"name"`
	Prefix          string     `json:"prefix"`
	CreatedByUserID string     `json:"created_by_user_id"`
	CreatedAt       Timestamp  `json:"created_at_timestamp"`
	ExpiresAt       Timestamp  `json:"expires_at_timestamp"`
	RevokedAt       *Timestamp `json:"revoked_at_timestamp,omitempty"`
	RevokedByUserID string     `json:"revoked_by_user_id,omitempty"`
	LastUsedAt      *Timestamp `json:"last_used_at_timestamp,omitempty"`
	Status          string     `json:"status"`

	Scopes            []string `json:"scopes,omitempty"`
	Ranges            []string `json:"allowed_ip_ranges,omitempty"`
	RequestsPerSecond int      `json:"requests_per_second,omitempty"`
	ReplacesID        string   `json:"replaces_id,omitempty"`
	ReplacedByID      string   `json:"replaced_by_id,omitempty"`

	// Of a device credential: the one device that it may write for, and whether it brings devices that nobody knows yet.
	DeviceID         string `json:"device_id,omitempty"`
	RegistersDevices bool   `json:"registers_devices,omitempty"`

	Key string `json:"key,omitempty"`
}

// Timestamp is a time that is written exactly as the server gave it.
type Timestamp struct {
	time.Time
	text string
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Timestamp) UnmarshalJSON(text []byte) error {
	t.text = string(text)
	return t.Time.UnmarshalJSON(text)
}

// MarshalJSON implements json.Marshaler.
func (t Timestamp) MarshalJSON() ([]byte, error) {
	if t.text == "" {
		return t.Time.MarshalJSON()
	}
	return []byte(t.text), nil
}

// KeyLimits is what a key may do; what is empty, and a rate of 0, says nothing.
type KeyLimits struct {
	Scopes            []string `json:"scopes,omitempty"`
	Ranges            []string `json:"allowed_ip_ranges,omitempty"`
	RequestsPerSecond int      `json:"requests_per_second,omitempty"`
}

// NewKey is an API key, or a device credential, to be made. Limits are an API key's; DeviceID and RegistersDevices are a
// credential's.
type NewKey struct {
	Name      string
	ExpiresAt time.Time
	KeyLimits
	DeviceID         string
	RegistersDevices bool
}

// instant is the form of times in requests.
const instant = "2006-01-02T15:04:05.000Z"

// CreateKey makes an API key. The request has a name of its own (Idempotency-Key), so it is made again when the
// connection breaks and still makes one key. Where that one was in an answer that was lost, nobody knows its text: it is
// revoked, and another is made.
func (c *Client) CreateKey(ctx context.Context, wanted NewKey) (KeyRecord, error) {
	return c.createKey(ctx, apiKey, wanted)
}

// CreateCredential is CreateKey of a device credential.
func (c *Client) CreateCredential(ctx context.Context, wanted NewKey) (KeyRecord, error) {
	return c.createKey(ctx, deviceCredential, wanted)
}

func (c *Client) createKey(ctx context.Context, of keyKind, wanted NewKey) (KeyRecord, error) {
	record, err := c.tryCreateKey(ctx, of, wanted)
	if lost := existing(err); lost != "" {
		if _, err := c.revokeKey(ctx, of, lost); err != nil {
			return KeyRecord{}, fmt.Errorf("a key was made whose text was lost on the way: %w", err)
		}
		record, err = c.tryCreateKey(ctx, of, wanted)
	}
	if err != nil {
		return KeyRecord{}, fmt.Errorf("create the %s: %w", of.what, err)
	}
	return record, nil
}

func (c *Client) tryCreateKey(ctx context.Context, of keyKind, wanted NewKey) (record KeyRecord, err error) {
	body, err := json.Marshal(struct {
		Name      string `json:"name"`
		ExpiresAt string `json:"expires_at_timestamp"`
		KeyLimits
		DeviceID         string `json:"device_id,omitempty"`
		RegistersDevices bool   `json:"registers_devices,omitempty"`
	}{wanted.Name, wanted.ExpiresAt.UTC().Format(instant), wanted.KeyLimits, wanted.DeviceID, wanted.RegistersDevices})
	if err != nil {
		return record, fmt.Errorf("encode a request: %w", err)
	}
	err = c.do(ctx, request{
		method: http.MethodPost, path: of.path + "/create/v1", body: body, repeatable: true,
		sent: map[string]string{"Content-Type": "application/json", "Idempotency-Key": rand.Text()},
	}, &record)
	return record, err
}

// existing is the id that a 409 names, and empty for all other errors.
func existing(err error) string {
	problem, is := errors.AsType[*Problem](err)
	if !is || problem.Status != http.StatusConflict {
		return ""
	}
	return problem.ID
}

// UpdateKey renames an API key, unless the name is empty, or narrows what it may do, and returns its record.
func (c *Client) UpdateKey(ctx context.Context, id, name string, limits KeyLimits) (KeyRecord, error) {
	var record KeyRecord
	body := struct {
		Name string `json:"name,omitempty"`
		KeyLimits
	}{name, limits}
	if err := c.post(ctx, "/orgs/api_keys/update/v1", url.Values{"api_key_id": {id}}, body, true, &record); err != nil {
		return KeyRecord{}, fmt.Errorf("update the API key %s: %w", id, err)
	}
	return record, nil
}

// ListKeys returns the records of the organisation's API keys that a query asks for (search, status, sort_by), all
// pages of them.
func (c *Client) ListKeys(ctx context.Context, query url.Values) ([]KeyRecord, error) {
	return c.listKeys(ctx, apiKey, query)
}

// ListCredentials is ListKeys of device credentials.
func (c *Client) ListCredentials(ctx context.Context, query url.Values) ([]KeyRecord, error) {
	return c.listKeys(ctx, deviceCredential, query)
}

func (c *Client) listKeys(ctx context.Context, of keyKind, query url.Values) (records []KeyRecord, err error) {
	query = maps.Clone(query)
	if query == nil {
		query = url.Values{}
	}
	for {
		var page []KeyRecord
		answer := request{method: http.MethodGet, path: of.path + "/list/v1", query: query, repeatable: true, headers: http.Header{}}
		if err := c.do(ctx, answer, &page); err != nil {
			return nil, fmt.Errorf("list the %ss: %w", of.what, err)
		}
		records = append(records, page...)
		next := answer.headers.Get("Next-Cursor")
		if next == "" {
			return records, nil
		}
		query.Set("cursor", next)
	}
}

// KeyRequests is how many requests a key made on a day, of one route and with one outcome.
type KeyRequests struct {
	Date     string `json:"date"`
	KeyID    string `json:"api_key_id"`
	Route    string `json:"route"`
	Outcome  string `json:"outcome"`
	Requests uint64 `json:"requests"`
}

// KeyUsage returns what an API key was used for since a day, by day, route and outcome.
func (c *Client) KeyUsage(ctx context.Context, id string, since time.Time) ([]KeyRequests, error) {
	var answer struct {
		Items []KeyRequests `json:"items"`
	}
	query := url.Values{"api_key_id": {id}, "start_date": {since.UTC().Format(time.DateOnly)}}
	if err := c.Get(ctx, "/orgs/api_keys/usage/v1", query, &answer); err != nil {
		return nil, fmt.Errorf("read what the API key %s was used for: %w", id, err)
	}
	return answer.Items, nil
}

// RevokeKey revokes an API key by its id and returns its record.
func (c *Client) RevokeKey(ctx context.Context, id string) (KeyRecord, error) {
	return c.revokeKey(ctx, apiKey, id)
}

// RevokeCredential is RevokeKey of a device credential.
func (c *Client) RevokeCredential(ctx context.Context, id string) (KeyRecord, error) {
	return c.revokeKey(ctx, deviceCredential, id)
}

func (c *Client) revokeKey(ctx context.Context, of keyKind, id string) (KeyRecord, error) {
	var record KeyRecord
	err := c.post(ctx, of.path+"/revoke/v1", url.Values{of.id: {id}}, struct{}{}, true, &record)
	if err != nil {
		return KeyRecord{}, fmt.Errorf("revoke the %s %s: %w", of.what, id, err)
	}
	return record, nil
}

// RotateKey makes a new key in the place of one, which expires when the grace ends, and returns the new
// key's record. The new one expires when expiresAt says, or as the server sees fit when that is zero.
// It is not made again when the connection breaks, since the first attempt may have made one that nobody got to see.
func (c *Client) RotateKey(ctx context.Context, id string, grace time.Duration, expiresAt time.Time) (KeyRecord, error) {
	return c.rotateKey(ctx, apiKey, id, grace, expiresAt)
}

// RotateCredential is RotateKey of a device credential.
func (c *Client) RotateCredential(ctx context.Context, id string, grace time.Duration, expiresAt time.Time) (KeyRecord, error) {
	return c.rotateKey(ctx, deviceCredential, id, grace, expiresAt)
}

func (c *Client) rotateKey(ctx context.Context, of keyKind, id string, grace time.Duration, expiresAt time.Time) (KeyRecord, error) {
	var record KeyRecord
	body := map[string]any{"grace_seconds": int64(grace / time.Second)}
	if !expiresAt.IsZero() {
		body["expires_at_timestamp"] = expiresAt.UTC().Format(instant)
	}
	err := c.post(ctx, of.path+"/rotate/v1", url.Values{of.id: {id}}, body, false, &record)
	if err != nil {
		return KeyRecord{}, fmt.Errorf("rotate the %s %s: %w", of.what, id, err)
	}
	return record, nil
}

// post sends a JSON body.
func (c *Client) post(ctx context.Context, path string, query url.Values, body any, repeatable bool, into any) error {
	encoded, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode a request: %w", err)
	}
	return c.do(ctx, request{
		method: http.MethodPost, path: path, query: query,
		body: encoded, sent: map[string]string{"Content-Type": "application/json"}, repeatable: repeatable,
	}, into)
}
