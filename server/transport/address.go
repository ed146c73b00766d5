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

// PeerAddress stands for another node at the other end of a connection. No client can have it.
var PeerAddress = netip.AddrFrom4([4]byte{0, 0, 0, 1})

// ClientPrefix returns what a connection's address counts as.
func ClientPrefix(address net.Addr) netip.Prefix {
	return AddressPrefix(ClientAddress(address))
}

// ClientAddress returns the IP address of a connection, and the zero address for one that is not TCP's.
func ClientAddress(address net.Addr) netip.Addr {
	tcp, ok := address.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap().WithZone("")
}
