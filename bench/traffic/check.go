package traffic

import (
	"bytes"
	"fmt"

	"lastseen/bench/loadgen"
)

var (
	sessionField   = []byte(`"session_id":"`)
	timestampField = []byte(`"timestamp":"`)
	jsonNull       = []byte("null")
)

// CheckPoint checks that an answer shows a point of the session that was asked for, a whole one (see positionAt), and none
// older than the session's newest was when the request was sent.
func (c *Catalogue) CheckPoint(x *loadgen.Exchange, a *loadgen.Answer) error {
	id := c.ID(x.Subject)
	if a.Status != 200 {
		return fmt.Errorf("session %s got status %d: %.300s", id, a.Status, a.Body)
	}
	if x.Floor == 0 && bytes.Equal(a.Body, jsonNull) {
		return nil
	}
	_, rest, found := bytes.Cut(a.Body, sessionField)
	if !found || !bytes.HasPrefix(rest, id) {
		return fmt.Errorf("session %s was asked for, and the answer is of another: %.600s", id, a.Body)
	}
	timestamp, ok := TimestampOf(a)
	if !ok {
		return fmt.Errorf("session %s: the answer has no timestamp: %.600s", id, a.Body)
	}
	if timestamp < x.Floor {
		return fmt.Errorf("session %s: the answer is stale by %d ms: a point with the timestamp %d (Unix ms) was acknowledged before the request: %.600s",
			id, x.Floor-timestamp, x.Floor, a.Body)
	}
	if timestamp > c.loaded[x.Subject] {
		if err := checkPosition(a.Body, timestamp); err != nil {
			return fmt.Errorf("session %s: %w", id, err)
		}
	}
	if timestamp > x.Floor {
		c.Seen(x.Subject, timestamp)
	}
	return nil
}

// TimestampOf reads the timestamp of the point in an answer, Unix milliseconds.
func TimestampOf(a *loadgen.Answer) (int64, bool) {
	_, rest, found := bytes.Cut(a.Body, timestampField)
	timestamp, ok := parseStamp(rest)
	return timestamp, ok && found
}
