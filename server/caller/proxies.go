package caller

import (
	"bytes"
	"net/netip"
	"slices"

	"github.com/valyala/fasthttp"

	"lastseen/server/transport"
)

// Proxies are the proxies whose X-Forwarded-For says which address a request comes from.
type Proxies []netip.Prefix

// Client returns what a request's client address counts as. Behind a proxy that is trusted it is the last
// address of X-Forwarded-For that is not such a proxy's; what a client writes there itself stands
// before that and does not count.
func (p Proxies) Client(ctx *fasthttp.RequestCtx) netip.Prefix {
	prefix := remote(ctx)
	if len(p) > 0 && p.trust(prefix.Addr()) {
		prefix = p.forwardedFor(ctx.Request.Header.PeekAll(fasthttp.HeaderXForwardedFor), prefix)
	}
	return prefix
}

// forwardedFor returns the last address of the values of X-Forwarded-For that is not a trusted proxy's,
// and fallback when there is none.
func (p Proxies) forwardedFor(lines [][]byte, fallback netip.Prefix) netip.Prefix {
	for _, line := range slices.Backward(lines) {
		for len(line) > 0 {
			comma := bytes.LastIndexByte(line, ',') // -1: the last one left
			ip, err := netip.ParseAddr(string(bytes.TrimSpace(line[comma+1:])))
			if err != nil {
				return fallback
			}
			if ip = ip.Unmap(); !p.trust(ip) {
				return transport.AddressPrefix(ip)
			}
			fallback, line = transport.AddressPrefix(ip), line[:max(comma, 0)]
		}
	}
	return fallback
}

// Shared reports whether a request came through a proxy, which shares its connection among clients: one that is
// trusted or, where none is named, any in the same network.
func (p Proxies) Shared(ctx *fasthttp.RequestCtx) bool {
	if len(ctx.Request.Header.Peek(fasthttp.HeaderXForwardedFor)) == 0 {
		return false
	}
	ip := remote(ctx).Addr()
	if len(p) > 0 {
		return p.trust(ip)
	}
	return ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast()
}

func (p Proxies) trust(ip netip.Addr) bool {
	for _, proxy := range p {
		if proxy.Contains(ip) {
			return true
		}
	}
	return false
}

// remote returns what the address at the other end of a request's connection counts as.
func remote(ctx *fasthttp.RequestCtx) netip.Prefix {
	if c := transport.Of(ctx.Conn()); c != nil {
		return c.Address()
	}
	return transport.ClientPrefix(ctx.RemoteAddr())
}
