package registry

import (
	"encoding/hex"
	"net"
	"strings"
	"testing"
)

// FuzzMACIdentity checks that spellings of one address compare equal and that package net agrees on
// what an EUI is.
func FuzzMACIdentity(f *testing.F) {
	for _, seed := range []string{"AA:bb:cc:dd:ee:ff", "aa-bb-cc-dd-ee-ff", "aabb.ccdd.eeff", "AABBCCDDEEFF", "00:11:22:33:44:55:66:77", "0011.2233.4455.6677", "van-12", "a:b", "aa:bb-cc:dd:ee:ff", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		identity, ok := AppendMACIdentity(nil, address)
		if !ok {
			return
		}
		for _, same := range []string{string(identity), strings.ToUpper(address), strings.ToLower(address)} {
			if again, ok := AppendMACIdentity(nil, same); !ok || string(again) != string(identity) {
				t.Fatalf("%q is %q, but %q is %q", address, identity, same, again)
			}
		}
		if theirs, err := net.ParseMAC(address); err == nil && len(theirs) <= 8 && string(identity) != hex.EncodeToString(theirs) {
			t.Fatalf("%q is %q, package net says %x", address, identity, theirs)
		}
	})
}
