package server

import (
	"net/netip"
	"strconv"
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

	Scopes            []string       `json:"scopes,omitempty"`
	Ranges            []netip.Prefix `json:"allowed_ip_ranges,omitempty"`
	RequestsPerSecond uint32         `json:"requests_per_second,omitempty"`
	Replaces          string         `json:"replaces_id,omitempty"`
	ReplacedBy        string         `json:"replaced_by_id,omitempty"`
}

func wireRecord(record apikey.Record, text string) keyRecord {
	wire := keyRecord{
		ID: record.ID.String(), OrgID: record.OrgID, Name: record.Name, Prefix: record.Prefix,
		CreatedByUserID: record.CreatedByUserID, CreatedAt: input.Time(record.CreatedAt), ExpiresAt: input.Time(record.ExpiresAt),
		RevokedAt: input.TimeOrNothing(record.RevokedAt), RevokedByUserID: record.RevokedByUserID,
		LastUsedAt: input.TimeOrNothing(record.LastUsedAt), Status: record.Status, Key: text,
		Registers: record.RegistersDevices, DeviceID: idOrNothing(record.DeviceID),
		Scopes: apikey.NamesOfScopes(record.Limits.Denied), Ranges: record.Limits.Ranges, RequestsPerSecond: record.Limits.RequestsPerSecond,
		Replaces: idOrNothing(record.Replaces), ReplacedBy: idOrNothing(record.ReplacedBy),
	}
	return wire
}

// idOrNothing returns an id's text, and none for the zero id.
func idOrNothing(id schema.ID) string {
	if id == (schema.ID{}) {
		return ""
	}
	return id.String()
}

// limitFields are the fields of a body that say what a key may do; null and what is left out say nothing.
type limitFields struct {
	Scopes            *[]string `json:"scopes"`
	Ranges            *[]string `json:"allowed_ip_ranges"`
	RequestsPerSecond *int      `json:"requests_per_second"`
}

// read reads the fields, and notes what is wrong with them.
func (l *limitFields) read(f *input.Fields) (update apikey.Update) {
	if l.Scopes != nil {
		denied, err := apikey.ParseScopes(*l.Scopes)
		f.Note(err)
		update.Denied = &denied
	}
	if l.Ranges != nil {
		ranges, err := apikey.ParseRanges(*l.Ranges)
		f.Note(err)
		update.Ranges = &ranges
	}
	if l.RequestsPerSecond != nil {
		rate := uint32(f.Integer("requests_per_second", l.RequestsPerSecond, rateRange))
		update.RequestsPerSecond = &rate
	}
	return update
}

// create makes a key and answers with its record and, this once, its text.
func (k keyKind) create(c *call) error {
	var body struct {
		Name      *string `json:"name"`
		ExpiresAt *string `json:"expires_at_timestamp"`
		DeviceID  *string `json:"device_id"`         // of device credentials only
		Registers bool    `json:"registers_devices"` // likewise
		limitFields
	}
	if err := c.readJSON(&body); err != nil {
		return err
	}
	request, err := requestName(c)
	if err != nil {
		return err
	}
	f := input.Fields{}
	wanted := apikey.NewKey{Kind: k.kind, Name: f.Text("name", body.Name), ExpiresAt: f.Timestamp("expires_at_timestamp", body.ExpiresAt, true)}
	if k.kind == schema.KindDeviceCredential && body.DeviceID != nil {
		wanted.DeviceID = f.ID("device_id", *body.DeviceID)
	}
	wanted.RegistersDevices = k.kind == schema.KindDeviceCredential && body.Registers
	wanted.Limits, wanted.Request = limitsOf(body.read(&f)), request
	if err := f.Problem(); err != nil {
		return err
	}
	record, text, err := c.server.services.Keys.Create(c.context(), c.principal, wanted)
	if err != nil {
		return err
	}
	return c.json(fasthttp.StatusCreated, wireRecord(record, text))
}

// limitsOf are the limits of a key that is made with some.
func limitsOf(u apikey.Update) (l schema.KeyLimits) {
	if u.Denied != nil {
		l.Denied = *u.Denied
	}
	if u.Ranges != nil {
		l.Ranges = *u.Ranges
	}
	if u.RequestsPerSecond != nil {
		l.RequestsPerSecond = *u.RequestsPerSecond
	}
	return l
}

// headerIdempotencyKey names a request, so that sending it again does not do it again.
const headerIdempotencyKey = "Idempotency-Key"

// requestName reads the name that a request gives itself, empty for none.
func requestName(c *call) (string, error) {
	values := c.http.Request.Header.PeekAll(headerIdempotencyKey)
	if len(values) == 0 {
		return "", nil
	}
	name := string(values[0])
	if len(values) > 1 || !apikey.CheckRequest(name) {
		return "", problem.Invalid(problem.Header.Field(headerIdempotencyKey, "Send 1 to 255 printable characters of ASCII, once, such as a random number."))
	}
	return name, nil
}

// The words for what a list of keys holds, and in which order. The first are the defaults.
var (
	keyStatuses = []string{"all", "active", "expired", "revoked", "ended", "expiring", "unused"}
	keyFilters  = map[string]schema.KeyFilter{
		"all": schema.KeysAny, "active": schema.KeysActive, "expired": schema.KeysExpired, "revoked": schema.KeysRevoked,
		"ended": schema.KeysEnded, "expiring": schema.KeysExpiring, "unused": schema.KeysUnused,
	}
	keySortings = []string{"created_at_timestamp", "name", "expires_at_timestamp", "last_used_at_timestamp"}
	keyOrders   = map[string]schema.KeySort{
		"created_at_timestamp": schema.KeysByCreation, "name": schema.KeysByName, "expires_at_timestamp": schema.KeysByExpiry,
		"last_used_at_timestamp": schema.KeysByUse,
	}
)

// headerTotalCount says how many there are on all pages.
const headerTotalCount = "Total-Count"

// list answers with a page of the organisation's keys.
func (k keyKind) list(c *call) error {
	p := input.Of(c.http)
	query := apikey.ListQuery{
		Search: p.Text("search"), Filter: keyFilters[p.Choice("status", keyStatuses...)], Sort: keyOrders[p.Choice("sort_by", keySortings...)],
		Limit: p.Integer("limit", apikey.MaxList, keyListRange), Cursor: p.Text("cursor"),
	}
	if err := p.Problem(); err != nil {
		return err
	}
	page, err := c.server.services.Keys.List(c.context(), c.principal.OrgID, k.kind, query)
	if err != nil {
		return err
	}
	header := &c.http.Response.Header
	if page.NextCursor != "" {
		header.Set(headerNextCursor, page.NextCursor)
	}
	if query.Cursor == "" {
		header.Set(headerTotalCount, strconv.Itoa(page.TotalCount))
	}
	wire := make([]keyRecord, len(page.Records))
	for i, record := range page.Records {
		wire[i] = wireRecord(record, "")
	}
	return c.json(fasthttp.StatusOK, wire)
}

// update renames a key or narrows what it may do. When it answers, that holds everywhere.
func (k keyKind) update(c *call) error {
	id, err := k.id(c)
	if err != nil {
		return err
	}
	var body struct {
		Name *string `json:"name"`
		limitFields
	}
	if err := c.readJSON(&body); err != nil {
		return err
	}
	f := input.Fields{}
	update := body.read(&f)
	update.Name = body.Name
	if update == (apikey.Update{}) {
		f.Reject("", "Send at least one of name, scopes, allowed_ip_ranges and requests_per_second.")
	}
	if err := f.Problem(); err != nil {
		return err
	}
	record, err := c.server.services.Keys.Update(c.context(), c.principal, k.kind, id, update)
	if err != nil {
		return err
	}
	return c.json(fasthttp.StatusOK, wireRecord(record, ""))
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

	Changed []string `json:"changed,omitempty"`
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
		items[i] = keyEvent{e.ID.String(), e.KeyID.String(), e.Name, e.Prefix, e.Action, e.UserID, input.Time(e.At), e.Changed}
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
