package apikey

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"lastseen/schema"
)

// eventOf is what somebody did to a key.
func eventOf(key *schema.APIKey, action schema.KeyAction, userID string, at time.Time) schema.KeyEvent {
	return schema.KeyEvent{
		ID: eventID(key, action, at), OrgID: key.OrgID, Kind: key.Kind, KeyID: key.ID,
		Name: key.Name, Prefix: key.Prefix, Action: action, UserID: userID, At: at,
	}
}

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
