package apikey

import (
	"net/netip"
	"slices"
	"strings"

	"lastseen/schema"
)

const (
	// MaxRanges is the most ranges of addresses that a key may have.
	MaxRanges = 20
	// MaxRequestsPerSecond is the highest rate of its own that a key may have.
	MaxRequestsPerSecond = 1_000_000
)

// scopes are the scopes by their names on the wire.
var scopes = []struct {
	name  string
	scope schema.KeyScopes
}{{"last_seen", schema.ScopeLastSeen}, {"history", schema.ScopeHistory}, {"sessions", schema.ScopeSessions}}

// ScopeNames are the names of all scopes.
func ScopeNames() (names []string) {
	for _, s := range scopes {
		names = append(names, s.name)
	}
	return names
}

// NamesOfScopes returns the names of the scopes that are not denied, and nil when none is denied.
func NamesOfScopes(denied schema.KeyScopes) (names []string) {
	if denied == 0 {
		return nil
	}
	for _, s := range scopes {
		if denied&s.scope == 0 {
			names = append(names, s.name)
		}
	}
	return names
}

// ParseScopes reads the names of the scopes that a key is to have, at least one, and returns those that it is
// denied. It fails with schema.Invalid.
func ParseScopes(names []string) (denied schema.KeyScopes, err error) {
	denied = schema.AllScopes
	for _, name := range names {
		i := slices.IndexFunc(scopes, func(s struct {
			name  string
			scope schema.KeyScopes
		}) bool {
			return s.name == name
		})
		if i < 0 {
			return 0, schema.Invalid.About("scopes", "Use the scopes %s, or leave it out for all of them.", strings.Join(ScopeNames(), ", "))
		}
		denied &^= scopes[i].scope
	}
	if len(names) == 0 {
		return 0, schema.Invalid.About("scopes", "Name at least one scope, or leave it out for all of them.")
	}
	return denied, nil
}

// ParseRanges reads ranges of addresses in CIDR notation, 1 to MaxRanges of them; a single address stands for itself.
// It fails with schema.Invalid.
func ParseRanges(texts []string) ([]netip.Prefix, error) {
	if len(texts) == 0 || len(texts) > MaxRanges {
		return nil, schema.Invalid.About("allowed_ip_ranges", "Give 1 to %d ranges, or leave it out for any address.", MaxRanges)
	}
	ranges := make([]netip.Prefix, 0, len(texts))
	for _, text := range texts {
		r, err := parseRange(text)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(ranges, r) {
			ranges = append(ranges, r)
		}
	}
	return ranges, nil
}

func parseRange(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil && address.Zone() == "" {
		address = address.Unmap()
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	r, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return r, schema.Invalid.About("allowed_ip_ranges", "Write each range in CIDR notation, such as 192.0.2.0/24 or 2001:db8::/32.")
	case r.Addr().Is4In6():
		return r, schema.Invalid.About("allowed_ip_ranges", "Write ranges of IPv4 addresses as such: 192.0.2.0/24 and not ::ffff:192.0.2.0/120.")
	case r != r.Masked():
		return r, schema.Invalid.About("allowed_ip_ranges", "The range %s begins in its middle: write %s, or a longer prefix, if that is meant.", r, r.Masked())
	}
	return r, nil
}

// checkLimits refuses limits of what is no API key, and a rate that is none.
func checkLimits(kind schema.KeyKind, l *schema.KeyLimits) error {
	if l.RequestsPerSecond > MaxRequestsPerSecond {
		return schema.Invalid.About("requests_per_second", "Give a whole number from 1 to %d, or leave it out.", MaxRequestsPerSecond)
	}
	if kind == schema.KindAPIKey {
		return nil
	}
	for _, field := range []struct {
		name string
		set  bool
	}{{"scopes", l.Denied != 0}, {"allowed_ip_ranges", len(l.Ranges) > 0}, {"requests_per_second", l.RequestsPerSecond > 0}} {
		if field.set {
			return schema.Invalid.About(field.name, "Leave this out: only API keys can be limited.")
		}
	}
	return nil
}

// checkNarrower refuses limits that let a key do what the earlier ones did not.
func checkNarrower(earlier, next *schema.KeyLimits) error {
	switch {
	case earlier.Denied&^next.Denied != 0:
		return schema.Invalid.About("scopes", "A key can only be narrowed: use some of the scopes that it has, %s.", strings.Join(NamesOfScopes(earlier.Denied), ", "))
	case !within(next.Ranges, earlier.Ranges):
		return schema.Invalid.About("allowed_ip_ranges", "A key can only be narrowed: each range must lie in one of those that it has.")
	case earlier.RequestsPerSecond != 0 && (next.RequestsPerSecond == 0 || next.RequestsPerSecond > earlier.RequestsPerSecond):
		return schema.Invalid.About("requests_per_second", "A key can only be narrowed: give at most %d, which it has.", earlier.RequestsPerSecond)
	}
	return nil
}

// within reports whether each of some ranges lies in one of others, of which none means all addresses.
func within(ranges, others []netip.Prefix) bool {
	if len(others) == 0 {
		return true
	}
	for _, r := range ranges {
		inside := func(other netip.Prefix) bool { return other.Bits() <= r.Bits() && other.Contains(r.Addr()) }
		if !slices.ContainsFunc(others, inside) {
			return false
		}
	}
	return len(ranges) > 0
}
