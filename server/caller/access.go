package caller

import (
	"errors"

	"lastseen/keys"
	"lastseen/schema"
)

// Why a route is closed to a caller.
var (
	// ErrNone says that the route needs a credential and there is none.
	ErrNone = errors.New("the route needs a credential")
	// ErrNoApp says that the route is for apps and there is no credential.
	ErrNoApp = errors.New("the route needs a device credential")
	// ErrAPIKey says that the route is not open to API keys.
	ErrAPIKey = errors.New("the route is not open to API keys")
	// ErrDeviceCredential says that the route is not open to device credentials.
	ErrDeviceCredential = errors.New("the route is not open to device credentials")
	// ErrRole says that the caller's role is too low.
	ErrRole = errors.New("the caller's role is too low")
	// ErrScope says that the API key has not the route's scope.
	ErrScope = errors.New("the API key has not the route's scope")
	// ErrAddress says that the API key is not accepted from the caller's address.
	ErrAddress = errors.New("the API key is not accepted from the caller's address")
)

// Access says to whom a route is open.
type Access struct {
	Role              keys.Role        // the least role of a user token
	APIKeys           bool             // an API key is accepted
	Scope             schema.KeyScopes // what an API key must be for, where one is accepted
	DeviceCredentials bool             // a device credential is accepted
	Apps              bool             // the credential may also come as apps can send it: see Credential
	Public            bool             // no credential is needed
	Probe             bool             // answers about the service itself, even when ClickHouse is gone
}

// Authorize decides whether a caller may use a route; principal is nil for one who showed no
// credential. It returns nil for yes, and the error that says why not for no. It is the only place that
// decides this; what a caller may see of a route's objects is decided where they are kept.
//
// An API key is good for the routes that say so and refused on every other path, public ones and
// those that do not exist included, so that a leaked key cannot be used to look around.
func (a *Access) Authorize(principal *keys.Principal) error {
	if principal == nil {
		if a.Public {
			return nil
		}
		if a.Apps {
			return ErrNoApp
		}
		return ErrNone
	}
	switch principal.Kind {
	case keys.CallerAPIKey:
		if !a.APIKeys {
			return ErrAPIKey
		}
		if denied := principal.Limits.Denied; denied != 0 && (denied&a.Scope != 0 || a.Scope == 0) {
			return ErrScope
		}
		return nil
	case keys.CallerDeviceCredential:
		if !a.DeviceCredentials && !a.Public {
			return ErrDeviceCredential
		}
		return nil
	case keys.CallerUser:
		if !a.Public && principal.Role < a.Role {
			return ErrRole
		}
		return nil
	}
	return ErrNone
}
