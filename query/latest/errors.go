package latest

import (
	"errors"
	"fmt"
)

var (
	// ErrNotFound means that there is no such session, or none that the caller may see: the two are
	// never told apart.
	ErrNotFound = errors.New("there is no such session: check its session_id")
	// ErrBusy means that as many histories are being streamed as may be; the caller should try again soon.
	ErrBusy = errors.New("too many histories are being read at the same time: try again in a moment")
	// ErrUnavailable means that ClickHouse failed or is out of reach. The error that wraps it says
	// why, in words that are for the log only.
	ErrUnavailable = errors.New("the storage is out of reach: try again in a moment")
)

// InvalidError says which parameter of a request cannot be served and what to do about it.
type InvalidError struct {
	Field  string // the parameter's name on the wire
	Detail string // one sentence for the caller
}

// Error names the parameter and repeats the sentence.
func (e *InvalidError) Error() string {
	return e.Field + ": " + e.Detail
}

// Unavailable wraps a failure of ClickHouse so that it matches ErrUnavailable.
func Unavailable(err error) error {
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
