package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// KeyRecord is what the server tells about an API key. Key is the key itself, only in the answer to
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
	Key             string     `json:"key,omitempty"`
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

// CreateKey makes an API key. It is not made again when the connection breaks, since the first
// attempt may have made one that nobody got to see.
func (c *Client) CreateKey(ctx context.Context, name string, expiresAt time.Time) (KeyRecord, error) {
	var record KeyRecord
	body := map[string]string{"name": name, "expires_at_timestamp": expiresAt.UTC().Format("2006-01-02T15:04:05.000Z")}
	err := c.post(ctx, "/orgs/api_keys/create/v1", nil, body, false, &record)
	if err != nil {
		return KeyRecord{}, fmt.Errorf("create an API key: %w", err)
	}
	return record, nil
}

// ListKeys returns the records of the organisation's API keys, newest first.
func (c *Client) ListKeys(ctx context.Context) ([]KeyRecord, error) {
	var records []KeyRecord
	if err := c.Get(ctx, "/orgs/api_keys/list/v1", nil, &records); err != nil {
		return nil, fmt.Errorf("list the API keys: %w", err)
	}
	return records, nil
}

// RevokeKey revokes an API key by its id and returns its record.
func (c *Client) RevokeKey(ctx context.Context, id string) (KeyRecord, error) {
	var record KeyRecord
	err := c.post(ctx, "/orgs/api_keys/revoke/v1", url.Values{"api_key_id": {id}}, struct{}{}, true, &record)
	if err != nil {
		return KeyRecord{}, fmt.Errorf("revoke the API key %s: %w", id, err)
	}
	return record, nil
}

// RotateKey makes a new key in the place of one, which expires when the grace ends, and returns the new
// key's record. The new one expires when expiresAt says, or as the server sees fit when that is zero.
// Like CreateKey it is not repeated when the connection breaks.
func (c *Client) RotateKey(ctx context.Context, id string, grace time.Duration, expiresAt time.Time) (KeyRecord, error) {
	var record KeyRecord
	body := map[string]any{"grace_seconds": int64(grace / time.Second)}
	if !expiresAt.IsZero() {
		body["expires_at_timestamp"] = expiresAt.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	err := c.post(ctx, "/orgs/api_keys/rotate/v1", url.Values{"api_key_id": {id}}, body, false, &record)
	if err != nil {
		return KeyRecord{}, fmt.Errorf("rotate the API key %s: %w", id, err)
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
		body: encoded, contentType: "application/json", repeatable: repeatable,
	}, into)
}
