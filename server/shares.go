package server

import (
	"context"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// shares bound how many of the streams one organisation may have, and all those together who come without
// a credential, so that nobody who reads many histories, or reads them slowly, keeps them from the others.
// They are safe for concurrent use.
type shares struct {
	organisation, public int // streams at the same time
	waiting              int // for each of these
	wait                 time.Duration

	mu     sync.Mutex
	owners map[string]*share // by organisation; "" for those without a credential
}

// share is what one owner has of the streams. It is there while somebody uses it.
type share struct {
	*admission
	of    *shares
	owner string
	users int
}

// newShares gives half of the streams to an organisation at most, and a quarter to the public.
func newShares(streams int, wait time.Duration) *shares {
	return &shares{organisation: (streams + 1) / 2, public: (streams + 3) / 4, waiting: 10 * streams, wait: wait, owners: map[string]*share{}}
}

var problemShare = &problem{status: fasthttp.StatusTooManyRequests, reason: reasonBusy, retryAfter: 1,
	detail: "As many histories are being read as your organisation, or all without a credential together, may read at the same time; go on when one of them has ended."}

// enter returns the owner's share when it has room for one more stream; the caller must then call its leave.
// Otherwise it returns problemShare, or why the context ended.
func (s *shares) enter(ctx context.Context, owner string) (*share, error) {
	own := s.join(owner)
	err := own.enter(ctx)
	if err == nil {
		return own, nil
	}
	own.part()
	if err == problemBusy {
		err = problemShare
	}
	return nil, err
}

func (s *shares) join(owner string) *share {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := s.owners[owner]
	if own == nil {
		most := s.organisation
		if owner == "" {
			most = s.public
		}
		own = &share{admission: newAdmission(most, s.waiting, s.wait), of: s, owner: owner}
		s.owners[owner] = own
	}
	own.users++
	return own
}

func (own *share) part() {
	own.of.mu.Lock()
	defer own.of.mu.Unlock()
	if own.users--; own.users == 0 {
		delete(own.of.owners, own.owner)
	}
}

// leave lets the owner's next stream in.
func (own *share) leave() {
	own.admission.leave()
	own.part()
}
