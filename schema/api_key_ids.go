package schema

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
)

// apiKeyIDsTable leads from an organisation, and from a key's id, to the hashes by which api_keys is ordered:
// without it, what concerns one organisation would read everybody's keys. A row is written before the key's
// record, so no key is without one; a row without a record counts for nothing.
var apiKeyIDsTable = table{
	name: "api_key_ids",
	columns: `    org_id String,
    kind LowCardinality(String),
    key_id String,
    key_hash String,
    request_hash String,
    created_at DateTime64(3, 'UTC')`,
	engine:  "ReplacingMergeTree",
	tail:    "ORDER BY (org_id, kind, key_id)",
	shardBy: "cityHash64(org_id)",
}

// insertKeyIDs writes where keys that are about to be written will be found.
func (db *KeyTable) insertKeyIDs(ctx context.Context, keys []APIKey) error {
	var org, kind, id, hash, request proto.ColStr
	var createdAt proto.ColDateTime64
	for i := range keys {
		k := &keys[i]
		org.Append(k.OrgID)
		kind.Append(string(k.Kind))
		id.Append(k.ID.String())
		hash.Append(hex.EncodeToString(k.Hash[:]))
		request.Append(k.RequestHash)
		createdAt.AppendRaw(proto.DateTime64(k.CreatedAt.UnixMilli()))
	}
	err := db.insertNative(ctx, apiKeyIDsTable.name, len(keys), proto.Input{
		{Name: "org_id", Data: &org}, {Name: "kind", Data: &kind}, {Name: "key_id", Data: &id}, {Name: "key_hash", Data: &hash},
		{Name: "request_hash", Data: &request}, {Name: "created_at", Data: createdAt.WithPrecision(proto.PrecisionMilli)},
	})
	if err != nil {
		return fmt.Errorf("insert the ids of %d API keys: %w", len(keys), err)
	}
	return nil
}

// FindAPIKeyByID returns an organisation's key by its id, and false when it has none with that id.
func (db *KeyTable) FindAPIKeyByID(ctx context.Context, orgID string, kind KeyKind, id ID) (APIKey, bool, error) {
	return db.findAPIKey(ctx, apiKeySelect+` PREWHERE key_hash GLOBAL IN
  (SELECT key_hash FROM api_key_ids WHERE org_id = {org:String} AND kind = {kind:String} AND key_id = {id:String}) WHERE key_id = {id:String}`,
		clickhouse.Named("org", orgID), clickhouse.Named("kind", string(kind)), clickhouse.Named("id", id.String()))
}

// HasAPIKeys reports whether all keys with some ids are an organisation's.
func (db *KeyTable) HasAPIKeys(ctx context.Context, orgID string, kind KeyKind, ids []ID) (bool, error) {
	if len(ids) == 0 {
		return true, nil
	}
	wanted, err := withIDs(ctx, "id", ids)
	if err != nil {
		return false, err
	}
	var missing uint64
	err = db.conn.QueryRow(wanted, `SELECT count() FROM wanted WHERE id GLOBAL NOT IN
  (SELECT key_id FROM api_key_ids WHERE org_id = {org:String} AND kind = {kind:String} AND key_id GLOBAL IN (SELECT id FROM wanted))`,
		clickhouse.Named("org", orgID), clickhouse.Named("kind", string(kind))).Scan(&missing)
	if err != nil {
		return false, fmt.Errorf("look for API keys by their ids: %w", err)
	}
	return missing == 0, nil
}

// RepairKeyIDs writes the ids of keys that have none, those of a version before there was this table or of a
// part that was lost, and returns how many keys there were then without one.
func (db *KeyTable) RepairKeyIDs(ctx context.Context) (missing int, err error) {
	const without = ` FROM api_keys FINAL WHERE key_id != '' AND key_hash GLOBAL NOT IN (SELECT key_hash FROM api_key_ids)`
	var count uint64
	if err := db.conn.QueryRow(ctx, "SELECT count()"+without).Scan(&count); err != nil {
		return 0, fmt.Errorf("look for API keys without an id: %w", err)
	}
	if count == 0 {
		return 0, nil
	}
	err = db.conn.Exec(ctx, "INSERT INTO api_key_ids (org_id, kind, key_id, key_hash, created_at) SELECT org_id, kind, key_id, key_hash, created_at"+without)
	if err != nil {
		return 0, fmt.Errorf("write the ids of API keys: %w", err)
	}
	return int(count), nil
}

// Creation is what is known of a request that made a key.
type Creation struct {
	KeyID ID
	Hash  KeyHash
}

// FindCreation returns the keys that a request, by its hash, has made or tried to make for an organisation since a
// time, the newest first: usually one at most.
func (db *KeyTable) FindCreation(ctx context.Context, orgID string, kind KeyKind, requestHash string, since time.Time) (made []Creation, err error) {
	rows, err := db.conn.Query(ctx, `SELECT key_id, key_hash FROM api_key_ids
WHERE org_id = {org:String} AND kind = {kind:String} AND request_hash = {request:String} AND created_at > fromUnixTimestamp64Milli({since:Int64}, 'UTC')
ORDER BY created_at DESC LIMIT 1 BY key_id LIMIT 10`,
		clickhouse.Named("org", orgID), clickhouse.Named("kind", string(kind)), clickhouse.Named("request", requestHash), clickhouse.Named("since", since.UnixMilli()))
	if err != nil {
		return nil, fmt.Errorf("look for an earlier creation of an API key: %w", err)
	}
	err = eachStruct(rows, "look for an earlier creation of an API key", func(r struct {
		KeyID ID     `ch:"key_id"`
		Hash  string `ch:"key_hash"`
	}) {
		made = append(made, Creation{r.KeyID, keyHash(r.Hash)})
	})
	return made, err
}
