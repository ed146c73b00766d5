package apikey

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"lastseen/keys"
	"lastseen/schema"
)

const (
	// RequestsKept is for how long it is known which key a request has made.
	RequestsKept = 24 * time.Hour
	// longestRequest bounds the name of a request, in characters.
	longestRequest = 255
)

// CheckRequest accepts a name of a request: 1 to 255 printable characters of ASCII.
func CheckRequest(name string) bool {
	for _, c := range []byte(name) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return name != "" && len(name) <= longestRequest
}

// checkRequest fails with schema.Conflict, which names the key, when the request has made one lately. It puts what is
// stored of the request in the place of its name. One whose earlier attempt failed half way may go on: what is left of
// that is revoked, in case it appears later.
func checkRequest(ctx context.Context, db *schema.DB, actor *keys.Principal, wanted *NewKey, now time.Time) error {
	if wanted.Request == "" {
		return nil
	}
	sum := sha256.Sum256([]byte(wanted.Request))
	wanted.Request = hex.EncodeToString(sum[:])
	made, err := db.FindCreation(ctx, actor.OrgID, wanted.Kind, wanted.Request, now.Add(-RequestsKept))
	if err != nil {
		return schema.Unavailable.Because(err)
	}
	for _, m := range made {
		_, found, err := db.FindAPIKey(ctx, m.Hash)
		switch {
		case err != nil:
			return schema.Unavailable.Because(err)
		case found:
			return &schema.Error{Code: schema.Conflict, Existing: m.KeyID, Sentence: "A request with this Idempotency-Key has made the key " + m.KeyID.String() +
				" already, whose text was in its answer: revoke that key if the answer was lost, and send another Idempotency-Key."}
		}
		if err := db.RevokeAPIKey(ctx, m.Hash, now, actor.UserID); err != nil {
			return schema.Unavailable.Because(fmt.Errorf("revoke what a creation may have left: %w", err))
		}
	}
	return nil
}
