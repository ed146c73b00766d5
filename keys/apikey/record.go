package apikey

import (
	"time"

	"lastseen/schema"
)

// Status is what a key's record says of its state.
type Status string

// The states of a key. A key that is both revoked and expired counts as revoked.
const (
	StatusActive  Status = "active"
	StatusExpired Status = "expired"
	StatusRevoked Status = "revoked"
)

// Record is what people may know of a key: all but its text and its hash. Times are in UTC with
// milliseconds; RevokedAt and LastUsedAt are zero where there is no such time.
type Record struct {
	ID              schema.ID
	Kind            schema.KeyKind
	OrgID           string
	Name            string
	Prefix          string    // the key's first 8 characters, which people recognise it by
	DeviceID        schema.ID // the one device that a credential may write for; zero for any
	CreatedByUserID string
	CreatedAt       time.Time
	ExpiresAt       time.Time
	RevokedAt       time.Time
	RevokedByUserID string
	LastUsedAt      time.Time // up to a minute old
	Status          Status    // when the record was read
	// RegistersDevices says that a credential may have devices registered that nobody knows yet.
	RegistersDevices bool
	Limits           schema.KeyLimits
	// Replaces is the key that was rotated into this one, ReplacedBy the one that this one was rotated into; zero
	// where there is none.
	Replaces, ReplacedBy schema.ID
}

// recordOf returns what people may know of a key, as of a time.
func recordOf(key schema.APIKey, now time.Time) Record {
	status := StatusActive
	switch {
	case key.Ended():
		status, key.RevokedAt, key.RevokedByUserID = StatusExpired, time.Time{}, ""
	case !key.RevokedAt.IsZero():
		status = StatusRevoked
	case !now.Before(key.ExpiresAt):
		status = StatusExpired
	}
	return Record{
		ID: key.ID, Kind: key.Kind, OrgID: key.OrgID, Name: key.Name, Prefix: key.Prefix, DeviceID: key.DeviceID,
		CreatedByUserID: key.CreatedByUserID, CreatedAt: key.CreatedAt, ExpiresAt: key.ExpiresAt,
		RevokedAt: key.RevokedAt, RevokedByUserID: key.RevokedByUserID, LastUsedAt: key.LastUsedAt, Status: status,
		RegistersDevices: key.RegistersDevices, Limits: key.KeyLimits, Replaces: key.Replaces, ReplacedBy: key.ReplacedBy,
	}
}
