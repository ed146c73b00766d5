package keys

import (
	"time"

	"lastseen/schema"
)

// Role is what a person may do in an organisation. Roles are ordered: a higher one may do all that a
// lower one may, so callers compare them with <. The zero value is no role and below all.
type Role uint8

// The roles, lowest first.
const (
	RoleDriver Role = iota + 1
	RoleOperator
	RoleAdministrator
	RoleOwner
)

// ParseRole reads a role's name as tokens carry it, with the aliases that existing clients write:
// admin for administrator and member for driver. Names are lower-case.
func ParseRole(text string) (Role, bool) {
	switch text {
	case "owner":
		return RoleOwner, true
	case "administrator", "admin":
		return RoleAdministrator, true
	case "operator":
		return RoleOperator, true
	case "driver", "member":
		return RoleDriver, true
	}
	return 0, false
}

// String returns the role's name, which ParseRole reads, and "none" for the zero value.
func (r Role) String() string {
	switch r {
	case RoleOwner:
		return "owner"
	case RoleAdministrator:
		return "administrator"
	case RoleOperator:
		return "operator"
	case RoleDriver:
		return "driver"
	}
	return "none"
}

// CallerKind says by what kind of credential a caller is known.
type CallerKind uint8

// The kinds of callers. The zero value is none of them.
const (
	CallerUser CallerKind = iota + 1
	CallerAPIKey
	CallerDeviceCredential
)

// Principal is who is calling. It is shared between requests: whoever gets one must not change it,
// and may keep it as long as it likes.
type Principal struct {
	Kind  CallerKind
	OrgID string
	// UserID is empty unless Kind is CallerUser: a key acts for its organisation, whoever made it.
	UserID string
	// Role is RoleOperator for API keys. Device credentials have none: they read nothing, and which
	// routes let them write is the route table's business.
	Role Role
	// KeyID is the API key's or device credential's id, zero for users.
	KeyID schema.ID
	// DeviceID is the one device that a device credential may write for, zero for any.
	DeviceID schema.ID
	// RegistersDevices says that a device credential may have devices registered that nobody knows yet.
	RegistersDevices bool
	// Limits is what an API key may not do although its role may.
	Limits schema.KeyLimits
	// Uses counts what an API key is used for; nil for others.
	Uses Uses
	// ExpiresAt is when the credential stops on its own account.
	ExpiresAt time.Time
}

// Uses counts requests. Counting takes no lock and does not allocate, but for the first request of a key. It is safe
// for concurrent use.
type Uses interface {
	// Count counts a request of a route, by its number, that had an outcome. What the numbers of routes mean is for who
	// made the Uses to know; 0 is every route that has no other.
	Count(route uint8, outcome Outcome)
}

// Outcome is what became of a request.
type Outcome uint8

// The outcomes.
const (
	OutcomeOK          Outcome = iota // it was answered
	OutcomeNotModified                // nothing has changed
	OutcomeRefused                    // it was not allowed, not right, or of nothing that is there
	OutcomeFailed                     // it could not be answered, or its answer broke off
	OutcomeCount                      // how many outcomes there are
)

// String returns the outcome's name on the wire.
func (o Outcome) String() string {
	return [OutcomeCount]string{"ok", "not_modified", "refused", "failed"}[o]
}

// MaxTokenLength bounds the user tokens that are looked at, in bytes.
const MaxTokenLength = 8 << 10
