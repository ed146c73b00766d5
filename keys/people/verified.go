package people

import (
	"crypto/sha256"
	"encoding/binary"
	"sync/atomic"
	"time"
)

// verifiedSessions are how many tokens of sessions are remembered; a power of two.
const verifiedSessions = 4096

// verified are the tokens of sessions whose signature was found good lately: a page sends its cookie with every request,
// and where many bad ones come from an address only these are accepted from there. The memory is fixed, since a token
// takes the place of another. It is safe for concurrent use.
type verified struct {
	slots [verifiedSessions]atomic.Pointer[verifiedSession]
}

type verifiedSession struct {
	hash     [sha256.Size]byte
	issuedAt time.Time
	session  *Session
}

func (v *verified) slot(hash [sha256.Size]byte) *atomic.Pointer[verifiedSession] {
	return &v.slots[binary.LittleEndian.Uint64(hash[:])%verifiedSessions]
}

// find returns what a token says, whether or not it is still good; nil when that is not remembered.
func (v *verified) find(token []byte) *verifiedSession {
	hash := sha256.Sum256(token)
	if found := v.slot(hash).Load(); found != nil && found.hash == hash {
		return found
	}
	return nil
}

// keep remembers what a token says whose signature is good.
func (v *verified) keep(token []byte, issuedAt time.Time, session *Session) *verifiedSession {
	hash := sha256.Sum256(token)
	kept := &verifiedSession{hash: hash, issuedAt: issuedAt, session: session}
	v.slot(hash).Store(kept)
	return kept
}
