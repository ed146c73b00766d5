package schema

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// KeyFilter says which keys a list holds, by their state.
type KeyFilter uint8

// The filters. The zero value is no filter.
const (
	KeysAny      KeyFilter = iota
	KeysActive             // good now
	KeysExpired            // over by their own time
	KeysRevoked            // over since somebody revoked them
	KeysEnded              // one of these two
	KeysExpiring           // good now, and over in KeyExpiringWithin
	KeysUnused             // good now, and never used
)

// KeyExpiringWithin is how soon a key ends that KeysExpiring holds.
const KeyExpiringWithin = 7 * day

// keyConditions are the filters' conditions. A key that was ended by its rotation counts as expired; see Ended.
var keyConditions = map[KeyFilter]string{
	KeysActive:   "revoked_at >= {never} AND expires_at > {now}",
	KeysExpired:  "(revoked_at >= {never} AND expires_at <= {now} OR revoked_at < {never} AND revoked_at = expires_at)",
	KeysRevoked:  "revoked_at < {never} AND revoked_at != expires_at",
	KeysEnded:    "(revoked_at < {never} OR expires_at <= {now})",
	KeysExpiring: "revoked_at >= {never} AND expires_at > {now} AND expires_at <= {soon}",
	KeysUnused:   "revoked_at >= {never} AND expires_at > {now} AND toUnixTimestamp(last_used_at) = 0",
}

// keyTimes are the times in the conditions.
var keyTimes = strings.NewReplacer(
	"{never}", "fromUnixTimestamp64Milli({never:Int64}, 'UTC')", "{now}", "fromUnixTimestamp64Milli({now:Int64}, 'UTC')",
	"{soon}", "fromUnixTimestamp64Milli({soon:Int64}, 'UTC')",
)

// KeySort is the order of a list of keys.
type KeySort uint8

// The orders. Ties are broken by the id.
const (
	KeysByCreation KeySort = iota // newest first
	KeysByName                    // whatever the case
	KeysByExpiry                  // soonest first
	KeysByUse                     // used last first, those never used at the end
)

// keyOrders are, for each order, what is compared, as a text or as a number, and in which direction.
var keyOrders = map[KeySort]struct {
	expression, kind, compare, direction string
}{
	KeysByCreation: {"toUnixTimestamp64Milli(created_at)", "Int64", "<", "DESC"},
	KeysByName:     {"lowerUTF8(" + keyName + ")", "String", ">", "ASC"},
	KeysByExpiry:   {"toUnixTimestamp64Milli(expires_at)", "Int64", ">", "ASC"},
	KeysByUse:      {"toUnixTimestamp64Milli(last_used_at)", "Int64", "<", "DESC"},
}

// KeyList says which keys ListAPIKeys returns, and in which order.
type KeyList struct {
	OrgID  string
	Kind   KeyKind
	Search string // text in what is shown of a key, whatever its case; empty for all
	Filter KeyFilter
	Sort   KeySort
	Now    time.Time // by which the filters judge
	After  *KeyPlace // where the page before ended; nil for the first page
	Limit  int
}

// KeyPlace is the place of a key in a list: what the order compares, as a text, and the key's id.
type KeyPlace struct {
	Value string
	ID    ID
}

// PlacedKey is a key with its place in the list that it was read from.
type PlacedKey struct {
	APIKey
	Place string // see KeyPlace
}

// placedRow is a PlacedKey as ClickHouse gives it.
type placedRow struct {
	apiKeyRow
	Place string `ch:"place"`
}

// ListAPIKeys returns a page of an organisation's keys of a kind.
func (db *KeyTable) ListAPIKeys(ctx context.Context, l KeyList) ([]PlacedKey, error) {
	order := keyOrders[l.Sort]
	from, args := l.from()
	if l.After != nil {
		from += fmt.Sprintf(" AND (%s, key_id) %s ({place:%s}, {id:String})", order.expression, order.compare, order.kind)
		args = append(args, clickhouse.Named("place", l.After.Value), clickhouse.Named("id", l.After.ID.String()))
	}
	query := fmt.Sprintf("SELECT %s, toString(%s) AS place%s ORDER BY %s %s, key_id %s LIMIT {limit:UInt64}",
		apiKeyFields, order.expression, from, order.expression, order.direction, order.direction)
	rows, err := db.conn.Query(ctx, query, append(args, clickhouse.Named("limit", l.Limit))...)
	if err != nil {
		return nil, fmt.Errorf("list API keys: %w", err)
	}
	keys := []PlacedKey{}
	err = eachStruct(rows, "list API keys", func(r placedRow) { keys = append(keys, PlacedKey{r.key(), r.Place}) })
	return keys, err
}

// CountAPIKeys returns how many keys a list holds on all its pages.
func (db *KeyTable) CountAPIKeys(ctx context.Context, l KeyList) (int, error) {
	var count uint64
	from, args := l.from()
	if err := db.conn.QueryRow(ctx, "SELECT count()"+from, args...).Scan(&count); err != nil {
		return 0, fmt.Errorf("count API keys: %w", err)
	}
	return int(count), nil
}

// from is where the keys of a list are, without their order and the place of the page.
func (l *KeyList) from() (clause string, args []any) {
	clause = ` FROM api_keys FINAL PREWHERE key_hash GLOBAL IN (SELECT key_hash FROM api_key_ids WHERE org_id = {org:String} AND kind = {kind:String}) WHERE key_id != ''`
	args = []any{clickhouse.Named("org", l.OrgID), clickhouse.Named("kind", string(l.Kind))}
	if condition := keyConditions[l.Filter]; condition != "" {
		clause += " AND " + keyTimes.Replace(condition)
		args = append(args, bindNever(), clickhouse.Named("now", l.Now.UnixMilli()), clickhouse.Named("soon", l.Now.Add(KeyExpiringWithin).UnixMilli()))
	}
	if l.Search != "" {
		clause += ` AND positionCaseInsensitiveUTF8(concat(` + keyName + `, '\n', prefix, '\n', created_by_user_id, '\n', device_id, '\n', key_id), {search:String}) > 0`
		args = append(args, clickhouse.Named("search", l.Search))
	}
	return clause, args
}

// ExpiringKeys counts the keys of a kind, of all organisations, that are good and will not be in 7, and in 30, days.
type ExpiringKeys struct {
	Kind         KeyKind
	Week, Days30 uint64
}

// CountExpiringKeys counts the keys that expire soon after a time, for each kind. It reads all keys.
func (db *KeyTable) CountExpiringKeys(ctx context.Context, now time.Time) (counts []ExpiringKeys, err error) {
	soon := func(days int64) string {
		return fmt.Sprintf("toUInt64(countIf(expires_at <= fromUnixTimestamp64Milli({now:Int64} + %d, 'UTC')))", days*day.Milliseconds())
	}
	rows, err := db.conn.Query(ctx, "SELECT kind, "+soon(7)+" AS week, "+soon(30)+` AS days30 FROM api_keys FINAL
WHERE key_id != '' AND `+keyTimes.Replace(keyConditions[KeysActive])+" GROUP BY kind", bindNever(), clickhouse.Named("now", now.UnixMilli()))
	if err != nil {
		return nil, fmt.Errorf("count keys that expire soon: %w", err)
	}
	counts = []ExpiringKeys{{Kind: KindAPIKey}, {Kind: KindDeviceCredential}} // also where there are none
	err = eachStruct(rows, "count keys that expire soon", func(r struct {
		Kind   string `ch:"kind"`
		Week   uint64 `ch:"week"`
		Days30 uint64 `ch:"days30"`
	}) {
		for i := range counts {
			if counts[i].Kind == KeyKind(r.Kind) {
				counts[i].Week, counts[i].Days30 = r.Week, r.Days30
			}
		}
	})
	return counts, err
}
