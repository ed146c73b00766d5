package schema

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
)

// apiKeysTable holds API keys and device credentials by the SHA-256 of their text. Its merge can only
// ever take rights away: the earliest expiry and the earliest revocation win whatever order rows
// arrive in, so no racing write (the note of a use, say) can bring a revoked key back. A change
// inserts a row with the hash and what is new. Scopes that are denied add up, and the lowest rate counts;
// for a name and for ranges of addresses, which have no such order, the last change counts: their texts begin
// with its number (see nth). Each write has a number of its own, by which they are counted (see apiKeyCountsTable).
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
    registers_devices SimpleAggregateFunction(max, UInt8),
    changes SimpleAggregateFunction(max, UInt32),
    renamed SimpleAggregateFunction(max, String),
    denied_scopes SimpleAggregateFunction(groupBitOr, UInt8),
    allowed_ip_ranges SimpleAggregateFunction(max, String),
    requests_per_second SimpleAggregateFunction(min, UInt32) DEFAULT 4294967295,
    replaces SimpleAggregateFunction(max, String),
    replaced_by SimpleAggregateFunction(max, String),
    writes SimpleAggregateFunction(groupUniqArrayArray, Array(UInt64))`,
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
	KeyLimits
	// Changes counts what was done by ChangeAPIKey.
	Changes uint32
	// Replaces is the key that was rotated into this one, ReplacedBy the one that this one was rotated into;
	// zero where there is none.
	Replaces, ReplacedBy ID
	// RequestHash stands for the request that makes the key; it is written, and not read back with the record.
	// See FindCreation.
	RequestHash string
}

// KeyLimits is what an API key may not do although its role may. The zero value is no limit.
type KeyLimits struct {
	Denied KeyScopes
	// Ranges are the addresses from which the key is accepted; empty for any.
	Ranges []netip.Prefix
	// RequestsPerSecond is the key's own rate; 0 for none.
	RequestsPerSecond uint32
}

// KeyScopes is a set of what an API key can be for.
type KeyScopes uint8

// The scopes.
const (
	ScopeLastSeen KeyScopes = 1 << iota // the newest points of sessions
	ScopeHistory                        // the points of sessions
	ScopeSessions                       // what is said of sessions
	// AllScopes is all of them.
	AllScopes = ScopeLastSeen | ScopeHistory | ScopeSessions
)

// noRate is what a row says where it says nothing about the rate, which merges by min.
const noRate = math.MaxUint32

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
	var registers, denied proto.ColUInt8
	var ranges, replaces proto.ColStr
	var rate proto.ColUInt32
	writes := proto.NewArray(new(proto.ColUInt64))
	if err := db.insertKeyIDs(ctx, keys); err != nil {
		return err
	}
	for i := range keys {
		k := &keys[i]
		hash.Append(hex.EncodeToString(k.Hash[:]))
		id.Append(k.ID.String())
		kind.Append(string(k.Kind))
		org.Append(k.OrgID)
		name.Append(k.Name)
		prefix.Append(k.Prefix)
		device.Append(k.DeviceID.orEmpty())
		user.Append(k.CreatedByUserID)
		denied.Append(uint8(k.Denied))
		ranges.Append(rangesText(0, k.Ranges))
		rate.Append(orNoRate(k.RequestsPerSecond))
		replaces.Append(k.Replaces.orEmpty())
		if k.RegistersDevices {
			registers.Append(1)
		} else {
			registers.Append(0)
		}
		writes.Append([]uint64{newWrite()})
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
		{Name: "denied_scopes", Data: &denied}, {Name: "allowed_ip_ranges", Data: &ranges}, {Name: "requests_per_second", Data: &rate}, {Name: "replaces", Data: &replaces},
		{Name: "writes", Data: writes},
	})
	db.tally.wrote(keyWrites, len(keys), err)
	if err != nil {
		return fmt.Errorf("insert %d API keys: %w", len(keys), err)
	}
	return nil
}

// ChangeAPIKey writes what a key is called and may do from now on; changed is the record as it is to be, whose
// Changes is one more than before. What it may do can only become less: scopes that were denied stay so, and a
// rate that was lower stays.
func (db *KeyTable) ChangeAPIKey(ctx context.Context, changed *APIKey) error {
	err := db.execWithRoom(ctx, `INSERT INTO api_keys (key_hash, expires_at, revoked_at, changes, renamed, denied_scopes, allowed_ip_ranges, requests_per_second, writes)
SELECT {hash:String}, fromUnixTimestamp64Milli({never:Int64}, 'UTC'), fromUnixTimestamp64Milli({never:Int64}, 'UTC'),
  {changes:UInt32}, {name:String}, {denied:UInt8}, {ranges:String}, {rate:UInt32}, [{write:UInt64}]`,
		bindNever(), clickhouse.Named("hash", hex.EncodeToString(changed.Hash[:])), clickhouse.Named("changes", changed.Changes),
		clickhouse.Named("name", nth(changed.Changes, changed.Name)), clickhouse.Named("denied", uint8(changed.Denied)),
		clickhouse.Named("ranges", rangesText(changed.Changes, changed.Ranges)), clickhouse.Named("rate", orNoRate(changed.RequestsPerSecond)), bindWrite())
	db.tally.wrote(keyWrites, 1, err)
	if err != nil {
		return fmt.Errorf("record a change to an API key: %w", err)
	}
	return nil
}

// ReplaceAPIKey notes which key another was rotated into.
func (db *KeyTable) ReplaceAPIKey(ctx context.Context, old KeyHash, by ID) error {
	err := db.conn.Exec(ctx, `INSERT INTO api_keys (key_hash, expires_at, revoked_at, replaced_by, writes)
SELECT {hash:String}, fromUnixTimestamp64Milli({never:Int64}, 'UTC'), fromUnixTimestamp64Milli({never:Int64}, 'UTC'), {by:String}, [{write:UInt64}]`,
		bindNever(), clickhouse.Named("hash", hex.EncodeToString(old[:])), clickhouse.Named("by", by.String()), bindWrite())
	db.tally.wrote(keyWrites, 1, err)
	if err != nil {
		return fmt.Errorf("record what an API key was rotated into: %w", err)
	}
	return nil
}

// numberWidth is how many digits a text of a change begins with.
const numberWidth = 10

// nth is a text as the nth change writes it: of several the last one is the greatest.
func nth(n uint32, text string) string { return fmt.Sprintf("%0*d%s", numberWidth, n, text) }

// rangesText is empty for no ranges at creation, so that most rows say nothing.
func rangesText(n uint32, ranges []netip.Prefix) string {
	if n == 0 && len(ranges) == 0 {
		return ""
	}
	texts := make([]string, len(ranges))
	for i, r := range ranges {
		texts[i] = r.String()
	}
	return nth(n, strings.Join(texts, ","))
}

// readRanges reads what rangesText has written. A range that cannot be read stays as one that holds no address.
func readRanges(text string) (ranges []netip.Prefix) {
	if len(text) <= numberWidth {
		return nil
	}
	for part := range strings.SplitSeq(text[numberWidth:], ",") {
		r, _ := netip.ParsePrefix(part)
		ranges = append(ranges, r)
	}
	return ranges
}

func orNoRate(rate uint32) uint32 {
	if rate == 0 {
		return noRate
	}
	return rate
}

// RevokeAPIKey records a revocation. It cannot be undone; of several the earliest counts.
func (db *KeyTable) RevokeAPIKey(ctx context.Context, hash KeyHash, at time.Time, userID string) error {
	err := db.revoke(ctx, hash, at, userID)
	db.tally.wrote(keyWrites, 1, err)
	return err
}

// RestoreRevocation records a revocation whose record was lost, and which has been counted before.
func (db *KeyTable) RestoreRevocation(ctx context.Context, lost LostRevocation) error {
	return db.revoke(ctx, lost.Hash, lost.At, lost.UserID)
}

func (db *KeyTable) revoke(ctx context.Context, hash KeyHash, at time.Time, userID string) error {
	err := db.execWithRoom(ctx, `INSERT INTO api_keys (key_hash, expires_at, revoked_at, revoked_by_user_id, writes)
SELECT {hash:String}, fromUnixTimestamp64Milli({never:Int64}, 'UTC'), fromUnixTimestamp64Milli({at:Int64}, 'UTC'), {user:String}, [{write:UInt64}]`,
		bindNever(), clickhouse.Named("hash", hex.EncodeToString(hash[:])), clickhouse.Named("at", at.UnixMilli()), clickhouse.Named("user", userID), bindWrite())
	if err != nil {
		return fmt.Errorf("record the revocation of an API key: %w", err)
	}
	return nil
}

// ExpireAPIKey makes a key expire at a time; of several expiries the earliest counts, so a key's life
// is never made longer.
func (db *KeyTable) ExpireAPIKey(ctx context.Context, hash KeyHash, at time.Time) error {
	err := db.execWithRoom(ctx, `INSERT INTO api_keys (key_hash, expires_at, revoked_at, writes)
SELECT {hash:String}, fromUnixTimestamp64Milli({at:Int64}, 'UTC'), fromUnixTimestamp64Milli({never:Int64}, 'UTC'), [{write:UInt64}]`,
		bindNever(), clickhouse.Named("hash", hex.EncodeToString(hash[:])), clickhouse.Named("at", at.UnixMilli()), bindWrite())
	db.tally.wrote(keyWrites, 1, err)
	if err != nil {
		return fmt.Errorf("record the end of an API key: %w", err)
	}
	return nil
}

// EndAPIKey ends a key at once, whatever a clock that is set back may say later: it expires, and counts as
// ended by its owner, at the same time. Ended tells such a key.
func (db *KeyTable) EndAPIKey(ctx context.Context, hash KeyHash, at time.Time, userID string) error {
	err := db.execWithRoom(ctx, `INSERT INTO api_keys (key_hash, expires_at, revoked_at, revoked_by_user_id, writes)
SELECT {hash:String}, fromUnixTimestamp64Milli({at:Int64}, 'UTC'), fromUnixTimestamp64Milli({at:Int64}, 'UTC'), {user:String}, [{write:UInt64}]`,
		clickhouse.Named("hash", hex.EncodeToString(hash[:])), clickhouse.Named("at", at.UnixMilli()), clickhouse.Named("user", userID), bindWrite())
	db.tally.wrote(keyWrites, 1, err)
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

// keyName is what a key is called now.
const keyName = "if(renamed = '', name, substring(renamed, 11))"

// apiKeyFields are the columns of an apiKeyRow.
const apiKeyFields = `key_hash, key_id, kind, org_id, ` + keyName + ` AS called, prefix, device_id, created_by_user_id, created_at,
  expires_at, revoked_at, revoked_by_user_id, last_used_at, registers_devices, changes, denied_scopes, allowed_ip_ranges, requests_per_second, replaces, replaced_by`

// apiKeySelect reads records. What is wanted of the hash is said in a PREWHERE, by which the other columns of the
// many that share its granule are not read; with FINAL that is right for the key of the table alone.
const apiKeySelect = "SELECT " + apiKeyFields + " FROM api_keys FINAL"

// apiKeyRow is an APIKey as ClickHouse stores it.
type apiKeyRow struct {
	Hash            string    `ch:"key_hash"`
	ID              ID        `ch:"key_id"`
	Kind            string    `ch:"kind"`
	OrgID           string    `ch:"org_id"`
	Name            string    `ch:"called"`
	Prefix          string    `ch:"prefix"`
	DeviceID        string    `ch:"device_id"`
	CreatedByUserID string    `ch:"created_by_user_id"`
	CreatedAt       time.Time `ch:"created_at"`
	ExpiresAt       time.Time `ch:"expires_at"`
	RevokedAt       time.Time `ch:"revoked_at"`
	RevokedByUserID string    `ch:"revoked_by_user_id"`
	LastUsedAt      time.Time `ch:"last_used_at"`
	Registers       uint8     `ch:"registers_devices"`
	Changes         uint32    `ch:"changes"`
	Denied          uint8     `ch:"denied_scopes"`
	Ranges          string    `ch:"allowed_ip_ranges"`
	Rate            uint32    `ch:"requests_per_second"`
	Replaces        string    `ch:"replaces"`
	ReplacedBy      string    `ch:"replaced_by"`
}

func (r apiKeyRow) key() APIKey {
	k := APIKey{
		Hash: keyHash(r.Hash), ID: r.ID, Kind: KeyKind(r.Kind), OrgID: r.OrgID, Name: r.Name, Prefix: r.Prefix,
		CreatedByUserID: r.CreatedByUserID, CreatedAt: r.CreatedAt.UTC(), ExpiresAt: r.ExpiresAt.UTC(),
		RevokedByUserID: r.RevokedByUserID, RegistersDevices: r.Registers != 0, Changes: r.Changes,
		KeyLimits: KeyLimits{Denied: KeyScopes(r.Denied), Ranges: readRanges(r.Ranges)},
	}
	k.DeviceID, _ = ParseID(r.DeviceID) // empty for any device
	k.Replaces, _ = ParseID(r.Replaces)
	k.ReplacedBy, _ = ParseID(r.ReplacedBy)
	if r.Rate != noRate {
		k.RequestsPerSecond = r.Rate
	}
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
	return db.findAPIKey(ctx, apiKeySelect+" PREWHERE key_hash = {hash:String} WHERE key_id != ''",
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
		rows, err := db.conn.Query(wanted, apiKeySelect+" PREWHERE key_hash IN (SELECT hash FROM wanted) WHERE key_id != ''")
		if err != nil {
			return nil, fmt.Errorf("find %d API keys: %w", len(hashes), err)
		}
		if err := eachStruct(rows, "find API keys", func(r apiKeyRow) { keys = append(keys, r.key()) }); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

func (db *KeyTable) findAPIKey(ctx context.Context, query string, args ...any) (key APIKey, found bool, err error) {
	rows, err := db.conn.Query(ctx, query, args...)
	if err != nil {
		return APIKey{}, false, fmt.Errorf("find an API key: %w", err)
	}
	err = eachStruct(rows, "find an API key", func(r apiKeyRow) { key, found = r.key(), true })
	return key, found, err
}
