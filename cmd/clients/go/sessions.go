package client

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"time"
)

// Device is what a device is registered with.
type Device struct {
	MACAddress string `json:"device_mac_address"`
	Comments   string `json:"comments,omitempty"`
}

// RegisterDevice registers a device with the caller's organisation and returns its id, the same one
// when it was registered before. Another organisation's device is a Problem with the status 409.
func (c *Client) RegisterDevice(ctx context.Context, device Device) (id string, err error) {
	body := struct {
		Device
		SchemaVersion int `json:"schema_version"`
	}{device, 1}
	if err := c.post(ctx, "/tracking/devices/register_to_org/v1", nil, body, true, &id); err != nil {
		return "", fmt.Errorf("register the device %s: %w", device.MACAddress, err)
	}
	return id, nil
}

// Organisation returns the id of the caller's organisation.
func (c *Client) Organisation(ctx context.Context) (id string, err error) {
	var caller struct {
		OrgID string `json:"org_id"`
	}
	if err := c.Get(ctx, "/auth/session/v1", nil, &caller); err != nil {
		return "", fmt.Errorf("ask whose organisation this is: %w", err)
	}
	return caller.OrgID, nil
}

// NewSession is what a session is created with.
type NewSession struct {
	OffChrtReferenceID string `json:"off_chrt_reference_id,omitempty"`
	Comments           string `json:"comments,omitempty"`
}

// Session is a session as the server gives it. Pointers are nil, and texts empty, for what is not known.
type Session struct {
	ID               string     `json:"_id"`
	OrgID            string     `json:"org_id"`
	DeviceID         string     `json:"device_id"`
	DeviceMACAddress string     `json:"device_mac_address"`
	CreatedAt        time.Time  `json:"created_at_timestamp"`
	Comments         string     `json:"comments"`
	ReferenceID      string     `json:"off_chrt_reference_id"`
	Public           bool       `json:"public"`
	Terminated       bool       `json:"terminated"`
	LastSeenAt       *time.Time `json:"last_seen_at_timestamp"`
	LastSeenLocation *Feature   `json:"last_seen_at_location"`
	SharedWith       []string   `json:"shared_with_org_ids"`
}

const sessionsPath = "/tracking/sessions/list/v1"

// Sessions returns every session that the caller sees and that the list route's parameters select, by default in the order in
// which they were created, each once however many are made meanwhile. It ends after an error, which is the last pair's.
func (c *Client) Sessions(ctx context.Context, filter url.Values) iter.Seq2[Session, error] {
	return func(yield func(Session, error) bool) {
		query := url.Values{"sort_by": {"created_at_timestamp"}, "sort_order": {"asc"}, "page_size": {"1000"}}
		maps.Copy(query, filter)
		for {
			var page struct {
				Items []Session `json:"items"`
				Next  string    `json:"next_cursor"`
			}
			if err := c.Get(ctx, sessionsPath, query, &page); err != nil {
				yield(Session{}, fmt.Errorf("list the sessions: %w", err))
				return
			}
			for _, session := range page.Items {
				if !yield(session, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			query.Set("cursor", page.Next)
		}
	}
}

// EnsureSession returns the id of a device's active session, making one when there is none, and says
// whether it did.
func (c *Client) EnsureSession(ctx context.Context, deviceID string, session NewSession) (id string, created bool, err error) {
	body := struct {
		NewSession
		SchemaVersion int `json:"schema_version"`
	}{session, 1}
	err = c.post(ctx, "/tracking/sessions/create_session/v1", url.Values{"device_id": {deviceID}}, body, true, &id)
	if err == nil {
		return id, true, nil
	}
	if !HasStatus(err, http.StatusConflict) {
		return "", false, fmt.Errorf("create a session: %w", err)
	}
	var page struct {
		Items []Session `json:"items"`
	}
	err = c.Get(ctx, sessionsPath, url.Values{
		"filter_device_id": {deviceID}, "filter_terminated": {"false"}, "org_scope": {"owned"}, "page_size": {"1"},
	}, &page)
	if err != nil {
		return "", false, fmt.Errorf("find the active session of a device: %w", err)
	}
	if len(page.Items) == 0 {
		return "", false, fmt.Errorf("find the active session of the device %s: it has just ended, so try again", deviceID)
	}
	return page.Items[0].ID, false, nil
}

// KeptFor returns how long the server keeps points after their timestamp, and 0 for ever.
func (c *Client) KeptFor(ctx context.Context) (time.Duration, error) {
	var answer struct {
		Days int `json:"points_kept_for_days"`
	}
	if err := c.Get(ctx, "/", nil, &answer); err != nil {
		return 0, fmt.Errorf("ask how long the server keeps points: %w", err)
	}
	return time.Duration(answer.Days) * 24 * time.Hour, nil
}
