package registry

// maxMACAddress is the greatest length of a device's address in characters.
const maxMACAddress = 64

// AppendMACIdentity appends what two spellings of one device's address have in common: the address
// in small letters, and without its separators when it is an EUI-48 or EUI-64 (colons, dashes, the
// dots of Cisco, or none). It reports false, and appends nothing, for what is no address.
func AppendMACIdentity[T string | []byte](b []byte, address T) ([]byte, bool) {
	if len(address) == 0 || len(address) > maxMACAddress {
		return b, false
	}
	for i := range len(address) {
		if !macCharacter[address[i]] {
			return b, false
		}
	}
	group := euiGroup(address)
	if group == 0 {
		group = len(address)
	}
	for at := 0; at < len(address); at += group + 1 { // past the digits of a group and a separator
		for i := at; i < at+group; i++ {
			c := address[i]
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			b = append(b, c)
		}
	}
	return b, true
}

// euiGroup returns how many digits stand between the separators of an EUI-48 or EUI-64, and 0 for
// an address that is none or has no separators.
func euiGroup[T string | []byte](address T) int {
	group := 0
	switch {
	case len(address) == 17 || len(address) == 23:
		group = 2
	case len(address) == 14 || len(address) == 19:
		group = 4
	default:
		return 0
	}
	separator := address[group]
	if group == 2 && separator != ':' && separator != '-' || group == 4 && separator != '.' {
		return 0
	}
	for at := 0; at < len(address); at += group + 1 { // the lengths are those of whole groups
		if end := at + group; end < len(address) && address[end] != separator {
			return 0
		}
		for i := at; i < at+group; i++ {
			if !isHex(address[i]) {
				return 0
			}
		}
	}
	return group
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// macCharacter tells the characters that an address consists of, and referenceCharacter those of an
// off_chrt_reference_id.
var (
	macCharacter       = characters(".:_-")
	referenceCharacter = characters("._~-")
)

// characters returns the table of the letters, the digits and some more.
func characters(more string) (table [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789" + more) {
		table[c] = true
	}
	return table
}
