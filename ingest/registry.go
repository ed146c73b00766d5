package ingest

import (
	"context"
	"errors"
	"time"

	"lastseen/schema"
)

// SessionWatcher is told of every session that is made or changed, after ClickHouse has it and
// before the change is acknowledged; of one session, in the order of its versions.
type SessionWatcher interface {
	PutSession(schema.Session)
}

// Registry knows every device and session: in memory, loaded at start and written through to
// ClickHouse. It decides what ClickHouse cannot, because only one writer decides: a device belongs
// to one organisation and has one active session. It is safe for concurrent use.
//
// Where a method returns an error nothing has changed, except that after ErrUnavailable ClickHouse
// may hold the change; making the same call again settles it.
type Registry struct {
	db       *schema.DB
	sessions SessionWatcher
	now      func() time.Time
}

// NewRegistry returns an empty registry, which Load fills.
func NewRegistry(db *schema.DB, sessions SessionWatcher, now func() time.Time) *Registry {
	return &Registry{db: db, sessions: sessions, now: now}
}

var errNotThere = errors.New("not there yet")

// Load reads the devices and the sessions from ClickHouse. It is called once, before anything else.
func (r *Registry) Load(ctx context.Context) error {
	return errNotThere
}

// RegisterDevice gives a device to an organisation and returns its id. Doing so again returns the
// same id and updates the optional fields that are given. A device is recognised by its address in
// whatever case, and EUI-48 and EUI-64 addresses in whatever spelling.
//
// Errors: *InvalidError; *ConflictError when another organisation has the device; ErrUnavailable.
func (r *Registry) RegisterDevice(ctx context.Context, orgID string, device NewDevice) (schema.ID, error) {
	return schema.ID{}, errNotThere
}

// CreateSession begins a session of a device and returns its id.
//
// Errors: *InvalidError; ErrNotFound when the organisation has no such device; *ConflictError when
// the device has an active session; ErrUnavailable.
func (r *Registry) CreateSession(ctx context.Context, orgID string, deviceID schema.ID, session NewSession) (schema.ID, error) {
	return schema.ID{}, errNotThere
}

// UpdateSession changes what people say of a session.
//
// Errors: *InvalidError; ErrNotFound when the organisation owns no such session; *ConflictError when
// it would revive a session that has ended; ErrUnavailable.
func (r *Registry) UpdateSession(ctx context.Context, orgID string, id schema.ID, update SessionUpdate) error {
	return errNotThere
}

// TerminateSession ends a session now.
//
// Errors: ErrNotFound when the organisation owns no such session; *ConflictError when it has ended
// already; ErrUnavailable.
func (r *Registry) TerminateSession(ctx context.Context, orgID string, id schema.ID) error {
	return errNotThere
}

// UpdateSharedOrgs changes which other organisations may see a session: adds, then removes, so that
// an organisation in both lists is removed. The owner needs no share and is left out.
//
// Errors: *InvalidError with the field add_org_ids or remove_org_ids; ErrNotFound when the
// organisation owns no such session; ErrUnavailable.
func (r *Registry) UpdateSharedOrgs(ctx context.Context, orgID string, id schema.ID, add, remove []string) error {
	return errNotThere
}
