package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
	"unicode"
)

var (
	fitsAddress   = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`)
	fitsReference = regexp.MustCompile(`^[A-Za-z0-9._~-]{1,64}$`)
	notInAddress  = regexp.MustCompile(`[^A-Za-z0-9._:-]+`)
)

// AddressOf returns the device_mac_address of a device by its name, as files and apps give it: the name where it fits, and
// elsewhere what of it fits with a part of its SHA-256, so that one name always gives one address and
// two names give two.
func AddressOf(name string) string {
	if fitsAddress.MatchString(name) {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	readable := strings.Trim(notInAddress.ReplaceAllString(name, "-"), "-")
	return strings.TrimPrefix(readable[:min(len(readable), 40)]+"-"+hex.EncodeToString(sum[:8]), "-")
}

// OwnAddress is the address of an organisation's device whose name, or address, another organisation has: what
// people call their devices is their own affair.
func OwnAddress(orgID, address string) string {
	identity, _ := AppendMACIdentity(nil, address)
	own, _ := AppendMACIdentity(nil, AddressOf(string(identity)+"\x00"+orgID))
	return string(own)
}

// IsReference reports whether a name can be an off_chrt_reference_id.
func IsReference(name string) bool {
	return fitsReference.MatchString(name)
}

// CommentOf returns a name that is no address in the form of a comment: at most 1,000 printable characters.
func CommentOf(name string) string {
	printable := []rune(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, name))
	return string(printable[:min(len(printable), 1000)])
}
