package apikey

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"lastseen/schema"
)

// A cursor is the base64url of a version, the id and the place of the last key of a page, and a signature over these
// and over the organisation and the query. So it is good for the list that it came from and for no other; only the
// limit may change from page to page.
const (
	cursorVersion = 1
	cursorIDAt    = 1
	cursorValueAt = cursorIDAt + len(schema.ID{})
	cursorMACSize = 16
	cursorKeySize = 32
	// longestCursor bounds what is decoded: a name has at most 400 bytes, to which lower case may add.
	longestCursor = 2048
)

// cursorText is the strict base64url encoding: it has one text for each cursor.
var cursorText = base64.RawURLEncoding.Strict()

// cursors makes and reads cursors. It is safe for concurrent use.
type cursors struct{ key []byte }

// newCursors uses a key, or makes one where that is too short.
func newCursors(key []byte) cursors {
	if len(key) < cursorKeySize {
		key = make([]byte, cursorKeySize)
		rand.Read(key) // never fails since Go 1.24: it aborts the program instead
	}
	return cursors{key}
}

// sign returns the cursor of a list for the page that follows a place.
func (c cursors) sign(l *schema.KeyList, place schema.KeyPlace) string {
	raw := append([]byte{cursorVersion}, place.ID[:]...)
	raw = append(raw, place.Value...)
	return cursorText.EncodeToString(append(raw, c.mac(raw, l)...))
}

// parse returns the place in a cursor, and a schema.Invalid unless sign made it for the same list.
func (c cursors) parse(text string, l *schema.KeyList) (*schema.KeyPlace, error) {
	refused := schema.Invalid.About("cursor", "Use a cursor as it came, with the search, status and sort_by of the request that it came from, or leave it out to begin anew.")
	if len(text) > longestCursor {
		return nil, refused
	}
	raw, err := cursorText.DecodeString(text)
	if err != nil || len(raw) < cursorValueAt+cursorMACSize || raw[0] != cursorVersion {
		return nil, refused
	}
	signed, mac := raw[:len(raw)-cursorMACSize], raw[len(raw)-cursorMACSize:]
	if !hmac.Equal(mac, c.mac(signed, l)) {
		return nil, refused
	}
	return &schema.KeyPlace{ID: schema.ID(signed[cursorIDAt:cursorValueAt]), Value: string(signed[cursorValueAt:])}, nil
}

// mac signs the first bytes of a cursor and what it is bound to. Each part of no fixed length is preceded by its
// length, so that no two lists sign the same bytes.
func (c cursors) mac(signed []byte, l *schema.KeyList) []byte {
	h := hmac.New(sha256.New, c.key)
	for _, part := range []string{string(signed), l.OrgID, string(l.Kind), l.Search} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write([]byte(part))
	}
	h.Write([]byte{byte(l.Filter), byte(l.Sort)})
	return h.Sum(nil)[:cursorMACSize]
}
