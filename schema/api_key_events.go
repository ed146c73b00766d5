package schema

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// apiKeyEventsTable says who created, rotated and revoked what, and when. Events are only ever added;
// one that is written again, since its writer did not learn whether it arrived, counts once.
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
    at DateTime64(3, 'UTC'),
    changed Array(LowCardinality(String))`,
	engine:  "ReplacingMergeTree",
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
	KeyUpdated KeyAction = "updated"
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
	// Again says that it may have been written before. It is not stored.
	Again bool
	// Changed are the fields of the record that were updated, as they are named on the wire.
	Changed []string
}

// InsertKeyEvent adds an event. The same event may be added any number of times, but for the first as one that is Again.
func (db *KeyTable) InsertKeyEvent(ctx context.Context, e KeyEvent) error {
	err := db.execWithRoom(ctx, `INSERT INTO api_key_events (event_id, org_id, kind, key_id, name, prefix, action, user_id, at, changed)
SELECT {event:String}, {org:String}, {kind:String}, {key:String}, {name:String}, {prefix:String}, {action:String}, {user:String},
  fromUnixTimestamp64Milli({at:Int64}, 'UTC'), arrayFilter(x -> x != '', splitByChar(',', {changed:String}))`,
		clickhouse.Named("event", e.ID.String()), clickhouse.Named("org", e.OrgID), clickhouse.Named("kind", string(e.Kind)),
		clickhouse.Named("key", e.KeyID.String()), clickhouse.Named("name", e.Name), clickhouse.Named("prefix", e.Prefix),
		clickhouse.Named("action", string(e.Action)), clickhouse.Named("user", e.UserID), clickhouse.Named("at", e.At.UnixMilli()),
		clickhouse.Named("changed", strings.Join(e.Changed, ",")))
	if !e.Again {
		db.tally.wrote(keyEvents, 1, err)
	}
	if err != nil {
		return fmt.Errorf("record a key event: %w", err)
	}
	return nil
}

// keyEventRow is a KeyEvent as ClickHouse stores it.
type keyEventRow struct {
	ID     ID        `ch:"event_id"`
	OrgID  string    `ch:"org_id"`
	Kind   string    `ch:"kind"`
	KeyID  ID        `ch:"key_id"`
	Name   string    `ch:"name"`
	Prefix string    `ch:"prefix"`
	Action string    `ch:"action"`
	UserID string    `ch:"user_id"`
	At     time.Time `ch:"at"`

	Changed []string `ch:"changed"`
}

func (r keyEventRow) event() KeyEvent {
	e := KeyEvent{
		ID: r.ID, OrgID: r.OrgID, Kind: KeyKind(r.Kind), KeyID: r.KeyID, Name: r.Name, Prefix: r.Prefix,
		Action: KeyAction(r.Action), UserID: r.UserID, At: r.At.UTC(),
	}
	if len(r.Changed) > 0 {
		e.Changed = r.Changed
	}
	return e
}

// ListKeyEvents returns what was done to an organisation's keys of a kind, newest first: at most
// limit events after the first offset ones, and the number of all of them.
func (db *KeyTable) ListKeyEvents(ctx context.Context, orgID string, kind KeyKind, limit, offset int) ([]KeyEvent, int, error) {
	var total uint64
	of := []any{clickhouse.Named("org", orgID), clickhouse.Named("kind", string(kind))}
	const from = " FROM api_key_events FINAL WHERE org_id = {org:String} AND kind = {kind:String}"
	if err := db.conn.QueryRow(ctx, "SELECT count()"+from, of...).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("count key events: %w", err)
	}
	rows, err := db.conn.Query(ctx, `SELECT event_id, org_id, kind, key_id, name, prefix, action, user_id, at, changed`+from+`
ORDER BY at DESC, event_id DESC LIMIT {limit:UInt64} OFFSET {offset:UInt64}`,
		append(of, clickhouse.Named("limit", limit), clickhouse.Named("offset", offset))...)
	if err != nil {
		return nil, 0, fmt.Errorf("list key events: %w", err)
	}
	events := []KeyEvent{}
	err = eachStruct(rows, "list key events", func(r keyEventRow) { events = append(events, r.event()) })
	return events, int(total), err
}

// HasKeyEvent reports whether something was done to an organisation's key.
func (db *KeyTable) HasKeyEvent(ctx context.Context, orgID string, keyID ID, action KeyAction) (bool, error) {
	var count uint64
	err := db.conn.QueryRow(ctx, `SELECT count() FROM api_key_events WHERE org_id = {org:String} AND key_id = {key:String} AND action = {action:String}`,
		clickhouse.Named("org", orgID), clickhouse.Named("key", keyID.String()), clickhouse.Named("action", string(action))).Scan(&count)
	if err != nil {
		return false, fmt.Errorf("look for a key event: %w", err)
	}
	return count > 0, nil
}
