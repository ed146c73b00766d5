package apikey

import (
	"lastseen/schema"
	"lastseen/schema/measure"
)

// checks counts how credentials were found.
type checks struct {
	hits, misses, unknown  measure.Counter
	tokenHits, tokenMisses measure.Counter
}

// AuthenticatorStats counts what an Authenticator has done since it was made.
type AuthenticatorStats struct {
	Hits        uint64 // checks of keys that the cache knew
	Misses      uint64 // those that it did not know
	Unknown     uint64 // misses that were remembered not to exist
	TokenHits   uint64 // checks of user tokens that were verified lately
	TokenMisses uint64 // those that were verified

	Loads        uint64 // look-ups in ClickHouse that were begun, each of one key or more
	KeysLoaded   uint64 // keys that they asked for
	LoadFailures uint64 // look-ups that failed
	LoadsRefused uint64 // misses whose look-up did not get a turn in time
	LoadsTooFast uint64 // of these, for the limit on the rate
	LoadsRunning int    // look-ups, now
	LoadsWaiting int    // keys that wait for one, now
	LoadCapacity int    // look-ups, at most
	RevokedKeys  int    // entries in the revoked set
}

// Stats returns the counts, which may be off against each other by what happens meanwhile. It is safe
// for concurrent use.
func (a *Authenticator) Stats() AuthenticatorStats {
	l := &a.loads
	waiting, running := l.counts()
	return AuthenticatorStats{
		Hits: uint64(a.checks.hits.Value()), Misses: uint64(a.checks.misses.Value()), Unknown: uint64(a.checks.unknown.Value()),
		TokenHits: uint64(a.checks.tokenHits.Value()), TokenMisses: uint64(a.checks.tokenMisses.Value()),
		Loads: l.begun.Load(), KeysLoaded: l.asked.Load(), LoadFailures: l.failed.Load(), LoadsRefused: l.refused.Load(), LoadsTooFast: l.late.Load(),
		LoadsRunning: running, LoadsWaiting: waiting, LoadCapacity: cap(l.slots),
		RevokedKeys: a.revoked.size(),
	}
}

// ServiceStats counts what a Service has done since it was made.
type ServiceStats struct {
	// Propagation is how long it took until every subscriber of the channel had applied a revocation
	// that ClickHouse had, in nanoseconds.
	Propagation measure.Distribution
	// PropagationFailures counts the revocations that could not be announced to everybody.
	PropagationFailures uint64
	// Expiring are the good keys of all organisations that expire soon, as of the last CountExpiring.
	Expiring []schema.ExpiringKeys
}
