package people

import (
	"context"
	"fmt"
	"sync"
	"time"

	"lastseen/schema"
)

// SpentStore keeps which tokens are spent. *schema.DB is one.
type SpentStore interface {
	// InsertSpentTokens returns nil when the tokens stay spent whatever happens to this process.
	InsertSpentTokens(ctx context.Context, tokens []schema.SpentToken) error
	// SpentTokens returns those that are to be remembered at a time.
	SpentTokens(ctx context.Context, now time.Time) ([]schema.SpentToken, error)
}

// spentTokens remembers, until they would expire anyway and beyond, which tokens must not be accepted
// although they are well signed: sign-in links that were used, and sessions that were ended. It is safe
// for concurrent use.
type spentTokens struct {
	store SpentStore
	now   func() time.Time

	writing sync.Mutex // held while the store is written; taken before mu

	mu     sync.RWMutex
	most   int                  // that are remembered
	byID   map[string]time.Time // when each would expire
	before time.Time            // all issued before are spent; see SignIn.DenyIssuedBefore
}

const (
	// maxSpent bounds the tokens that are remembered, about 10 MB. Only tokens that were signed here get in.
	maxSpent = 100_000
	// forgetAfter is how long beyond its expiry a spent token is remembered at least: a clock that was ahead once, by less,
	// must not make it good again when it has been set right.
	forgetAfter = 24 * time.Hour
	// spendTimeout bounds the writing of one.
	spendTimeout = 15 * time.Second
)

// openSpent reads what the store remembers.
func openSpent(ctx context.Context, store SpentStore, now func() time.Time) (*spentTokens, error) {
	s := &spentTokens{store: store, now: now, most: maxSpent, byID: map[string]time.Time{}}
	spent, err := store.SpentTokens(ctx, now())
	if err != nil {
		return nil, err
	}
	s.adopt(spent)
	return s, nil
}

// add spends a token that expires at a time, in the store and in memory. It returns false when the token
// was spent before. It fails with schema.Unavailable, and then the token may be spent all the same.
func (s *spentTokens) add(ctx context.Context, id string, expiresAt time.Time) (bool, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.has(id) {
		return false, nil
	}
	if s.count() >= s.most {
		if s.forget(); s.count() >= s.most {
			return false, schema.Unavailable.Because(fmt.Errorf("%d sign-in tokens are remembered", s.most))
		}
	}
	expiresAt = expiresAt.Add(ClockLeeway + time.Second).UTC().Truncate(time.Second)
	// Who leaves meanwhile does not undo it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), spendTimeout)
	defer cancel()
	if err := s.store.InsertSpentTokens(ctx, []schema.SpentToken{{ID: id, ExpiresAt: expiresAt}}); err != nil {
		return false, schema.Unavailable.Because(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byID[id] = expiresAt
	return true, nil
}

// adopt notes tokens that were spent elsewhere and are in the store.
func (s *spentTokens) adopt(tokens []schema.SpentToken) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, token := range tokens {
		s.byID[token.ID] = token.ExpiresAt
	}
}

// all returns those that are remembered.
func (s *spentTokens) all() []schema.SpentToken {
	s.mu.RLock()
	defer s.mu.RUnlock()
	tokens := make([]schema.SpentToken, 0, len(s.byID))
	for id, at := range s.byID {
		tokens = append(tokens, schema.SpentToken{ID: id, ExpiresAt: at})
	}
	return tokens
}

// has reports whether a token is spent.
func (s *spentTokens) has(id string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, spent := s.byID[id]
	return spent
}

func (s *spentTokens) count() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.byID)
}

// forget drops the tokens that have expired forgetAfter ago.
func (s *spentTokens) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	expired := s.now().Add(-forgetAfter)
	for id, expiresAt := range s.byID {
		if !expired.Before(expiresAt) {
			delete(s.byID, id)
		}
	}
}

// denyIssuedBefore spends all tokens that were issued before a time.
func (s *spentTokens) denyIssuedBefore(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at.After(s.before) {
		s.before = at
	}
}

// denied reports whether a token that was issued at a time is spent by denyIssuedBefore.
func (s *spentTokens) denied(issuedAt time.Time) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return issuedAt.Before(s.before)
}
