package client

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/klauspost/compress/gzip"
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

// Session is what this program reads of a session.
type Session struct {
	ID               string `json:"_id"`
	DeviceID         string `json:"device_id"`
	DeviceMACAddress string `json:"device_mac_address"`
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
	err = c.Get(ctx, "/tracking/sessions/list/v1", url.Values{
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

// IngestResult is what became of a batch of points.
type IngestResult struct {
	Accepted int `json:"accepted"`
	Replaced int `json:"replaced"`       // accepted ones that took the place of another of their session and timestamp
	Dropped  int `json:"dropped_values"` // optional values that were left out
	Rejected []struct {
		Index  int    `json:"index"`
		Detail string `json:"detail"`
	} `json:"rejected"`
}

// Ingest sends points, one JSON object a line, compressed. Sending them again changes nothing, so it
// is repeated also when the connection breaks.
func (c *Client) Ingest(ctx context.Context, ndjson []byte) (IngestResult, error) {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if err == nil {
		_, err = w.Write(ndjson)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return IngestResult{}, fmt.Errorf("compress points: %w", err)
	}
	var result IngestResult
	err = c.do(ctx, request{
		method: http.MethodPost, path: "/tracking/timeseries/session_by_device/ingest/v1",
		body: packed.Bytes(), contentType: "application/x-ndjson", encoding: "gzip", repeatable: true,
	}, &result)
	if err != nil {
		return IngestResult{}, fmt.Errorf("send points: %w", err)
	}
	return result, nil
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
