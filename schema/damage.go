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
}

// HeldKeys reports whether the part held keys, or what was done to them.
func (p DetachedPart) HeldKeys() bool {
	return p.Table == apiKeysTable.name || p.Table == apiKeyEventsTable.name
}

// HeldSignIn reports whether the part held links and sessions that are spent.
func (p DetachedPart) HeldSignIn() bool { return p.Table == spentTokensTable.name }

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
	rows, err := db.conn.Query(ctx, `SELECT table, name, ifNull(reason, '') AS reason, toUInt64(ifNull(bytes_on_disk, 0)) AS bytes FROM `+db.layout.everywhere("system.detached_parts")+`
WHERE database = {database:String} AND (reason LIKE 'broken%' OR reason IN ('covered-by-broken', 'unexpected', 'noquorum')) ORDER BY table, name`,
		clickhouse.Named("database", db.database))
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
			parts = append(parts, DetachedPart{Table: name, Name: r.Name, Reason: r.Reason, Bytes: r.Bytes})
		}
	})
	return parts, err
}

// LostRevocation is a key that was revoked, by what was written of it, and whose record does not say so.
type LostRevocation struct {
	Hash      KeyHash
	UserID    string // who revoked it
	At        time.Time
	ExpiresAt time.Time // of the key
}

// LostRevocations returns the keys whose revocation is among the events and not in their record: the part
// of the table that held it is gone. The event of a revocation is written after the record, so there is no
// other reason.
func (db *KeyTable) LostRevocations(ctx context.Context) ([]LostRevocation, error) {
	rows, err := db.conn.Query(ctx, `SELECT alive.key_hash AS key_hash, events.user AS user, events.revoked AS at, alive.expires_at AS expires_at FROM
  (SELECT key_hash, key_id, expires_at FROM api_keys FINAL WHERE key_id != '' AND revoked_at >= fromUnixTimestamp64Milli({never:Int64}, 'UTC')) AS alive
  GLOBAL INNER JOIN (SELECT key_id, argMin(user_id, at) AS user, min(at) AS revoked FROM api_key_events WHERE action = {revoked:String} GROUP BY key_id) AS events
  ON alive.key_id = events.key_id`,
		bindNever(), clickhouse.Named("revoked", string(KeyRevoked)))
	if err != nil {
		return nil, fmt.Errorf("look for lost revocations: %w", err)
	}
	var lost []LostRevocation
	err = eachStruct(rows, "look for lost revocations", func(r struct {
		Hash      string    `ch:"key_hash"`
		User      string    `ch:"user"`
		At        time.Time `ch:"at"`
		ExpiresAt time.Time `ch:"expires_at"`
	}) {
		lost = append(lost, LostRevocation{Hash: keyHash(r.Hash), UserID: r.User, At: r.At.UTC(), ExpiresAt: r.ExpiresAt.UTC()})
	})
	return lost, err
}
