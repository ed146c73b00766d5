package limit

import (
	"hash/maphash"
	"net/netip"
	"time"

	"lastseen/keys"
	"lastseen/keys/ratelimit"
)

// Rates bound how many requests one caller may make and how often one address may come with
// credentials that are not good. They take no lock, their memory is fixed, and they are safe for concurrent use.
type Rates struct {
	seed     maphash.Seed
	clock    func() time.Time // nil: the requests tell the time
	requests *ratelimit.Table // by who is calling
	own      *ratelimit.Table // by API key, for those that have a rate of their own
	failures *ratelimit.Table // by address
}

const (
	limitedCallers   = 1 << 16 // 1 MiB
	limitedAddresses = 1 << 15 // 512 KiB
)

// NewRates makes the two limits. The clock may be nil; then the time of each request counts.
func NewRates(requests, failures ratelimit.Rate, clock func() time.Time) *Rates {
	return &Rates{
		seed: maphash.MakeSeed(), clock: clock,
		requests: ratelimit.NewTable(requests, limitedCallers), own: ratelimit.NewTable(OwnRate(1), limitedCallers), failures: ratelimit.NewTable(failures, limitedAddresses),
	}
}

// OwnRate is the rate of a key that may make so many requests a second: as many at once.
func OwnRate(perSecond uint32) ratelimit.Rate {
	return ratelimit.Rate{Quota: int(perSecond), Window: time.Second}
}

// TakeRequest counts a request that began at a time against who makes it, and returns 0, or, when there may be none,
// how long it will be until there may be one.
func (r *Rates) TakeRequest(p *keys.Principal, began time.Time) (wait time.Duration) {
	return r.TakeRequests(p, began, 1)
}

// TakeRequests is TakeRequest for one that counts as n, or as all that may be made at once where that is less. For n of 0
// it does nothing.
func (r *Rates) TakeRequests(p *keys.Principal, began time.Time, n int) (wait time.Duration) {
	all, own := r.requests.Rate().Limits(), p.Limits.RequestsPerSecond
	if n == 0 || !all && own == 0 {
		return 0
	}
	id, now := r.caller(p), r.now(began)
	if own > 0 {
		wait = r.own.TakeOf(OwnRate(own), id, now, n)
	}
	if all && wait == 0 {
		wait = r.requests.TakeMany(id, now, n)
	}
	return wait
}

// caller returns what stands for a caller.
func (r *Rates) caller(p *keys.Principal) uint64 {
	if p.Kind == keys.CallerUser {
		return maphash.String(r.seed, p.UserID) ^ maphash.String(r.seed, p.OrgID)<<1
	}
	return maphash.Bytes(r.seed, p.KeyID[:])
}

// LimitFailures reports whether there is a limit on bad credentials, so that an address is worth knowing.
func (r *Rates) LimitFailures() bool { return r.failures.Rate().Limits() }

// FailureWait returns how long an address must wait before it may come with another bad credential, at the time of a
// request; 0 for not at all.
func (r *Rates) FailureWait(address netip.Prefix, began time.Time) time.Duration {
	return r.failures.Wait(maphash.Comparable(r.seed, address), r.now(began))
}

// TakeFailure counts a bad credential of a request against the address it came from.
func (r *Rates) TakeFailure(address netip.Prefix, began time.Time) {
	r.failures.Take(maphash.Comparable(r.seed, address), r.now(began))
}

// now is the time by which the rates of a request that began at a time are measured.
func (r *Rates) now(began time.Time) time.Time {
	if r.clock != nil {
		return r.clock()
	}
	return began
}
