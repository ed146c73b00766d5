package schema

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// DetachedPart is a part of a table that ClickHouse has set aside because it could not be read whole: its
// rows are in no answer.
type DetachedPart struct {
	Table  string // as the schema names it
	Name   string // of the folder below detached/
	Reason string // such as broken-on-start
	Bytes  uint64 // on disk
	Keys   bool   // it held keys, or what was done to them
}

// String names the part as messages do.
func (p DetachedPart) String() string {
	return fmt.Sprintf("%s (%s, %s, %d bytes)", p.Name, p.Table, p.Reason, p.Bytes)
}

// DetachedParts returns the parts that ClickHouse has set aside as damaged. Those that an operator has
// detached on purpose, and copies that merges have left, are not among them.
func (db *DB) DetachedParts(ctx context.Context) ([]DetachedPart, error) {
	names := map[string]string{}
	for _, t := range tables {
		names[db.layout.local(t)] = t.name
	}
	rows, err := db.conn.Query(ctx, `SELECT table, name, ifNull(reason, '') AS reason, toUInt64(ifNull(bytes_on_disk, 0)) AS bytes FROM system.detached_parts
WHERE database = currentDatabase() AND (reason LIKE 'broken%' OR reason IN ('covered-by-broken', 'unexpected', 'noquorum')) ORDER BY table, name`)
	if err != nil {
		return nil, fmt.Errorf("look for damaged parts: %w", err)
	}
	var parts []DetachedPart
	err = eachStruct(rows, "look for damaged parts", func(r struct {
		Table  string `ch:"table"`
		Name   string `ch:"name"`
		Reason string `ch:"reason"`
		Bytes  uint64 `ch:"bytes"`
	}) {
		if name, ours := names[r.Table]; ours {
			keys := name == apiKeysTable.name || name == apiKeyEventsTable.name
			parts = append(parts, DetachedPart{Table: name, Name: r.Name, Reason: r.Reason, Bytes: r.Bytes, Keys: keys})
		}
	})
	return parts, err
}

// LostRevocation is a key that was revoked, by what was written of it, and whose record does not say so.
type LostRevocation struct {
	Hash   KeyHash
	KeyID  ID
	UserID string
	At     time.Time
}

// LostRevocations returns the keys whose revocation is among the events and not in their record: the part
// of the table that held it is gone. Events are written after the record, so none is missing for another
// reason.
func (db *DB) LostRevocations(ctx context.Context) ([]LostRevocation, error) {
	rows, err := db.conn.Query(ctx, `SELECT key_hash, key_id, user, at FROM
  (SELECT key_hash, key_id FROM api_keys FINAL WHERE key_id != '' AND revoked_at >= fromUnixTimestamp64Milli({never:Int64}, 'UTC')) AS alive
  INNER JOIN (SELECT key_id, argMin(user_id, at) AS user, min(api_key_events.at) AS at FROM api_key_events WHERE action = {revoked:String} GROUP BY key_id) AS events USING key_id`,
		bindNever(), clickhouse.Named("revoked", string(KeyRevoked)))
	if err != nil {
		return nil, fmt.Errorf("look for lost revocations: %w", err)
	}
	var lost []LostRevocation
	err = eachStruct(rows, "look for lost revocations", func(r struct {
		Hash string    `ch:"key_hash"`
		ID   ID        `ch:"key_id"`
		User string    `ch:"user"`
		At   time.Time `ch:"at"`
	}) {
		lost = append(lost, LostRevocation{Hash: keyHash(r.Hash), KeyID: r.ID, UserID: r.User, At: r.At.UTC()})
	})
	return lost, err
}
