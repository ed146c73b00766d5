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

	Scopes            []string `json:"scopes,omitempty"`
	Ranges            []string `json:"allowed_ip_ranges,omitempty"`
	RequestsPerSecond int      `json:"requests_per_second,omitempty"`
	ReplacesID        string   `json:"replaces_id,omitempty"`
	ReplacedByID      string   `json:"replaced_by_id,omitempty"`

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

// NewKey is an API key to be made.
type NewKey struct {
	Name      string
	ExpiresAt time.Time
	KeyLimits
}

// instant is the form of times in requests.
const instant = "2006-01-02T15:04:05.000Z"

// CreateKey makes an API key. The request has a name of its own (Idempotency-Key), so it is made again when the
// connection breaks and still makes one key. Where that one was in an answer that was lost, nobody knows its text: it is
// revoked, and another is made.
func (c *Client) CreateKey(ctx context.Context, wanted NewKey) (KeyRecord, error) {
	record, err := c.createKey(ctx, wanted)
	if lost := existing(err); lost != "" {
		if _, err := c.RevokeKey(ctx, lost); err != nil {
			return KeyRecord{}, fmt.Errorf("an API key was made whose text was lost on the way: %w", err)
		}
		record, err = c.createKey(ctx, wanted)
	}
	if err != nil {
		return KeyRecord{}, fmt.Errorf("create an API key: %w", err)
	}
	return record, nil
}

func (c *Client) createKey(ctx context.Context, wanted NewKey) (record KeyRecord, err error) {
	body, err := json.Marshal(struct {
		Name      string `json:"name"`
		ExpiresAt string `json:"expires_at_timestamp"`
		KeyLimits
	}{wanted.Name, wanted.ExpiresAt.UTC().Format(instant), wanted.KeyLimits})
	if err != nil {
		return record, fmt.Errorf("encode a request: %w", err)
	}
	err = c.do(ctx, request{
		method: http.MethodPost, path: "/orgs/api_keys/create/v1", body: body, repeatable: true,
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
func (c *Client) ListKeys(ctx context.Context, query url.Values) (records []KeyRecord, err error) {
	query = maps.Clone(query)
	if query == nil {
		query = url.Values{}
	}
	for {
		var page []KeyRecord
		answer := request{method: http.MethodGet, path: "/orgs/api_keys/list/v1", query: query, repeatable: true, headers: http.Header{}}
		if err := c.do(ctx, answer, &page); err != nil {
			return nil, fmt.Errorf("list the API keys: %w", err)
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
	var record KeyRecord
	err := c.post(ctx, "/orgs/api_keys/revoke/v1", url.Values{"api_key_id": {id}}, struct{}{}, true, &record)
	if err != nil {
		return KeyRecord{}, fmt.Errorf("revoke the API key %s: %w", id, err)
	}
	return record, nil
}

// RotateKey makes a new key in the place of one, which expires when the grace ends, and returns the new
// key's record. The new one expires when expiresAt says, or as the server sees fit when that is zero.
// It is not made again when the connection breaks, since the first attempt may have made one that nobody got to see.
func (c *Client) RotateKey(ctx context.Context, id string, grace time.Duration, expiresAt time.Time) (KeyRecord, error) {
	var record KeyRecord
	body := map[string]any{"grace_seconds": int64(grace / time.Second)}
	if !expiresAt.IsZero() {
		body["expires_at_timestamp"] = expiresAt.UTC().Format(instant)
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
		body: encoded, sent: map[string]string{"Content-Type": "application/json"}, repeatable: repeatable,
	}, into)
}
