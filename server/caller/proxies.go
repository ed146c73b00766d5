package caller

import (
	"bytes"
	"net/netip"
	"slices"
	"unsafe"

	"github.com/valyala/fasthttp"

	"lastseen/server/transport"
)

// Proxies are the proxies whose X-Forwarded-For says which address a request comes from.
type Proxies []netip.Prefix

// Origin is where a request comes from, as far as it is known without trusting anybody.
type Origin interface {
	// Remote is the address at the other end of the connection, and the values of X-Forwarded-For.
	Remote() (address netip.Addr, forwarded [][]byte)
}

// Allow reports whether a request comes from one of some ranges, by the same rule as Client.
func (p Proxies) Allow(ranges []netip.Prefix, origin Origin) bool {
	address := p.Address(origin.Remote())
	for _, r := range ranges {
		if r.Contains(address) {
			return true
		}
	}
	return false
}

// Address returns the address that a request comes from, by the same rule as Client: the whole of it.
func (p Proxies) Address(remote netip.Addr, forwarded [][]byte) netip.Addr {
	if !p.trust(remote) {
		return remote
	}
	return p.lastForwarded(forwarded, remote)
}

// Client returns what a request's client address counts as. Behind a proxy that is trusted it is the last
// address of X-Forwarded-For that is not such a proxy's; what a client writes there itself stands
// before that and does not count.
func (p Proxies) Client(ctx *fasthttp.RequestCtx) netip.Prefix {
	prefix := remote(ctx)
	if p.trust(prefix.Addr()) {
		prefix = transport.AddressPrefix(p.lastForwarded(ctx.Request.Header.PeekAll(fasthttp.HeaderXForwardedFor), prefix.Addr()))
	}
	return prefix
}

// lastForwarded returns the last address of the values of X-Forwarded-For that is not a trusted proxy's, and fallback,
// or the last proxy that is named, when there is none.
func (p Proxies) lastForwarded(lines [][]byte, fallback netip.Addr) netip.Addr {
	for _, line := range slices.Backward(lines) {
		for len(line) > 0 {
			comma := bytes.LastIndexByte(line, ',') // -1: the last one left
			ip, err := parseAddress(bytes.TrimSpace(line[comma+1:]))
			if err != nil {
				return fallback
			}
			if ip = ip.Unmap(); !p.trust(ip) {
				return ip
			}
			fallback, line = ip, line[:max(comma, 0)]
		}
	}
	return fallback
}

// parseAddress is netip.ParseAddr of bytes without a copy of them on the heap. What it returns holds none of them: an
// address is numbers, and the name of a zone is netip's own copy.
func parseAddress(text []byte) (netip.Addr, error) {
	return netip.ParseAddr(unsafe.String(unsafe.SliceData(text), len(text)))
}

// Shared reports whether a request came through a proxy, which shares its connection among clients: one that is
// trusted or, where none is named, any in the same network. That it is a proxy shows in X-Forwarded-For or, where it sends none,
// in requests of several organisations, which the caller knows.
func (p Proxies) Shared(ctx *fasthttp.RequestCtx, several bool) bool {
	if len(ctx.Request.Header.Peek(fasthttp.HeaderXForwardedFor)) == 0 && !several {
		return false
	}
	ip := remote(ctx).Addr()
	if len(p) > 0 || ip == transport.PeerAddress {
		return p.trust(ip)
	}
	return ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast()
}

// trust reports whether what is at an address says truly where a request comes from: another node always does.
func (p Proxies) trust(ip netip.Addr) bool {
	if ip == transport.PeerAddress {
		return true
	}
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
