package transport

import (
	"net"
	"net/netip"
)

// AddressPrefix returns what a client's IP address counts as: itself, or the /64 that an IPv6 client
// usually has all of.
func AddressPrefix(ip netip.Addr) netip.Prefix {
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

// ClientPrefix returns what a connection's address counts as.
func ClientPrefix(address net.Addr) netip.Prefix {
	tcp, ok := address.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	return AddressPrefix(tcp.AddrPort().Addr())
}
