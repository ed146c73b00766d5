package schema

import (
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"lastseen/schema/health"
)

// WitnessKind is what a Witness is a row of.
type WitnessKind uint8

// The kinds of witnesses.
const (
	PointWitness      WitnessKind = iota // a point with a session and a timestamp
	SessionWitness                       // a session of an organisation, of at least a version
	RevocationWitness                    // a key whose record says that it was revoked
	KeyCountWitness                      // how much was written to a table of keys, at least
)

// String names what such a row is, as the log does.
func (k WitnessKind) String() string {
	return [...]string{"points", "sessions", "revocations of keys", "counts of what was written of keys"}[k]
}

// Witness is a row that ClickHouse was seen to have, or was acknowledged to have. Nothing that lastseen does takes such a row away, but
// for the retention of points: so one that is not there says that ClickHouse was set back to an earlier state.
type Witness struct {
	Kind      WitnessKind
	OrgID     string // of a session
	ID        string // of a session, also a point's; of a revocation the key's SHA-256, hexadecimal; of a count the table's name
	Timestamp int64  // of a point, Unix milliseconds
	Least     uint64 // the version or the count that is there at least
}

// place is a witness without how much is there of it.
func (w Witness) place() Witness {
	w.OrgID, w.Least = "", 0
	return w
}

// PointWitnessOf is that of a point.
func PointWitnessOf(p *DataPoint) Witness {
	return Witness{Kind: PointWitness, ID: p.SessionID.String(), Timestamp: p.Timestamp, Least: 1}
}

// SessionWitnessOf is that of a session.
func SessionWitnessOf(s *Session) Witness {
	return Witness{Kind: SessionWitness, OrgID: s.OrgID, ID: s.ID.String(), Least: s.Version}
}

// RevocationWitnessOf is that of a key that was revoked.
func RevocationWitnessOf(hash KeyHash) Witness {
	return Witness{Kind: RevocationWitness, ID: hex.EncodeToString(hash[:]), Least: 1}
}

// Point returns of which session and when the point is, and false for another kind.
func (w Witness) Point() (session ID, timestamp int64, is bool) {
	session, is = ParseID([]byte(w.ID))
	return session, w.Timestamp, is && w.Kind == PointWitness
}

// Revoked returns which key was revoked, and false for another kind.
func (w Witness) Revoked() (hash KeyHash, is bool) {
	if w.Kind != RevocationWitness {
		return hash, false
	}
	n, err := hex.Decode(hash[:], []byte(w.ID))
	return hash, err == nil && n == len(hash)
}

// Lacking returns those of some witnesses that are not in ClickHouse, and the counts of what was written of keys as they are now. It is one
// statement, which looks rows up by what their tables are ordered by.
func (db *DB) Lacking(ctx context.Context, witnesses []Witness) (lacking, counts []Witness, err error) {
	return db.lacking(ctx, findPointWitnesses+findOtherWitnesses, witnesses)
}

// LackingPoints is Lacking for points alone, in half the time.
func (db *DB) LackingPoints(ctx context.Context, witnesses []Witness) (lacking []Witness, err error) {
	lacking, _, err = db.lacking(ctx, findPointWitnesses, witnesses)
	return lacking, err
}

func (db *DB) lacking(ctx context.Context, find string, witnesses []Witness) (lacking, counts []Witness, err error) {
	there := make(map[Witness]uint64, len(witnesses))
	rows, err := db.conn.Query(ctx, find, witnessParameters(witnesses)...)
	if err != nil {
		return nil, nil, fmt.Errorf("look for what ClickHouse must have: %w", err)
	}
	err = eachStruct(rows, "look for what ClickHouse must have", func(r struct {
		Kind uint8  `ch:"kind"`
		ID   string `ch:"id"`
		At   int64  `ch:"at"`
		Has  uint64 `ch:"has"`
	}) {
		found := Witness{Kind: WitnessKind(r.Kind), ID: r.ID, Timestamp: r.At}
		there[found] = max(there[found], r.Has)
		if found.Kind == KeyCountWitness {
			found.Least = r.Has
			counts = append(counts, found)
		}
	})
	if err != nil {
		return nil, nil, err
	}
	for _, w := range witnesses {
		if there[w.place()] < w.Least {
			lacking = append(lacking, w)
		}
	}
	return lacking, counts, nil
}

// findPointWitnesses looks for points, and findOtherWitnesses, which follows it, for rows of the other kinds; arrays that belong together are zipped.
var (
	findPointWitnesses = fmt.Sprintf(`SELECT toUInt8(%d) AS kind, session_id AS id, toUnixTimestamp64Milli(timestamp) AS at, toUInt64(1) AS has
FROM session_by_device_data_points
WHERE timestamp >= fromUnixTimestamp64Milli({oldest:Int64}, 'UTC') AND timestamp <= fromUnixTimestamp64Milli({newest:Int64}, 'UTC')
  AND (session_id, timestamp) IN (SELECT pair.1, fromUnixTimestamp64Milli(pair.2, 'UTC') FROM (SELECT arrayJoin(arrayZip({points:Array(String)}, {times:Array(Int64)})) AS pair))`, PointWitness)
	findOtherWitnesses = fmt.Sprintf(`
UNION ALL SELECT toUInt8(%d), session_id, toInt64(0), max(version) FROM sessions
WHERE (org_id, session_id) IN (SELECT pair.1, pair.2 FROM (SELECT arrayJoin(arrayZip({orgs:Array(String)}, {sessions:Array(String)})) AS pair)) GROUP BY session_id
UNION ALL SELECT toUInt8(%d), key_hash, toInt64(0), toUInt64(min(revoked_at) < fromUnixTimestamp64Milli({never:Int64}, 'UTC')) FROM api_keys
WHERE key_hash IN {revoked:Array(String)} GROUP BY key_hash
UNION ALL SELECT toUInt8(%d), of, toInt64(0), max(written) FROM api_key_counts GROUP BY of`, SessionWitness, RevocationWitness, KeyCountWitness)
)

func witnessParameters(witnesses []Witness) []any {
	points, times, orgs, sessions, revoked := []string{}, []int64{}, []string{}, []string{}, []string{}
	oldest, newest := int64(math.MaxInt64), int64(0)
	for _, w := range witnesses {
		switch w.Kind {
		case PointWitness:
			points, times = append(points, w.ID), append(times, w.Timestamp)
			oldest, newest = min(oldest, w.Timestamp), max(newest, w.Timestamp)
		case SessionWitness:
			orgs, sessions = append(orgs, w.OrgID), append(sessions, w.ID)
		case RevocationWitness:
			revoked = append(revoked, w.ID)
		}
	}
	return []any{
		clickhouse.Named("oldest", min(oldest, newest)), clickhouse.Named("newest", newest),
		clickhouse.Named("points", points), clickhouse.Named("times", times),
		clickhouse.Named("orgs", orgs), clickhouse.Named("sessions", sessions), clickhouse.Named("revoked", revoked), bindNever(),
	}
}

// ReceivedLast returns points that were received in the last second in which any were, so many at most, of different sessions. The newest time
// of receipt is that of NewestReceipt.
func (db *PointTable) ReceivedLast(ctx context.Context, newest int64, most int) (points []DataPoint, err error) {
	reader, err := db.readPoints(ctx, "SELECT "+pointSelect+` FROM session_by_device_data_points
WHERE received_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC') LIMIT 1 BY session_id LIMIT {most:UInt32}`,
		clickhouse.Named("since", storableTime(newest-time.Second.Milliseconds())), clickhouse.Named("most", most))
	if err != nil {
		return nil, fmt.Errorf("read the points that were received last: %w", err)
	}
	defer reader.Close()
	for reader.Next() {
		points = append(points, *reader.Point())
	}
	return points, reader.Err()
}

// StoredRetention returns for how long points are kept by the tables as they are, 0 for ever: another process may have changed it.
func (db *DB) StoredRetention(ctx context.Context) (shortest time.Duration, err error) {
	definitions, err := db.definitions(ctx)
	if err != nil {
		return 0, err
	}
	for _, definition := range definitions[db.layout.local(dataPointsTable)] {
		kept := time.Duration(said([]string{definition}, retentionDays)) * day
		if kept > 0 && (shortest == 0 || kept < shortest) {
			shortest = kept
		}
	}
	return shortest, nil
}

// Gone reports whether a statement has failed as it does while ClickHouse is being set back to an earlier state: it is out of reach, or has no
// such database or table.
func Gone(err error) bool {
	return hasCode(err, codeUnknownTable) || hasCode(err, codeUnknownDatabase) || health.NotSent(err) || lost(err)
}

// codeUnknownDatabase is ClickHouse's UNKNOWN_DATABASE.
const codeUnknownDatabase = 81
