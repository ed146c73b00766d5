package server

import (
	"bytes"
	"errors"
	"hash/maphash"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/keys"
	"lastseen/keys/ratelimit"
	"lastseen/schema"
)

// limits bound how many requests one caller may make and how often one address may come with
// credentials that are not good. Nothing here takes a lock, and its memory is fixed.
type limits struct {
	seed     maphash.Seed
	clock    func() time.Time // nil: the requests tell the time
	trusted  []netip.Prefix
	requests limit // by who is calling
	failures limit // by address
}

// limit is one of the limits, with the answer of those past it.
type limit struct {
	*ratelimit.Table
	problem *problem
}

const (
	limitedCallers   = 1 << 16 // 1 MiB
	limitedAddresses = 1 << 15 // 512 KiB
)

func newLimits(config *Config) *limits {
	return &limits{
		seed: maphash.MakeSeed(), clock: config.Now, trusted: config.TrustedProxies,
		requests: newLimit("requests", config.RequestRate, limitedCallers,
			"You have made as many requests as you may for now; wait as many seconds as Retry-After says, and poll less often."),
		failures: newLimit("failures", config.FailureRate, limitedAddresses,
			"Too many bad credentials have come from your address; wait as many seconds as Retry-After says, and check the credential."),
	}
}

func newLimit(name string, rate ratelimit.Rate, size int, detail string) limit {
	l := limit{Table: ratelimit.NewTable(rate, size)}
	l.problem = &problem{status: fasthttp.StatusTooManyRequests, reason: reasonRate, detail: detail, limit: strconv.Quote(name)}
	if rate.Limits() {
		l.problem.policy = l.problem.limit + ";q=" + strconv.Itoa(rate.Quota) + ";w=" + strconv.FormatInt(wholeSeconds(rate.Window), 10)
	}
	return l
}

// wholeSeconds rounds up.
func wholeSeconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// address returns what stands for the client's address. Behind a proxy that is trusted it is the last
// address of X-Forwarded-For that is not such a proxy's; what a client writes there itself stands
// before that and does not count.
func (l *limits) address(ctx *fasthttp.RequestCtx) uint64 {
	prefix := clientPrefixOf(ctx)
	if len(l.trusted) > 0 && l.trusts(prefix.Addr()) {
		prefix = l.forwardedFor(ctx.Request.Header.PeekAll(fasthttp.HeaderXForwardedFor), prefix)
	}
	return maphash.Comparable(l.seed, prefix)
}

// forwardedFor returns the last address of the values of X-Forwarded-For that is not a trusted proxy's,
// and fallback when there is none.
func (l *limits) forwardedFor(lines [][]byte, fallback netip.Prefix) netip.Prefix {
	for _, line := range slices.Backward(lines) {
		for len(line) > 0 {
			comma := bytes.LastIndexByte(line, ',') // -1: the last one left
			ip, err := netip.ParseAddr(string(bytes.TrimSpace(line[comma+1:])))
			if err != nil {
				return fallback
			}
			if ip = ip.Unmap(); !l.trusts(ip) {
				return addressPrefix(ip)
			}
			fallback, line = addressPrefix(ip), line[:max(comma, 0)]
		}
	}
	return fallback
}

// proxied reports whether a request came through a proxy, which shares its connection among clients: one that is
// trusted or, where none is named, any in the same network.
func (l *limits) proxied(ctx *fasthttp.RequestCtx) bool {
	if len(ctx.Request.Header.Peek(fasthttp.HeaderXForwardedFor)) == 0 {
		return false
	}
	ip := clientPrefixOf(ctx).Addr()
	if len(l.trusted) > 0 {
		return l.trusts(ip)
	}
	return ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast()
}

// clientPrefixOf returns what the address at the other end of a request's connection counts as.
func clientPrefixOf(ctx *fasthttp.RequestCtx) netip.Prefix {
	if c, ok := ctx.Conn().(*conn); ok {
		return c.address
	}
	return clientPrefix(ctx.RemoteAddr())
}

func (l *limits) trusts(ip netip.Addr) bool {
	for _, proxy := range l.trusted {
		if proxy.Contains(ip) {
			return true
		}
	}
	return false
}

// checkFailures refuses a caller from whose address too many bad credentials have come, unless the
// credential is one that is known to be good: others behind the same address go on undisturbed.
func (c *call) checkFailures(text []byte) (*keys.Principal, error) {
	l := c.server.limits
	if !l.failures.Rate().Limits() {
		return nil, nil
	}
	wait := l.failures.Wait(l.address(c.http), l.now(c.entry.began))
	if wait == 0 {
		return nil, nil
	}
	if principal, known := c.server.services.Authenticator.Known(text); known {
		c.server.services.Authenticator.CountKnown(principal)
		return principal, nil
	}
	c.retry = wait
	return nil, l.failures.problem
}

// noteFailure counts a credential that was not good against the address it came from. One that has
// expired or was revoked was good once and is no guess.
func (c *call) noteFailure(err error) {
	if !errors.Is(err, schema.InvalidCredential) && !errors.Is(err, schema.NoCredential) || c.decided() {
		return
	}
	l := c.server.limits
	if !l.failures.Rate().Limits() {
		return
	}
	l.failures.Take(l.address(c.http), l.now(c.entry.began))
}

// checkRate counts a request against who makes it.
func (c *call) checkRate() error {
	if c.principal == nil || c.decided() {
		return nil
	}
	l := c.server.limits
	if c.retry = l.takeRequest(c.principal, c.entry.began); c.retry > 0 {
		return l.requests.problem
	}
	return nil
}

// takeRequest counts a request that began at a time against who makes it, and returns 0, or how long it
// will be until there may be one.
func (l *limits) takeRequest(p *keys.Principal, began time.Time) (wait time.Duration) {
	if !l.requests.Rate().Limits() {
		return 0
	}
	var id uint64
	if p.Kind == keys.CallerUser {
		id = maphash.String(l.seed, p.UserID) ^ maphash.String(l.seed, p.OrgID)<<1
	} else {
		id = maphash.Bytes(l.seed, p.KeyID[:])
	}
	return l.requests.Take(id, l.now(began))
}

// now is the time by which the rates of a request that began at a time are measured.
func (l *limits) now(began time.Time) time.Time {
	if l.clock != nil {
		return l.clock()
	}
	return began
}

// decided reports whether decide has let this request in before, and has counted it.
func (c *call) decided() bool { return !c.deciding && c.http.Request.MayContinue() }

// setRateLimit tells a caller past a limit when to come back, in the fields of the IETF's draft
// ratelimit-headers.
func (c *call) setRateLimit(p *problem) {
	seconds := wholeSeconds(c.retry)
	header := &c.http.Response.Header
	c.scratch = strconv.AppendInt(c.scratch[:0], seconds, 10)
	header.SetBytesV(fasthttp.HeaderRetryAfter, c.scratch)
	header.Set("RateLimit-Policy", p.policy)
	c.scratch = append(append(c.scratch[:0], p.limit...), ";r=0;t="...)
	header.SetBytesV("RateLimit", strconv.AppendInt(c.scratch, seconds, 10))
}

// addressPrefix returns what a client's IP address counts as: itself, or the /64 that an IPv6 client
// usually has all of.
func addressPrefix(ip netip.Addr) netip.Prefix {
	ip = ip.Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	prefix, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}

// clientPrefix returns what a connection's address counts as. Anything but TCP counts as one.
func clientPrefix(address net.Addr) netip.Prefix {
	tcp, ok := address.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	return addressPrefix(tcp.AddrPort().Addr())
}
