package apikey

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"lastseen/schema"
)

// eventID derives an event's id from what happened, so that the same event has the same id however
// often it is written. Its layout is that of other ids.
func eventID(key *schema.APIKey, action schema.KeyAction, at time.Time) (id schema.ID) {
	text := binary.BigEndian.AppendUint64(key.ID[:], uint64(at.UnixMilli()))
	if action == schema.KeyUpdated { // of which there may be several in a millisecond
		text = binary.BigEndian.AppendUint32(text, key.Changes)
	}
	sum := sha256.Sum256(append(text, action...))
	binary.BigEndian.PutUint32(id[:4], uint32(at.Unix()))
	copy(id[4:], sum[:])
	return id
}
