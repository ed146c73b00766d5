package limit

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Fair is an Admission in which no owner gets all places, so that nobody who reads many histories,
// or reads them slowly, keeps them from the others. An owner is an organisation, or "" for all those together
// who come without a credential. It is safe for concurrent use.
type Fair struct {
	places, waitPlaces   int
	organisation, public int // places of one owner at most
	wait                 time.Duration

	mu      sync.Mutex
	running int
	owners  map[string]int // places of each; those without any are left out
	waiting []*waiter      // in the order in which they came
	refused uint64
}

// waiter waits for a place.
type waiter struct {
	owner string
	in    chan struct{} // closed when it has one
}

// NewFair gives half of the places to an organisation at most, and a quarter to the public.
func NewFair(places, waiting int, wait time.Duration) *Fair {
	return &Fair{
		places: places, waitPlaces: waiting, organisation: (places + 1) / 2, public: (places + 3) / 4,
		wait: wait, owners: map[string]int{},
	}
}

// Enter returns nil when the owner has a place; the caller must then call Leave. Otherwise it returns
// ErrShare, ErrBusy, or why the context ended.
func (a *Fair) Enter(ctx context.Context, owner string) error {
	w := a.ask(owner)
	if w == nil {
		return a.refuse(owner)
	}
	patience := time.NewTimer(a.wait)
	defer patience.Stop()
	select {
	case <-w.in:
		return nil
	case <-patience.C:
		if a.giveUp(w) {
			return a.refuse(owner)
		}
		return nil
	case <-ctx.Done():
		if !a.giveUp(w) {
			a.Leave(owner)
		}
		return context.Cause(ctx)
	}
}

// ask returns a waiter, who may have a place already, or nil where too many wait.
func (a *Fair) ask(owner string) *waiter {
	a.mu.Lock()
	defer a.mu.Unlock()
	w := &waiter{owner: owner, in: make(chan struct{})}
	if !a.admit(w) {
		if len(a.waiting) >= a.waitPlaces {
			return nil
		}
		a.waiting = append(a.waiting, w)
	}
	return w
}

// giveUp ends a wait, and reports false when it was over already.
func (a *Fair) giveUp(w *waiter) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := slices.Index(a.waiting, w)
	if at < 0 {
		return false
	}
	a.waiting = slices.Delete(a.waiting, at, at+1)
	return true
}

// admit gives a place to a waiter if there is one for its owner. The caller holds the lock.
func (a *Fair) admit(w *waiter) bool {
	if a.running >= a.places || a.owners[w.owner] >= a.share(w.owner) {
		return false
	}
	a.running++
	a.owners[w.owner]++
	close(w.in)
	return true
}

func (a *Fair) share(owner string) int {
	if owner == "" {
		return a.public
	}
	return a.organisation
}

// refuse counts a refusal and says why it is one.
func (a *Fair) refuse(owner string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refused++
	if a.owners[owner] >= a.share(owner) {
		return ErrShare
	}
	return ErrBusy
}

// Leave gives an owner's place to the first who waits and may have it.
func (a *Fair) Leave(owner string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.running--
	if a.owners[owner]--; a.owners[owner] == 0 {
		delete(a.owners, owner)
	}
	if next := slices.IndexFunc(a.waiting, a.admit); next >= 0 {
		a.waiting = slices.Delete(a.waiting, next, next+1)
	}
}

// InUse returns how many places are taken.
func (a *Fair) InUse() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.running
}

// Stats returns the counts under a name.
func (a *Fair) Stats(name string) Stats {
	a.mu.Lock()
	defer a.mu.Unlock()
	return Stats{Name: name, Capacity: a.places, InUse: a.running, Waiting: len(a.waiting), Refused: a.refused}
}
