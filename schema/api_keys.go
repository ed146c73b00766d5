package schema

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
)

// apiKeysTable holds API keys and device credentials by the SHA-256 of their text. Its merge can only
// ever take rights away: the earliest expiry and the earliest revocation win whatever order rows
// arrive in, so no racing write (the note of a use, say) can bring a revoked key back. A change
// inserts a row with the hash and what is new.
var apiKeysTable = table{
	name: "api_keys",
	columns: `    key_hash String,
    key_id SimpleAggregateFunction(max, String),
    kind SimpleAggregateFunction(max, String),
    org_id SimpleAggregateFunction(max, String),
    name SimpleAggregateFunction(max, String),
    prefix SimpleAggregateFunction(max, String),
    device_id SimpleAggregateFunction(max, String),
    created_by_user_id SimpleAggregateFunction(max, String),
    created_at SimpleAggregateFunction(max, DateTime64(3, 'UTC')),
    expires_at SimpleAggregateFunction(min, DateTime64(3, 'UTC')),
    revoked_at SimpleAggregateFunction(min, DateTime64(3, 'UTC')),
    revoked_by_user_id SimpleAggregateFunction(max, String),
    last_used_at SimpleAggregateFunction(max, DateTime64(3, 'UTC')),
    registers_devices SimpleAggregateFunction(max, UInt8)`,
	engine:  "AggregatingMergeTree",
	tail:    "ORDER BY key_hash",
	shardBy: "cityHash64(key_hash)",
}

// KeyKind tells API keys from device credentials.
type KeyKind string

// The two kinds of key.
const (
	KindAPIKey           KeyKind = "api_key"
	KindDeviceCredential KeyKind = "device_credential"
)

// KeyHash is the SHA-256 of a key's text, the only form in which a key is stored.
type KeyHash [sha256.Size]byte

// APIKey is the record of an API key or a device credential. RevokedAt and LastUsedAt are zero where
// there is no such time.
type APIKey struct {
	Hash            KeyHash
	ID              ID
	Kind            KeyKind
	OrgID           string
	Name            string
	Prefix          string // what people recognise it by
	DeviceID        ID     // the one device a credential may write for; zero for any
	CreatedByUserID string
	CreatedAt       time.Time
	ExpiresAt       time.Time
	RevokedAt       time.Time
	RevokedByUserID string
	LastUsedAt      time.Time
	// RegistersDevices says that a credential may have devices registered that nobody knows yet.
	RegistersDevices bool
}

// never is what a row says where it says nothing about a time that merges by min: the year 2261, since
// the driver reads times as nanoseconds in 64 bits, which end in 2262.
var never = time.Date(2261, 1, 1, 0, 0, 0, 0, time.UTC)

// bindNever binds it to {never:Int64}.
func bindNever() any { return clickhouse.Named("never", never.UnixMilli()) }

// InsertAPIKey writes a new key's record.
func (db *KeyTable) InsertAPIKey(ctx context.Context, k APIKey) error {
	return db.InsertAPIKeys(ctx, []APIKey{k})
}

// InsertAPIKeys writes the records of new keys, all or, on an error, perhaps none.
func (db *KeyTable) InsertAPIKeys(ctx context.Context, keys []APIKey) error {
	var hash, id, kind, org, name, prefix, device, user proto.ColStr
	var createdAt, expiresAt, revokedAt proto.ColDateTime64
	var registers proto.ColUInt8
	for i := range keys {
		k := &keys[i]
		hash.Append(hex.EncodeToString(k.Hash[:]))
		id.Append(k.ID.String())
		kind.Append(string(k.Kind))
		org.Append(k.OrgID)
		name.Append(k.Name)
		prefix.Append(k.Prefix)
		if k.DeviceID == (ID{}) {
			device.Append("")
		} else {
			device.Append(k.DeviceID.String())
		}
		user.Append(k.CreatedByUserID)
		if k.RegistersDevices {
			registers.Append(1)
		} else {
			registers.Append(0)
		}
		createdAt.AppendRaw(proto.DateTime64(k.CreatedAt.UnixMilli()))
		expiresAt.AppendRaw(proto.DateTime64(k.ExpiresAt.UnixMilli()))
		revokedAt.AppendRaw(proto.DateTime64(never.UnixMilli()))
	}
	err := db.insertNative(ctx, apiKeysTable.name, len(keys), proto.Input{
		{Name: "key_hash", Data: &hash}, {Name: "key_id", Data: &id}, {Name: "kind", Data: &kind}, {Name: "org_id", Data: &org},
		{Name: "name", Data: &name}, {Name: "prefix", Data: &prefix}, {Name: "device_id", Data: &device}, {Name: "created_by_user_id", Data: &user},
		{Name: "created_at", Data: createdAt.WithPrecision(proto.PrecisionMilli)},
		{Name: "expires_at", Data: expiresAt.WithPrecision(proto.PrecisionMilli)},
		{Name: "revoked_at", Data: revokedAt.WithPrecision(proto.PrecisionMilli)}, {Name: "registers_devices", Data: &registers},
	})
	if err != nil {
		return fmt.Errorf("insert %d API keys: %w", len(keys), err)
	}
	return nil
}

// RevokeAPIKey records a revocation. It cannot be undone; of several the earliest counts.
func (db *KeyTable) RevokeAPIKey(ctx context.Context, hash KeyHash, at time.Time, userID string) error {
	err := db.execWithRoom(ctx, `INSERT INTO api_keys (key_hash, expires_at, revoked_at, revoked_by_user_id)
SELECT {hash:String}, fromUnixTimestamp64Milli({never:Int64}, 'UTC'), fromUnixTimestamp64Milli({at:Int64}, 'UTC'), {user:String}`,
		bindNever(), clickhouse.Named("hash", hex.EncodeToString(hash[:])), clickhouse.Named("at", at.UnixMilli()), clickhouse.Named("user", userID))
	if err != nil {
		return fmt.Errorf("record the revocation of an API key: %w", err)
	}
	return nil
}

// ExpireAPIKey makes a key expire at a time; of several expiries the earliest counts, so a key's life
// is never made longer.
func (db *KeyTable) ExpireAPIKey(ctx context.Context, hash KeyHash, at time.Time) error {
	err := db.execWithRoom(ctx, `INSERT INTO api_keys (key_hash, expires_at, revoked_at)
SELECT {hash:String}, fromUnixTimestamp64Milli({at:Int64}, 'UTC'), fromUnixTimestamp64Milli({never:Int64}, 'UTC')`,
		bindNever(), clickhouse.Named("hash", hex.EncodeToString(hash[:])), clickhouse.Named("at", at.UnixMilli()))
	if err != nil {
		return fmt.Errorf("record the end of an API key: %w", err)
	}
	return nil
}

// EndAPIKey ends a key at once, whatever a clock that is set back may say later: it expires, and counts as
// ended by its owner, at the same time. Ended tells such a key.
func (db *KeyTable) EndAPIKey(ctx context.Context, hash KeyHash, at time.Time, userID string) error {
	err := db.execWithRoom(ctx, `INSERT INTO api_keys (key_hash, expires_at, revoked_at, revoked_by_user_id)
SELECT {hash:String}, fromUnixTimestamp64Milli({at:Int64}, 'UTC'), fromUnixTimestamp64Milli({at:Int64}, 'UTC'), {user:String}`,
		clickhouse.Named("hash", hex.EncodeToString(hash[:])), clickhouse.Named("at", at.UnixMilli()), clickhouse.Named("user", userID))
	if err != nil {
		return fmt.Errorf("end an API key: %w", err)
	}
	return nil
}

// Ended reports whether the key was ended by EndAPIKey: it has expired for good, and was not revoked.
func (k *APIKey) Ended() bool {
	return !k.RevokedAt.IsZero() && k.RevokedAt.Equal(k.ExpiresAt)
}

// KeyUse is when a key was last used.
type KeyUse struct {
	Hash KeyHash
	At   time.Time
}

// RecordKeyUses notes when keys were last used; of several uses the last counts.
func (db *KeyTable) RecordKeyUses(ctx context.Context, uses []KeyUse) error {
	var hash proto.ColStr
	var expiresAt, revokedAt, lastUsedAt proto.ColDateTime64
	for _, use := range uses {
		hash.Append(hex.EncodeToString(use.Hash[:]))
		expiresAt.AppendRaw(proto.DateTime64(never.UnixMilli()))
		revokedAt.AppendRaw(proto.DateTime64(never.UnixMilli()))
		lastUsedAt.AppendRaw(proto.DateTime64(use.At.UnixMilli()))
	}
	err := db.insertNative(ctx, apiKeysTable.name, len(uses), proto.Input{
		{Name: "key_hash", Data: &hash},
		{Name: "expires_at", Data: expiresAt.WithPrecision(proto.PrecisionMilli)},
		{Name: "revoked_at", Data: revokedAt.WithPrecision(proto.PrecisionMilli)},
		{Name: "last_used_at", Data: lastUsedAt.WithPrecision(proto.PrecisionMilli)},
	})
	if err != nil {
		return fmt.Errorf("record when %d keys were last used: %w", len(uses), err)
	}
	return nil
}

const apiKeySelect = `SELECT key_hash, key_id, kind, org_id, name, prefix, device_id, created_by_user_id, created_at,
  expires_at, revoked_at, revoked_by_user_id, last_used_at, registers_devices FROM api_keys FINAL`

// apiKeyRow is an APIKey as ClickHouse stores it.
type apiKeyRow struct {
	Hash            string    `ch:"key_hash"`
	ID              ID        `ch:"key_id"`
	Kind            string    `ch:"kind"`
	OrgID           string    `ch:"org_id"`
	Name            string    `ch:"name"`
	Prefix          string    `ch:"prefix"`
	DeviceID        string    `ch:"device_id"`
	CreatedByUserID string    `ch:"created_by_user_id"`
	CreatedAt       time.Time `ch:"created_at"`
	ExpiresAt       time.Time `ch:"expires_at"`
	RevokedAt       time.Time `ch:"revoked_at"`
	RevokedByUserID string    `ch:"revoked_by_user_id"`
	LastUsedAt      time.Time `ch:"last_used_at"`
	Registers       uint8     `ch:"registers_devices"`
}

func (r apiKeyRow) key() APIKey {
	k := APIKey{
		Hash: keyHash(r.Hash), ID: r.ID, Kind: KeyKind(r.Kind), OrgID: r.OrgID, Name: r.Name, Prefix: r.Prefix,
		CreatedByUserID: r.CreatedByUserID, CreatedAt: r.CreatedAt.UTC(), ExpiresAt: r.ExpiresAt.UTC(),
		RevokedByUserID: r.RevokedByUserID, RegistersDevices: r.Registers != 0,
	}
	k.DeviceID, _ = ParseID(r.DeviceID) // empty for any device
	if r.RevokedAt.Before(never) {
		k.RevokedAt = r.RevokedAt.UTC()
	}
	if r.LastUsedAt.Unix() > 0 {
		k.LastUsedAt = r.LastUsedAt.UTC()
	}
	return k
}

// keyHash reads a hash as it is stored.
func keyHash(text string) (hash KeyHash) {
	hex.Decode(hash[:], []byte(text)) // written by us: always 64 digits
	return hash
}

// FindAPIKey returns the key with a hash, and false when there is none.
func (db *KeyTable) FindAPIKey(ctx context.Context, hash KeyHash) (APIKey, bool, error) {
	return db.findAPIKey(ctx, apiKeySelect+" WHERE key_hash = {hash:String} AND key_id != ''",
		clickhouse.Named("hash", hex.EncodeToString(hash[:])))
}

// FindAPIKeys returns the keys with the hashes, each once, in no particular order; a hash that no key
// has is missing from the answer. It is one query for up to five thousand hashes.
func (db *KeyTable) FindAPIKeys(ctx context.Context, hashes []KeyHash) ([]APIKey, error) {
	var keys []APIKey
	for chunk := range slices.Chunk(hashes, rowsPerSet) {
		texts := make([]string, len(chunk))
		for i := range chunk {
			texts[i] = hex.EncodeToString(chunk[i][:])
		}
		wanted, err := withSet(ctx, setColumn{"hash", "String", texts})
		if err != nil {
			return nil, err
		}
		rows, err := db.conn.Query(wanted, apiKeySelect+" WHERE key_hash IN (SELECT hash FROM wanted) AND key_id != ''")
		if err != nil {
			return nil, fmt.Errorf("find %d API keys: %w", len(hashes), err)
		}
		if err := eachStruct(rows, "find API keys", func(r apiKeyRow) { keys = append(keys, r.key()) }); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// FindAPIKeyByID returns an organisation's key by its id, and false when it has none with that id.
func (db *KeyTable) FindAPIKeyByID(ctx context.Context, orgID string, kind KeyKind, id ID) (APIKey, bool, error) {
	return db.findAPIKey(ctx, apiKeySelect+" WHERE org_id = {org:String} AND kind = {kind:String} AND key_id = {id:String}",
		clickhouse.Named("org", orgID), clickhouse.Named("kind", string(kind)), clickhouse.Named("id", id.String()))
}

func (db *KeyTable) findAPIKey(ctx context.Context, query string, args ...any) (key APIKey, found bool, err error) {
	rows, err := db.conn.Query(ctx, query, args...)
	if err != nil {
		return APIKey{}, false, fmt.Errorf("find an API key: %w", err)
	}
	err = eachStruct(rows, "find an API key", func(r apiKeyRow) { key, found = r.key(), true })
	return key, found, err
}

// ListAPIKeys returns an organisation's keys of a kind, newest first.
func (db *KeyTable) ListAPIKeys(ctx context.Context, orgID string, kind KeyKind) ([]APIKey, error) {
	rows, err := db.conn.Query(ctx, apiKeySelect+` WHERE org_id = {org:String} AND kind = {kind:String} ORDER BY created_at DESC, key_id DESC`,
		clickhouse.Named("org", orgID), clickhouse.Named("kind", string(kind)))
	if err != nil {
		return nil, fmt.Errorf("list API keys: %w", err)
	}
	var keys []APIKey
	err = eachStruct(rows, "list API keys", func(r apiKeyRow) { keys = append(keys, r.key()) })
	return keys, err
}
