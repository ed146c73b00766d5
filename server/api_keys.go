package server

import (
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/keys/apikey"
	"lastseen/schema"
	"lastseen/server/input"
	"lastseen/server/problem"
)

// keyKind is what the routes of API keys and of device credentials differ in.
type keyKind struct {
	kind               schema.KeyKind
	idParameter        string
	indefinite, plural string // for the description of the API
}

var (
	apiKeys = keyKind{
		kind: schema.KindAPIKey, idParameter: "api_key_id", indefinite: "an API key", plural: "API keys",
	}
	deviceCredentials = keyKind{
		kind: schema.KindDeviceCredential, idParameter: "device_credential_id", indefinite: "a device credential", plural: "device credentials",
	}
)

// keyRecord is a key's record on the wire. Key is its text, this once.
type keyRecord struct {
	ID              string        `json:"_id"`
	OrgID           string        `json:"org_id"`
	Name            string        `json:"name"`
	Prefix          string        `json:"prefix"`
	DeviceID        string        `json:"device_id,omitempty"`
	CreatedByUserID string        `json:"created_by_user_id"`
	CreatedAt       input.Time    `json:"created_at_timestamp"`
	ExpiresAt       input.Time    `json:"expires_at_timestamp"`
	RevokedAt       *input.Time   `json:"revoked_at_timestamp,omitempty"`
	RevokedByUserID string        `json:"revoked_by_user_id,omitempty"`
	LastUsedAt      *input.Time   `json:"last_used_at_timestamp,omitempty"`
	Status          apikey.Status `json:"status"`
	Key             string        `json:"key,omitempty"`
	Registers       bool          `json:"registers_devices,omitempty"`
}

func wireRecord(record apikey.Record, text string) keyRecord {
	wire := keyRecord{
		ID: record.ID.String(), OrgID: record.OrgID, Name: record.Name, Prefix: record.Prefix,
		CreatedByUserID: record.CreatedByUserID, CreatedAt: input.Time(record.CreatedAt), ExpiresAt: input.Time(record.ExpiresAt),
		RevokedAt: input.TimeOrNothing(record.RevokedAt), RevokedByUserID: record.RevokedByUserID,
		LastUsedAt: input.TimeOrNothing(record.LastUsedAt), Status: record.Status, Key: text,
		Registers: record.RegistersDevices,
	}
	if record.DeviceID != (schema.ID{}) {
		wire.DeviceID = record.DeviceID.String()
	}
	return wire
}

// create makes a key and answers with its record and, this once, its text.
func (k keyKind) create(c *call) error {
	var body struct {
		Name      *string `json:"name"`
		ExpiresAt *string `json:"expires_at_timestamp"`
		DeviceID  *string `json:"device_id"`         // of device credentials only
		Registers bool    `json:"registers_devices"` // likewise
	}
	if err := c.readJSON(&body); err != nil {
		return err
	}
	f := input.Fields{}
	wanted := apikey.NewKey{Kind: k.kind, Name: f.Text("name", body.Name), ExpiresAt: f.Timestamp("expires_at_timestamp", body.ExpiresAt, true)}
	if k.kind == schema.KindDeviceCredential && body.DeviceID != nil {
		wanted.DeviceID = f.ID("device_id", *body.DeviceID)
	}
	wanted.RegistersDevices = k.kind == schema.KindDeviceCredential && body.Registers
	if err := f.Problem(); err != nil {
		return err
	}
	record, text, err := c.server.services.Keys.Create(c.context(), c.principal, wanted)
	if err != nil {
		return err
	}
	return c.json(fasthttp.StatusCreated, wireRecord(record, text))
}

// list answers with the organisation's keys, newest first.
func (k keyKind) list(c *call) error {
	records, err := c.server.services.Keys.List(c.context(), c.principal.OrgID, k.kind)
	if err != nil {
		return err
	}
	wire := make([]keyRecord, len(records))
	for i, record := range records {
		wire[i] = wireRecord(record, "")
	}
	return c.json(fasthttp.StatusOK, wire)
}

// revoke ends a key. When it answers, the key is refused everywhere.
func (k keyKind) revoke(c *call) error {
	id, err := k.id(c)
	if err != nil {
		return err
	}
	record, err := c.server.services.Keys.Revoke(c.context(), c.principal, k.kind, id)
	if err != nil {
		return err
	}
	return c.json(fasthttp.StatusOK, wireRecord(record, ""))
}

// rotate makes a key in the place of another, which expires when a time of grace ends.
func (k keyKind) rotate(c *call) error {
	id, err := k.id(c)
	if err != nil {
		return err
	}
	var body struct {
		GraceSeconds *int    `json:"grace_seconds"`
		ExpiresAt    *string `json:"expires_at_timestamp"`
	}
	if err := c.readJSON(&body); err != nil {
		return err
	}
	f := input.Fields{}
	rotation := apikey.Rotation{
		Grace:     time.Duration(f.Integer("grace_seconds", body.GraceSeconds, graceRange)) * time.Second,
		ExpiresAt: f.Timestamp("expires_at_timestamp", body.ExpiresAt, false),
	}
	if err := f.Problem(); err != nil {
		return err
	}
	record, text, err := c.server.services.Keys.Rotate(c.context(), c.principal, k.kind, id, rotation)
	if err != nil {
		return err
	}
	return c.json(fasthttp.StatusCreated, wireRecord(record, text))
}

// keyEvent is a line of the record of who did what to a key.
type keyEvent struct {
	ID     string           `json:"_id"`
	KeyID  string           `json:"key_id"`
	Name   string           `json:"name"`
	Prefix string           `json:"prefix"`
	Action schema.KeyAction `json:"action"`
	UserID string           `json:"user_id"`
	At     input.Time       `json:"at_timestamp"`
}

// events answers with a page of what was done to the organisation's keys, newest first.
func (k keyKind) events(c *call) error {
	p := input.Of(c.http)
	page, size := p.Integer("page", 1, pageRange), p.Integer("page_size", 50, pageSizeRange)
	if err := p.Problem(); err != nil {
		return err
	}
	found, err := c.server.services.Keys.Events(c.context(), c.principal.OrgID, k.kind, page, size)
	if err != nil {
		return err
	}
	items := make([]keyEvent, len(found.Events))
	for i, e := range found.Events {
		items[i] = keyEvent{e.ID.String(), e.KeyID.String(), e.Name, e.Prefix, e.Action, e.UserID, input.Time(e.At)}
	}
	return c.json(fasthttp.StatusOK, struct {
		Items      []keyEvent `json:"items"`
		TotalCount int        `json:"total_count"`
	}{items, found.TotalCount})
}

// id reads the parameter that names a key. A text that is no id names none.
func (k keyKind) id(c *call) (schema.ID, error) {
	p := input.Of(c.http)
	text := p.Required(k.idParameter)
	if err := p.Problem(); err != nil {
		return schema.ID{}, err
	}
	id, ok := schema.ParseID(text)
	if !ok {
		return schema.ID{}, problem.NotFound
	}
	return id, nil
}
