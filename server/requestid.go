package server

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
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

// idSource makes request ids: a part drawn once, so that two processes do not collide, and a count.
// The ids are unique, not secret. It is safe for concurrent use.
type idSource struct {
	process [4]byte
	count   atomic.Uint64
}

func newIDSource() *idSource {
	source := &idSource{}
	rand.Read(source.process[:]) // never fails since Go 1.24
	return source
}

// next fills id with a fresh request id.
func (s *idSource) next(id *requestID) {
	var raw [generatedIDLength / 2]byte
	copy(raw[:], s.process[:])
	binary.BigEndian.PutUint64(raw[len(s.process):], s.count.Add(1))
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
