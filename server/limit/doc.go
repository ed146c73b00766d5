// Package limit bounds what runs at the same time and how often somebody may ask: gates for work, which share
// it among its owners, slots for the connections that poll under overload, the pace of streams beside short requests, and rates
// by caller and by address. It knows no HTTP and no route; the server turns its errors into answers.
package limit

import (
	"errors"
)

// Why something may not run now.
var (
	// ErrBusy says that no place has become free in time.
	ErrBusy = errors.New("no place has become free in time")
	// ErrShare says that an owner has as many places as it may.
	ErrShare = errors.New("the owner has as many places as it may")
	// ErrSlots says that more connections poll than there are slots for.
	ErrSlots = errors.New("more connections poll than there are slots for")
)

// Stats are a limit on what runs at the same time.
type Stats struct {
	Name            string
	Capacity, InUse int
	Waiting         int    // for a place
	Refused         uint64 // that found no place in time
}
