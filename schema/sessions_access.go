package schema

import (
	"context"
	"fmt"

	"github.com/ClickHouse/ch-go/proto"
)

// SessionAccess is who may see a session, and until when it is there. Times are Unix milliseconds, 0 where there is none.
type SessionAccess struct {
	ID               ID
	OrgID            string
	Public           bool
	SharedWithOrgIDs []string // nil when there are none
	ScheduledFor     int64    // the termination
	TerminatedAt     int64
}

// EachSessionAccess calls each for every session, in no particular order. It decodes columns, so
// that a million sessions take about a second.
func (db *SessionTable) EachSessionAccess(ctx context.Context, each func(SessionAccess)) error {
	var id, org proto.ColStr
	var public proto.ColUInt8
	var scheduled, terminated proto.ColInt64
	shared := new(proto.ColStr).Array()
	native, err := db.queryNative(ctx, proto.Results{
		{Name: "session_id", Data: &id}, {Name: "org_id", Data: &org}, {Name: "is_public", Data: &public},
		{Name: "shared_with_org_ids", Data: shared}, {Name: "scheduled_ms", Data: &scheduled}, {Name: "terminated_ms", Data: &terminated},
	}, `SELECT session_id, org_id, toUInt8(ifNull(public, false)) AS is_public, shared_with_org_ids,
  ifNull(toUnixTimestamp64Milli(termination_scheduled_for), 0) AS scheduled_ms,
  ifNull(toUnixTimestamp64Milli(terminated_at), 0) AS terminated_ms
FROM sessions FINAL`)
	if err != nil {
		return fmt.Errorf("read who may see the sessions: %w", err)
	}
	defer native.close()
	var access SessionAccess
	err = native.eachRow(func(i int) error {
		var ok bool
		if access.ID, ok = ParseID(id.RowBytes(i)); !ok {
			return fmt.Errorf("the session id %q is not 24 hexadecimal digits", id.Row(i))
		}
		if text := org.RowBytes(i); string(text) != access.OrgID { // sorted by organisation: seldom
			access.OrgID = string(text)
		}
		access.Public = public[i] != 0
		access.SharedWithOrgIDs = shared.Row(i)
		access.ScheduledFor, access.TerminatedAt = scheduled[i], terminated[i]
		each(access)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read who may see the sessions: %w", err)
	}
	return nil
}
