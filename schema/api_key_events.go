package schema

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// apiKeyEventsTable says who created, rotated and revoked what, and when. Rows are only ever added.
var apiKeyEventsTable = table{
	name: "api_key_events",
	columns: `    event_id String,
    org_id String,
    kind LowCardinality(String),
    key_id String,
    name String,
    prefix String,
    action LowCardinality(String),
    user_id String,
    at DateTime64(3, 'UTC')`,
	engine:  "MergeTree",
	tail:    "ORDER BY (org_id, at, event_id)",
	shardBy: "cityHash64(org_id)",
}

// KeyAction is what was done to a key.
type KeyAction string

// What can be done to a key.
const (
	KeyCreated KeyAction = "created"
	KeyRotated KeyAction = "rotated"
	KeyRevoked KeyAction = "revoked"
)

// KeyEvent is one line of the record of who did what to a key.
type KeyEvent struct {
	ID     ID
	OrgID  string
	Kind   KeyKind
	KeyID  ID
	Name   string // the key's, as it was
	Prefix string
	Action KeyAction
	UserID string
	At     time.Time
}

// InsertKeyEvent adds an event.
func (db *DB) InsertKeyEvent(ctx context.Context, e KeyEvent) error {
	err := db.conn.Exec(ctx, `INSERT INTO api_key_events (event_id, org_id, kind, key_id, name, prefix, action, user_id, at)
SELECT {event:String}, {org:String}, {kind:String}, {key:String}, {name:String}, {prefix:String}, {action:String}, {user:String},
  fromUnixTimestamp64Milli({at:Int64}, 'UTC')`,
		clickhouse.Named("event", e.ID.String()), clickhouse.Named("org", e.OrgID), clickhouse.Named("kind", string(e.Kind)),
		clickhouse.Named("key", e.KeyID.String()), clickhouse.Named("name", e.Name), clickhouse.Named("prefix", e.Prefix),
		clickhouse.Named("action", string(e.Action)), clickhouse.Named("user", e.UserID), clickhouse.Named("at", e.At.UnixMilli()))
	if err != nil {
		return fmt.Errorf("record a key event: %w", err)
	}
	return nil
}
