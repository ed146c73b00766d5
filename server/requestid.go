package server

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"sync/atomic"

	"lastseen/server/caller"
	"lastseen/server/transport"
)

const (
	headerRequestID      = transport.HeaderRequestID
	maxRequestIDLength   = 64
	generatedIDLength    = 24
	requestIDPunctuation = "-_.:+/=~@,"
)

// requestID names one request in the answer and in the log. It holds only characters that need no
// escaping in a header, in JSON or in a log line.
type requestID struct {
	text   [maxRequestIDLength]byte
	length uint8
}

func (id *requestID) bytes() []byte { return id.text[:id.length] }

// idSource makes request ids, 96 random bits each, which tell nothing of other requests, and counts the
// requests. The ids are unique, not secret. It is safe for concurrent use.
type idSource struct {
	count atomic.Uint64
}

func newIDSource() *idSource { return &idSource{} }

// next fills id with a fresh request id. The generator of math/rand/v2 is ChaCha8, seeded by the
// system: ids that were seen do not give away the next ones.
func (s *idSource) next(id *requestID) {
	s.count.Add(1)
	var raw [generatedIDLength / 2]byte
	binary.BigEndian.PutUint64(raw[:], rand.Uint64())
	binary.BigEndian.PutUint32(raw[8:], rand.Uint32())
	id.length = uint8(hex.Encode(id.text[:], raw[:]))
}

// choose fills id with the one that the caller proposes, when it is short, plain and no credential
// that somebody put into the wrong header, and with a fresh one otherwise.
func (s *idSource) choose(id *requestID, proposed []byte) {
	if len(proposed) == 0 || len(proposed) > maxRequestIDLength || caller.HoldsCredential(proposed) {
		s.next(id)
		return
	}
	for _, c := range proposed {
		if !plainIDCharacter[c] {
			s.next(id)
			return
		}
	}
	s.count.Add(1) // every request counts; see limit.Pacer
	id.length = uint8(copy(id.text[:], proposed))
}

// plainIDCharacter says which bytes a proposed request id may consist of.
var plainIDCharacter = func() (table [256]bool) {
	for i := range table {
		c := byte(i)
		table[i] = c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
	}
	for _, c := range []byte(requestIDPunctuation) {
		table[c] = true
	}
	return table
}()
