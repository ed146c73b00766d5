package keys

import "errors"

// What Authenticate says of a credential that it does not accept. Only the first means that the
// caller sent no credential that this service knows; the next three are about one that it knows.
var (
	// ErrUnknownCredential is for text that is neither a key nor a token.
	ErrUnknownCredential = errors.New("the credential is neither an API key, a device credential nor a user token")
	// ErrInvalid is for a key that does not exist or is mistyped, and for a token that is not ours.
	ErrInvalid = errors.New("the credential is invalid")
	// ErrExpired is for a key or a token whose time is over.
	ErrExpired = errors.New("the credential has expired")
	// ErrRevoked is for a key that was revoked.
	ErrRevoked = errors.New("the credential has been revoked")
)

var (
	// ErrUnavailable means that the answer is not known, since ClickHouse or the revocation channel
	// did not answer in time or too many look-ups were waiting. It wraps the cause, which is for the
	// log and not for the caller. A change that fails so may be tried again.
	ErrUnavailable = errors.New("keys cannot be looked up or changed at the moment: try again shortly")
	// ErrNotFound means that the organisation has no such key.
	ErrNotFound = errors.New("the organisation has no key with that id")
)

// InvalidError is about a value in a request that cannot be accepted.
type InvalidError struct {
	Field  string // the value's name on the wire
	Detail string // a sentence that says what to do
}

// Error returns the detail.
func (e *InvalidError) Error() string { return e.Detail }

// ConflictError is about a request that a key's state forbids.
type ConflictError struct {
	Detail string // a sentence that says what to do
}

// Error returns the detail.
func (e *ConflictError) Error() string { return e.Detail }
