package schema

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// apiKeyCountsTable says how much was written to the tables of keys, so that it shows when a part of one is gone without a
// trace: a right that was taken away would come back by it. What was written is counted by what tells one write
// from another and survives merges: api_keys by the numbers in its column writes, which add up when rows of one key are
// merged, and api_key_events by its ids. A count is written after what it counts and before whoever took a right away has
// an answer, so after a crash at any moment there may be more than is counted and never less. What an operator has
// accepted as lost is in lost.
var apiKeyCountsTable = table{
	name: "api_key_counts",
	columns: `    of String,
    written SimpleAggregateFunction(max, UInt64),
    lost SimpleAggregateFunction(max, UInt64)`,
	engine:  "AggregatingMergeTree",
	tail:    "ORDER BY of",
	shardBy: "cityHash64(of)",
}

// countedKeyTables are the tables that are counted, with how.
var countedKeyTables = [...]struct{ name, count string }{
	{apiKeysTable.name, "SELECT uniqExact(arrayJoin(writes)) FROM api_keys"},
	{apiKeyEventsTable.name, "SELECT uniqExact(event_id) FROM api_key_events"},
}

// The places in countedKeyTables.
const (
	keyWrites = iota
	keyEvents
)

// keyCounts is what is known to be written to the counted tables, with what was lost.
type keyCounts struct {
	written, lost [len(countedKeyTables)]atomic.Uint64
	begun         bool          // what there was at the start is known
	writing       chan struct{} // has room for who writes the counts
	stored        [len(countedKeyTables)]uint64
}

func newKeyCounts() *keyCounts { return &keyCounts{writing: make(chan struct{}, 1)} }

// newWrite returns the number of a write of a row to api_keys, and bindWrite binds one to {write:UInt64}.
func newWrite() uint64 { return rand.Uint64() }

func bindWrite() any { return clickhouse.Named("write", newWrite()) }

// MissingRows says how many of the rows of a table that were written are gone.
type MissingRows struct {
	Table            string
	Written, Missing uint64
}

// String says so in words.
func (m MissingRows) String() string {
	return fmt.Sprintf("%d of the %d writes to %s are missing", m.Missing, m.Written, m.Table)
}

// CountKeys holds what is in the tables of keys against what was written to them and returns what is missing. The first call
// comes before any write that is counted, and no two run at the same time.
func (db *KeyTable) CountKeys(ctx context.Context) (missing []MissingRows, err error) {
	written, lost, err := db.readKeyCounts(ctx) // before the rows are counted: they are written before their count
	if err != nil {
		return nil, err
	}
	behind := false
	for i, t := range countedKeyTables {
		var there uint64
		if err := db.conn.QueryRow(ctx, t.count).Scan(&there); err != nil {
			return nil, fmt.Errorf("count what was written to %s: %w", t.name, err)
		}
		if there+lost[i] < written[i] {
			missing = append(missing, MissingRows{Table: t.name, Written: written[i] - lost[i], Missing: written[i] - lost[i] - there})
		}
		behind = behind || there+lost[i] > written[i]
		if !db.tally.begun { // later on what is there may be counted already, or not
			db.tally.lost[i].Store(lost[i])
			db.tally.written[i].Store(max(written[i], there+lost[i]))
		}
	}
	if !db.tally.begun && behind { // after a crash, or by a version before there were counts
		err = db.StoreKeyCounts(ctx)
	}
	db.tally.begun = err == nil
	return missing, err
}

func (db *KeyTable) readKeyCounts(ctx context.Context) (written, lost [len(countedKeyTables)]uint64, err error) {
	rows, err := db.conn.Query(ctx, "SELECT of, max(written) AS all_written, max(lost) AS all_lost FROM api_key_counts GROUP BY of")
	if err != nil {
		return written, lost, fmt.Errorf("read how much was written of keys: %w", err)
	}
	err = eachStruct(rows, "read how much was written of keys", func(r struct {
		Of      string `ch:"of"`
		Written uint64 `ch:"all_written"`
		Lost    uint64 `ch:"all_lost"`
	}) {
		for i, t := range countedKeyTables {
			if t.name == r.Of {
				written[i], lost[i] = r.Written, r.Lost
			}
		}
	})
	return written, lost, err
}

// AcceptMissing makes what is missing count no more.
func (db *KeyTable) AcceptMissing(ctx context.Context, missing []MissingRows) error {
	for _, m := range missing {
		for i, t := range countedKeyTables {
			if t.name == m.Table {
				db.tally.lost[i].Add(m.Missing)
			}
		}
	}
	return db.insertKeyCounts(ctx)
}

// StoreKeyCounts returns when it is stored how much was written before the call. Those who call at the same time share an
// insert.
func (db *KeyTable) StoreKeyCounts(ctx context.Context) error {
	var mine [len(countedKeyTables)]uint64
	for i := range mine {
		mine[i] = db.tally.written[i].Load()
	}
	select {
	case db.tally.writing <- struct{}{}:
		defer func() { <-db.tally.writing }()
	case <-ctx.Done():
		return fmt.Errorf("wait to write how much was written of keys: %w", context.Cause(ctx))
	}
	enough := true
	for i := range mine {
		enough = enough && db.tally.stored[i] >= mine[i]
	}
	if enough {
		return nil
	}
	for i := range mine {
		mine[i] = db.tally.written[i].Load()
	}
	if err := db.insertKeyCounts(ctx); err != nil {
		return err
	}
	db.tally.stored = mine
	return nil
}

func (db *KeyTable) insertKeyCounts(ctx context.Context) error {
	err := db.execWithRoom(ctx, `INSERT INTO api_key_counts (of, written, lost) SELECT {keys:String}, {keysWritten:UInt64}, {keysLost:UInt64}
UNION ALL SELECT {events:String}, {eventsWritten:UInt64}, {eventsLost:UInt64}`,
		clickhouse.Named("keys", countedKeyTables[keyWrites].name), clickhouse.Named("events", countedKeyTables[keyEvents].name),
		clickhouse.Named("keysWritten", db.tally.written[keyWrites].Load()), clickhouse.Named("keysLost", db.tally.lost[keyWrites].Load()),
		clickhouse.Named("eventsWritten", db.tally.written[keyEvents].Load()), clickhouse.Named("eventsLost", db.tally.lost[keyEvents].Load()))
	if err != nil {
		return fmt.Errorf("write how much was written of keys: %w", err)
	}
	return nil
}

// wrote counts what was written by a statement, unless that failed.
func (c *keyCounts) wrote(of, rows int, err error) {
	if err == nil {
		c.written[of].Add(uint64(rows))
	}
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
