package server

import (
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/ingest"
	"lastseen/keys"
	"lastseen/schema"
	"lastseen/server/input"
)

// mostArrivals bounds the device credentials of which it is known what came with them; past it others are forgotten.
const mostArrivals = 10_000

// arrivals remembers what came with each device credential since the service began, so that whoever sets an app up
// sees whether it works: the app itself is told that all is well even when nothing of its message could be stored. It
// is safe for concurrent use.
type arrivals struct {
	mu sync.Mutex
	of map[schema.ID]arrival // by the credential's id
}

// arrival is what came with one credential.
type arrival struct {
	orgID          string
	requests       int       // that could be read, those without a position too
	points         int       // accepted, repeats too
	first, last    time.Time // when points were accepted; zero for never
	rejected       int
	lastRejection  time.Time
	rejectionWords string // a sentence that holds nothing of the message
}

// wordsUnreadable is what is said of a message that its app has encrypted.
const wordsUnreadable = "The app encrypts what it sends, which cannot be read here: switch its encryption off."

// note counts what a request has brought, of which some may have been unreadable. Callers without a device credential are
// of no interest.
func (a *arrivals) note(by *keys.Principal, result *ingest.Result, unreadable int, now time.Time) {
	if by.Kind != keys.CallerDeviceCredential {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	its, known := a.of[by.KeyID]
	if !known {
		a.makeRoom()
		its.orgID = by.OrgID
	}
	its.requests++
	if result.Accepted > 0 {
		if its.points == 0 {
			its.first = now
		}
		its.points, its.last = its.points+result.Accepted, now
	}
	if n := len(result.Rejected) + unreadable; n > 0 {
		its.rejected, its.lastRejection, its.rejectionWords = its.rejected+n, now, wordsUnreadable
		if len(result.Rejected) > 0 {
			its.rejectionWords = result.Rejected[0].Detail
		}
	}
	a.of[by.KeyID] = its
}

// makeRoom makes the map, and forgets a credential of a map that is full.
func (a *arrivals) makeRoom() {
	if a.of == nil {
		a.of = map[schema.ID]arrival{}
	}
	for id := range a.of {
		if len(a.of) < mostArrivals {
			return
		}
		delete(a.of, id)
	}
}

// get returns what came with a credential of an organisation.
func (a *arrivals) get(orgID string, id schema.ID) (its arrival) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if found := a.of[id]; found.orgID == orgID {
		its = found
	}
	return its
}

// credentialArrivals answers with what came with a device credential. Of one that is not the organisation's it says what it
// says of one with which nothing came.
func credentialArrivals(c *call) error {
	id, err := deviceCredentials.id(c)
	if err != nil {
		return err
	}
	its := c.server.arrivals.get(c.principal.OrgID, id)
	return c.json(fasthttp.StatusOK, struct {
		Requests      int         `json:"requests"`
		Points        int         `json:"points"`
		First         *input.Time `json:"first_point_received_at_timestamp,omitempty"`
		Last          *input.Time `json:"last_point_received_at_timestamp,omitempty"`
		Rejected      int         `json:"rejected"`
		LastRejection *input.Time `json:"last_rejected_at_timestamp,omitempty"`
		Detail        string      `json:"last_rejection_detail,omitempty"`
	}{
		its.requests, its.points, input.TimeOrNothing(its.first), input.TimeOrNothing(its.last),
		its.rejected, input.TimeOrNothing(its.lastRejection), its.rejectionWords,
	})
}
