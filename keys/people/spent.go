package people

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
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

	mu       sync.RWMutex
	most     int              // that are remembered
	byID     map[string]spent // tokens, and for some people what personID makes of them: all their sessions up to an end
	byPerson map[string]int   // how many of byID are sessions that this process has ended for a person
	before   time.Time        // all issued before are spent; see SignIn.DenyIssuedBefore
}

// spent is what is remembered of a token.
type spent struct {
	expiresAt time.Time // when it would expire, clocks that differ included
	person    string    // whose session it was, where this process has ended it
}

const (
	// maxSpent bounds the tokens that are remembered, about 10 MB. Only tokens that were signed here get in.
	maxSpent = 100_000
	// maxSpentOfPerson bounds the sessions of one person that are remembered one by one. Past it, and past half of maxSpent
	// for everybody, a session that is ended takes with it those of the same person that would have ended before, and all
	// that is remembered is when it would have: who signs in and out for ever takes no room from others.
	maxSpentOfPerson = 100
	// forgetAfter is how long beyond its expiry a spent token is remembered at least: a clock that was ahead once, by less,
	// must not make it good again when it has been set right.
	forgetAfter = 24 * time.Hour
	// spendTimeout bounds the writing of one.
	spendTimeout = 15 * time.Second
)

// openSpent reads what the store remembers.
func openSpent(ctx context.Context, store SpentStore, now func() time.Time) (*spentTokens, error) {
	s := &spentTokens{store: store, now: now, most: maxSpent, byID: map[string]spent{}, byPerson: map[string]int{}}
	tokens, err := store.SpentTokens(ctx, now())
	if err != nil {
		return nil, err
	}
	s.adopt(tokens)
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
	return true, s.write(ctx, id, spent{expiresAt: remembered(expiresAt)})
}

// end spends a person's session that expires at a time, and past maxSpentOfPerson the older ones with it. It fails as add does.
func (s *spentTokens) end(ctx context.Context, id, person string, expiresAt time.Time) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.over(id, person, expiresAt) {
		return nil
	}
	if s.crowded(person) {
		s.forget()
	}
	if s.crowded(person) {
		return s.write(ctx, person, spent{expiresAt: remembered(expiresAt)})
	}
	return s.write(ctx, id, spent{remembered(expiresAt), person})
}

// write adds to what is remembered, in the store first. The caller holds writing.
func (s *spentTokens) write(ctx context.Context, id string, what spent) error {
	if !s.has(id) && s.count() >= s.most {
		if s.forget(); s.count() >= s.most {
			return schema.Unavailable.Because(fmt.Errorf("%d sign-in tokens are remembered", s.most))
		}
	}
	// Who leaves meanwhile does not undo it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), spendTimeout)
	defer cancel()
	if err := s.store.InsertSpentTokens(ctx, []schema.SpentToken{{ID: id, ExpiresAt: what.expiresAt}}); err != nil {
		return schema.Unavailable.Because(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note(id, what)
	return nil
}

// note adds to what is remembered, and takes nothing from it: of a person the latest end counts. The caller holds mu.
func (s *spentTokens) note(id string, what spent) {
	known, found := s.byID[id]
	if found && !what.expiresAt.After(known.expiresAt) {
		return
	}
	s.byID[id] = what
	if what.person != "" && known.person == "" {
		s.byPerson[what.person]++
	}
}

// remembered is the end of a token that expires at a time as it is kept: whole seconds, with what clocks may differ by.
func remembered(expiresAt time.Time) time.Time {
	return expiresAt.Add(ClockLeeway + time.Second).UTC().Truncate(time.Second)
}

// personID stands among the ids of tokens for all sessions of a person. It cannot be one of those, which are random.
func personID(userID string) string {
	hash := sha256.Sum256([]byte("lastseen/sessions of\x00" + userID))
	return base64.RawURLEncoding.EncodeToString(hash[:])
}

// adopt notes tokens that were spent elsewhere and are in the store.
func (s *spentTokens) adopt(tokens []schema.SpentToken) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, token := range tokens {
		s.note(token.ID, spent{expiresAt: token.ExpiresAt})
	}
}

// all returns those that are remembered.
func (s *spentTokens) all() []schema.SpentToken {
	s.mu.RLock()
	defer s.mu.RUnlock()
	tokens := make([]schema.SpentToken, 0, len(s.byID))
	for id, what := range s.byID {
		tokens = append(tokens, schema.SpentToken{ID: id, ExpiresAt: what.expiresAt})
	}
	return tokens
}

// has reports whether a token is spent.
func (s *spentTokens) has(id string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, found := s.byID[id]
	return found
}

// over reports whether a person's session is spent, by itself or with a later one.
func (s *spentTokens) over(id, person string, expiresAt time.Time) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if _, found := s.byID[id]; found {
		return true
	}
	until, found := s.byID[person]
	return found && !remembered(expiresAt).After(until.expiresAt)
}

// crowded reports whether a person's sessions are remembered one by one no more.
func (s *spentTokens) crowded(person string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.byPerson[person] >= maxSpentOfPerson || len(s.byID) >= s.most/2
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
	for id, what := range s.byID {
		if expired.Before(what.expiresAt) {
			continue
		}
		delete(s.byID, id)
		if what.person == "" {
			continue
		}
		if s.byPerson[what.person]--; s.byPerson[what.person] == 0 {
			delete(s.byPerson, what.person)
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
