package schema

import (
	"context"
	"fmt"

	"github.com/ClickHouse/ch-go/proto"
)

// SessionAccess is who may see a session.
type SessionAccess struct {
	ID               ID
	OrgID            string
	Public           bool
	SharedWithOrgIDs []string // nil when there are none
}

// EachSessionAccess calls each for every session, in no particular order. It decodes columns, so
// that a million sessions take about a second.
func (db *SessionTable) EachSessionAccess(ctx context.Context, each func(SessionAccess)) error {
	var id, org proto.ColStr
	var public proto.ColUInt8
	shared := new(proto.ColStr).Array()
	native, err := db.queryNative(ctx, proto.Results{
		{Name: "session_id", Data: &id}, {Name: "org_id", Data: &org}, {Name: "is_public", Data: &public},
		{Name: "shared_with_org_ids", Data: shared},
	}, "SELECT session_id, org_id, toUInt8(ifNull(public, false)) AS is_public, shared_with_org_ids FROM sessions FINAL")
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
		each(access)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read who may see the sessions: %w", err)
	}
	return nil
}
