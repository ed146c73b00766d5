package changes

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"lastseen/query/latest"
	"lastseen/schema"
)

// A cursor is the base64url of a version, a place and a signature. The organisation and the scope are the request's and
// are signed along, so that a cursor is good for the query it came from and for no other; limit may change from page to
// page. One that was made before a restart is good too, and leads to an answer that begins anew.
const (
	cursorVersion   = 1
	cursorPlaceSize = 5 * 8
	cursorMACSize   = 16
	cursorSize      = 1 + cursorPlaceSize + cursorMACSize
)

// cursors makes and reads cursors. It is safe for concurrent use.
type cursors struct {
	key []byte
}

// cursorText is the strict base64url encoding: it has one text for each cursor.
var cursorText = base64.RawURLEncoding.Strict()

// append appends the cursor of a place.
func (c cursors) append(dst []byte, orgID string, scope schema.OrgScope, place *latest.Place) []byte {
	raw := make([]byte, 0, cursorSize)
	raw = append(raw, cursorVersion)
	for _, number := range []uint64{place.Run, place.Owned.Read, place.Owned.Since, place.Shared.Read, place.Shared.Since} {
		raw = binary.BigEndian.AppendUint64(raw, number)
	}
	return cursorText.AppendEncode(dst, append(raw, c.mac(raw, orgID, scope)...))
}

// parse returns the place in a cursor, and false unless append made it for the same scope of the same organisation.
func (c cursors) parse(text string, orgID string, scope schema.OrgScope) (place latest.Place, ok bool) {
	if len(text) != cursorText.EncodedLen(cursorSize) {
		return place, false
	}
	raw, err := cursorText.DecodeString(text)
	if err != nil || raw[0] != cursorVersion {
		return place, false
	}
	signed, mac := raw[:1+cursorPlaceSize], raw[1+cursorPlaceSize:]
	if !hmac.Equal(mac, c.mac(signed, orgID, scope)) {
		return place, false
	}
	for i, number := range []*uint64{&place.Run, &place.Owned.Read, &place.Owned.Since, &place.Shared.Read, &place.Shared.Since} {
		*number = binary.BigEndian.Uint64(signed[1+8*i:])
	}
	return place, true
}

// mac signs the first bytes of a cursor and what it is bound to. All parts but the last have a fixed length, so that no
// two queries sign the same bytes.
func (c cursors) mac(signed []byte, orgID string, scope schema.OrgScope) []byte {
	h := hmac.New(sha256.New, c.key)
	h.Write(signed)
	h.Write([]byte{byte(scope)})
	h.Write([]byte(orgID))
	return h.Sum(nil)[:cursorMACSize]
}
