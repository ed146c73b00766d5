package sessions

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"

	"lastseen/schema"
)

// A cursor is the base64url of a version, where its walk has come to, and a signature. Everything else that a page
// depends on is the request's and is signed along, so that a cursor is good for the list it came from and for no
// other. The size of the page may change.
const (
	cursorVersion  = 1
	cursorMACSize  = 16
	cursorBodySize = 1 + 8 + 4 + 8 + 12 + 8
	cursorSize     = cursorBodySize + cursorMACSize
	cursorAdvice   = "Use a cursor as it came, with the filters, search, org_scope, sort_by and sort_order of the request that it came from, or leave it out to begin anew."
)

// cursor is where a walk through a list has come to.
type cursor struct {
	walk  uint64 // among those that are remembered; 0 for none
	given uint32 // how many sessions the walk had given by then
	last  rank   // the one given that is furthest in the order; its row and fleet are not kept
	began int64  // when its first page was made, Unix milliseconds
}

// cursors makes and reads cursors. It is safe for concurrent use.
type cursors struct {
	key []byte
}

// cursorText is the strict base64url encoding: it has one text for each cursor.
var cursorText = base64.RawURLEncoding.Strict()

// sign returns the text of a cursor of a list.
func (c cursors) sign(orgID string, r *ListRequest, at *cursor) string {
	raw := make([]byte, 0, cursorSize)
	raw = append(raw, cursorVersion)
	raw = binary.BigEndian.AppendUint64(raw, at.walk)
	raw = binary.BigEndian.AppendUint32(raw, at.given)
	raw = binary.BigEndian.AppendUint64(raw, uint64(at.last.key))
	id := at.last.id()
	raw = append(raw, id[:]...)
	raw = binary.BigEndian.AppendUint64(raw, uint64(at.began))
	return cursorText.EncodeToString(append(raw, c.mac(raw, orgID, r)...))
}

// parse returns what a cursor says, or a schema.Invalid unless sign made it for the same list of the same
// organisation.
func (c cursors) parse(text, orgID string, r *ListRequest) (cursor, error) {
	refused := schema.Invalid.About("cursor", cursorAdvice)
	if len(text) != cursorText.EncodedLen(cursorSize) {
		return cursor{}, refused
	}
	raw, err := cursorText.DecodeString(text)
	if err != nil || len(raw) != cursorSize || raw[0] != cursorVersion {
		return cursor{}, refused
	}
	if !hmac.Equal(raw[cursorBodySize:], c.mac(raw[:cursorBodySize], orgID, r)) {
		return cursor{}, refused
	}
	at := cursor{
		walk: binary.BigEndian.Uint64(raw[1:]), given: binary.BigEndian.Uint32(raw[9:]), began: int64(binary.BigEndian.Uint64(raw[33:])),
		last: rank{key: int64(binary.BigEndian.Uint64(raw[13:]))},
	}
	at.last.setID(schema.ID(raw[21:33]))
	return at, nil
}

// mac signs the bytes of a cursor, which have a fixed length, and the list that it is bound to.
func (c cursors) mac(signed []byte, orgID string, r *ListRequest) []byte {
	f := &r.Filter
	var times []int64
	for _, wanted := range []TimeRange{f.CreatedAt, f.LastSeenAt, f.TerminationScheduledFor, f.TerminatedAt} {
		s := spanOf(wanted)
		times = append(times, s.from, s.to)
	}
	h := hmac.New(sha256.New, c.key)
	h.Write(signed)
	// As JSON no two lists are written alike. Neither what is written nor a hash can fail.
	json.NewEncoder(h).Encode([]any{
		orgID, r.SortBy, r.Descending, f.Scope, f.Search, f.Terminated, f.Public, f.HasLastSeen,
		f.DeviceID, f.OffChrtReferenceID, f.FlightNumber, f.FlightLoadedStatus, times,
	})
	return h.Sum(nil)[:cursorMACSize]
}
