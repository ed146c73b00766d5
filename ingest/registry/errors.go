package registry

import (
	"context"
	"errors"
	"fmt"

	"lastseen/schema"
)

var (
	// ErrNotFound says that the caller's organisation has no such device or session. Another
	// organisation's is not told apart from one that does not exist.
	ErrNotFound = errors.New("not found")
	// ErrConflict is what every ConflictError matches.
	ErrConflict = errors.New("conflict")
	// ErrTooLarge says that a body has more points or more bytes than its limits allow.
	ErrTooLarge = errors.New("the body is too large")
	// ErrBusy says that as much waits to be written as may, that the memory for points in flight is
	// used up, or that the Writer is closed.
	// Nothing has changed; the caller may try again a little later.
	ErrBusy = errors.New("too much is being written")
	// ErrDiskFull says that ClickHouse's disk is nearly full. Nothing that a reader sees has changed, and
	// the same call may be made again when there is room.
	ErrDiskFull = errors.New("the disk of ClickHouse is nearly full")
	// ErrUnavailable says that ClickHouse failed. Nothing that a reader sees has changed, and the
	// same call may be made again.
	ErrUnavailable = errors.New("ClickHouse is not available")
)

// ConflictError says what stands in the way of a request that is right in itself. It matches
// ErrConflict.
type ConflictError struct {
	Detail string // one sentence for the caller
}

// Error returns the sentence.
func (e *ConflictError) Error() string { return e.Detail }

// Is makes the error match ErrConflict.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// InvalidError says which part of a request is wrong, and how.
type InvalidError struct {
	Field  string // the field's name in the body; empty when the body as a whole is meant
	Detail string // one sentence for the caller
}

// Error returns the sentence, after the field's name where there is one.
func (e *InvalidError) Error() string {
	if e.Field == "" {
		return e.Detail
	}
	return e.Field + ": " + e.Detail
}

// Invalid returns an *InvalidError about a field.
func Invalid(field, format string, args ...any) error {
	return &InvalidError{Field: field, Detail: fmt.Sprintf(format, args...)}
}

// Unavailable says that ClickHouse failed at something. The cause stays in the chain for the log.
func Unavailable(err error) error {
	if errors.Is(err, schema.ErrDiskFull) {
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// Ended returns why a context ended.
func Ended(ctx context.Context) error {
	return fmt.Errorf("wait for the write: %w", context.Cause(ctx))
}
