package apikey

import (
	"fmt"
	"hash/crc32"
	"io"
	"math/big"

	"lastseen/schema"
)

// A key's text is a prefix that tells its kind, 43 base62 digits of a 256-bit random number, and 6
// base62 digits of the CRC-32 (IEEE) of all that precedes. The checksum lets a mistyped key be
// refused without a look-up, and lets scanners for leaked secrets recognise a real one.
const (
	// Prefix is how API keys begin, and DevicePrefix how device credentials do.
	Prefix, DevicePrefix = "ak_", "dk_"

	prefixLength   = len(Prefix)
	secretDigits   = 43 // 62^42 < 2^256 < 62^43
	checksumDigits = 6  // 62^5 < 2^32 < 62^6
	checksumStart  = prefixLength + secretDigits
	keyLength      = checksumStart + checksumDigits

	// shownLength is how much of a key is stored in the clear, for people to recognise it by. The
	// digits in it leave the other 226 bits unknown.
	shownLength = 8
)

const digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// isDigit says which bytes are base62 digits.
var isDigit = func() (table [256]bool) {
	for i := range len(digits) {
		table[digits[i]] = true
	}
	return table
}()

// Parse checks a key's form and checksum and returns its kind, and false when the text cannot be
// a key that this service made. It neither keeps the text nor allocates.
func Parse(text []byte) (schema.KeyKind, bool) {
	if len(text) != keyLength {
		return "", false
	}
	kind, ok := prefixKind(text)
	if !ok {
		return "", false
	}
	for _, c := range text[prefixLength:checksumStart] {
		if !isDigit[c] {
			return "", false
		}
	}
	// The digits are compared rather than read, so that only one text of each checksum passes.
	sum := checksum(text[:checksumStart])
	return kind, sum == [checksumDigits]byte(text[checksumStart:])
}

// prefixKind returns the kind of key that a text claims to be.
func prefixKind(text []byte) (schema.KeyKind, bool) {
	if len(text) < prefixLength {
		return "", false
	}
	switch string(text[:prefixLength]) {
	case Prefix:
		return schema.KindAPIKey, true
	case DevicePrefix:
		return schema.KindDeviceCredential, true
	}
	return "", false
}

// checksum returns the base62 digits of the text's CRC-32.
func checksum(text []byte) (sum [checksumDigits]byte) {
	rest := crc32.ChecksumIEEE(text)
	for i := len(sum) - 1; i >= 0; i-- {
		sum[i] = digits[rest%62]
		rest /= 62
	}
	return sum
}

// newKey makes the text of a fresh key.
func newKey(kind schema.KeyKind, random io.Reader) ([]byte, error) {
	var secret [32]byte
	if _, err := io.ReadFull(random, secret[:]); err != nil {
		return nil, fmt.Errorf("draw a random key: %w", err)
	}
	return formatKey(kind, secret), nil
}

// formatKey returns the text of the key with a secret.
func formatKey(kind schema.KeyKind, secret [32]byte) []byte {
	text := make([]byte, 0, keyLength)
	if kind == schema.KindDeviceCredential {
		text = append(text, DevicePrefix...)
	} else {
		text = append(text, Prefix...)
	}
	number := new(big.Int).SetBytes(secret[:]).Text(62) // in the alphabet of digits
	for range secretDigits - len(number) {
		text = append(text, '0')
	}
	text = append(text, number...)
	sum := checksum(text)
	return append(text, sum[:]...)
}
