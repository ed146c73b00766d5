package history

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"lastseen/schema"
)

// A cursor is the base64url of a version, a place and a signature. Everything else that a page depends
// on is the request's and is signed along, so that a cursor is good for the request it came from and
// for no other. limit and format may change from page to page. The place of many sessions' feed names the
// session too, which that of one session need not.
const (
	cursorOfOne  = 1 // versions
	cursorOfMany = 2

	cursorMACSize = 16
	// cursorKeySize is the least number of bytes of the key that signs cursors.
	cursorKeySize = 32
)

// cursors makes and reads cursors. It is safe for concurrent use.
type cursors struct {
	key []byte
}

// cursorText is the strict base64url encoding: it has one text for each cursor.
var cursorText = base64.RawURLEncoding.Strict()

// sign returns a cursor of a request for the page that follows a place.
func (c cursors) sign(r *Request, session schema.ID, place schema.Receipt) string {
	raw := []byte{cursorOfOne}
	if r.AllSessions {
		raw[0] = cursorOfMany
	}
	raw = binary.BigEndian.AppendUint64(raw, uint64(place.ReceivedAt))
	raw = binary.BigEndian.AppendUint64(raw, uint64(place.Timestamp))
	if r.AllSessions {
		raw = append(raw, place.Session[:]...)
	}
	return cursorText.EncodeToString(append(raw, c.mac(raw, r, session)...))
}

// parse returns the place in a cursor, and false unless sign made it for the same query of the same
// organisation.
func (c cursors) parse(text string, r *Request, session schema.ID) (place schema.Receipt, ok bool) {
	version, size := byte(cursorOfOne), 17
	if place.Session = session; r.AllSessions {
		version, size = cursorOfMany, size+len(place.Session)
	}
	if len(text) != cursorText.EncodedLen(size+cursorMACSize) {
		return schema.Receipt{}, false
	}
	raw, err := cursorText.DecodeString(text)
	if err != nil || len(raw) != size+cursorMACSize || raw[0] != version {
		return schema.Receipt{}, false
	}
	signed, mac := raw[:size], raw[size:]
	if !hmac.Equal(mac, c.mac(signed, r, session)) {
		return schema.Receipt{}, false
	}
	place.ReceivedAt, place.Timestamp = int64(binary.BigEndian.Uint64(signed[1:])), int64(binary.BigEndian.Uint64(signed[9:]))
	if r.AllSessions {
		copy(place.Session[:], signed[17:])
	}
	return place, true
}

// mac signs the first bytes of a cursor and what it is bound to. All parts but the last have a fixed
// length for each version, so that no two requests sign the same bytes.
func (c cursors) mac(signed []byte, r *Request, session schema.ID) []byte {
	h := hmac.New(sha256.New, c.key)
	h.Write(signed)
	h.Write(session[:])
	var fixed [26]byte
	binary.BigEndian.PutUint64(fixed[0:], uint64(r.Start))
	binary.BigEndian.PutUint64(fixed[8:], uint64(r.End))
	binary.BigEndian.PutUint64(fixed[16:], uint64(r.BucketSeconds))
	fixed[24] = byte(r.Order)
	if r.Public {
		fixed[25] = 1
	}
	h.Write(fixed[:])
	if r.AllSessions {
		h.Write(binary.BigEndian.AppendUint64([]byte{byte(r.Scope)}, uint64(r.ReceivedAfter)))
	}
	if !r.Public {
		h.Write([]byte(r.OrgID))
	}
	return h.Sum(nil)[:cursorMACSize]
}
