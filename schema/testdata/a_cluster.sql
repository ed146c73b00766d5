CREATE TABLE IF NOT EXISTS schema_migrations_local ON CLUSTER `fleet`
(
    version UInt32,
    name String,
    applied_at DateTime64(3, 'UTC')
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', applied_at)
ORDER BY version
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS schema_migrations ON CLUSTER `fleet` AS schema_migrations_local
ENGINE = Distributed(`fleet`, currentDatabase(), schema_migrations_local, version);

CREATE TABLE IF NOT EXISTS session_by_device_data_points_local ON CLUSTER `fleet`
(
    session_id String,
    timestamp DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    received_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    org_id LowCardinality(String),
    device_id LowCardinality(String),
    latitude Int32 CODEC(Delta, T64, ZSTD(1)),
    longitude Int32 CODEC(Delta, T64, ZSTD(1)),
    altitude Int32 DEFAULT -2147483648 CODEC(Delta, ZSTD(1)),
    accuracy UInt32 DEFAULT 4294967295 CODEC(T64, ZSTD(1)),
    speed UInt16 DEFAULT 65535 CODEC(T64, ZSTD(1)),
    heading UInt16 DEFAULT 65535 CODEC(T64, ZSTD(1)),
    temperature Float32 DEFAULT nan CODEC(ZSTD(1)),
    battery UInt16 DEFAULT 65535 CODEC(T64, ZSTD(1)),
    outlier UInt8,
    version UInt32,
    INDEX received_at_range received_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', version)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (session_id, timestamp)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS session_by_device_data_points ON CLUSTER `fleet` AS session_by_device_data_points_local
ENGINE = Distributed(`fleet`, currentDatabase(), session_by_device_data_points_local, cityHash64(session_id));

CREATE TABLE IF NOT EXISTS session_by_device_last_seen_local ON CLUSTER `fleet`
(
    session_id String,
    timestamp DateTime64(3, 'UTC'),
    received_at DateTime64(3, 'UTC'),
    latitude Int32,
    longitude Int32,
    altitude Int32,
    accuracy UInt32,
    speed UInt16,
    heading UInt16,
    temperature Float32,
    battery UInt16,
    outlier UInt8,
    point_version UInt32,
    newest_timestamp DateTime64(3, 'UTC'),
    stale UInt8,
    watermark DateTime64(3, 'UTC'),
    version UInt64
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', version)
ORDER BY session_id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS session_by_device_last_seen ON CLUSTER `fleet` AS session_by_device_last_seen_local
ENGINE = Distributed(`fleet`, currentDatabase(), session_by_device_last_seen_local, cityHash64(session_id));

CREATE TABLE IF NOT EXISTS sessions_local ON CLUSTER `fleet`
(
    session_id String,
    org_id String,
    device_id String,
    device_mac_address String,
    created_at DateTime64(3, 'UTC'),
    comments Nullable(String),
    off_chrt_reference_id Nullable(String),
    off_chrt_shipper_org_data_id Nullable(String),
    public Nullable(Bool),
    shared_with_org_ids Array(String),
    termination_scheduled_for Nullable(DateTime64(3, 'UTC')),
    terminated_at Nullable(DateTime64(3, 'UTC')),
    flight_numbers Array(String),
    flight_loaded_statuses Array(String),
    flight_leg_ids Array(String),
    version UInt64
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', version)
ORDER BY (org_id, session_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS sessions ON CLUSTER `fleet` AS sessions_local
ENGINE = Distributed(`fleet`, currentDatabase(), sessions_local, cityHash64(session_id));

CREATE TABLE IF NOT EXISTS devices_local ON CLUSTER `fleet`
(
    device_id String,
    org_id String,
    device_mac_address String,
    type Nullable(String),
    comments Nullable(String),
    off_chrt_reference_id Nullable(String),
    created_at DateTime64(3, 'UTC'),
    version UInt64
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', version)
ORDER BY device_id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS devices ON CLUSTER `fleet` AS devices_local
ENGINE = Distributed(`fleet`, currentDatabase(), devices_local, cityHash64(device_id));

CREATE TABLE IF NOT EXISTS api_keys_local ON CLUSTER `fleet`
(
    key_hash String,
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
    writes SimpleAggregateFunction(groupUniqArrayArray, Array(UInt64))
)
ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
ORDER BY key_hash
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS api_keys ON CLUSTER `fleet` AS api_keys_local
ENGINE = Distributed(`fleet`, currentDatabase(), api_keys_local, cityHash64(key_hash));

CREATE TABLE IF NOT EXISTS api_key_events_local ON CLUSTER `fleet`
(
    event_id String,
    org_id String,
    kind LowCardinality(String),
    key_id String,
    name String,
    prefix String,
    action LowCardinality(String),
    user_id String,
    at DateTime64(3, 'UTC'),
    changed Array(LowCardinality(String))
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
ORDER BY (org_id, at, event_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS api_key_events ON CLUSTER `fleet` AS api_key_events_local
ENGINE = Distributed(`fleet`, currentDatabase(), api_key_events_local, cityHash64(org_id));

ALTER TABLE session_by_device_data_points_local ON CLUSTER `fleet` MODIFY SETTING merge_selector_base = 10;

ALTER TABLE session_by_device_last_seen_local ON CLUSTER `fleet` MODIFY SETTING merge_selector_base = 10;

CREATE TABLE IF NOT EXISTS spent_tokens_local ON CLUSTER `fleet`
(
    token_id String,
    expires_at DateTime('UTC')
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', expires_at)
ORDER BY token_id
TTL expires_at + toIntervalDay(60)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS spent_tokens ON CLUSTER `fleet` AS spent_tokens_local
ENGINE = Distributed(`fleet`, currentDatabase(), spent_tokens_local, cityHash64(token_id));

ALTER TABLE api_keys_local ON CLUSTER `fleet` ADD COLUMN IF NOT EXISTS registers_devices SimpleAggregateFunction(max, UInt8);

ALTER TABLE api_keys ON CLUSTER `fleet` ADD COLUMN IF NOT EXISTS registers_devices SimpleAggregateFunction(max, UInt8);

CREATE TABLE IF NOT EXISTS api_key_ids_local ON CLUSTER `fleet`
(
    org_id String,
    kind LowCardinality(String),
    key_id String,
    key_hash String,
    request_hash String,
    created_at DateTime64(3, 'UTC')
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
ORDER BY (org_id, kind, key_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS api_key_ids ON CLUSTER `fleet` AS api_key_ids_local
ENGINE = Distributed(`fleet`, currentDatabase(), api_key_ids_local, cityHash64(org_id));

CREATE TABLE IF NOT EXISTS api_key_usage_local ON CLUSTER `fleet`
(
    org_id String,
    key_id String,
    date Date,
    route LowCardinality(String),
    outcome LowCardinality(String),
    requests UInt64
)
ENGINE = ReplicatedSummingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', requests)
PARTITION BY toYYYYMM(date)
ORDER BY (org_id, key_id, date, route, outcome)
TTL date + toIntervalDay(400)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS api_key_usage ON CLUSTER `fleet` AS api_key_usage_local
ENGINE = Distributed(`fleet`, currentDatabase(), api_key_usage_local, cityHash64(org_id));

ALTER TABLE api_keys_local ON CLUSTER `fleet` ADD COLUMN IF NOT EXISTS changes SimpleAggregateFunction(max, UInt32),
    ADD COLUMN IF NOT EXISTS renamed SimpleAggregateFunction(max, String),
    ADD COLUMN IF NOT EXISTS denied_scopes SimpleAggregateFunction(groupBitOr, UInt8),
    ADD COLUMN IF NOT EXISTS allowed_ip_ranges SimpleAggregateFunction(max, String),
    ADD COLUMN IF NOT EXISTS requests_per_second SimpleAggregateFunction(min, UInt32) DEFAULT 4294967295,
    ADD COLUMN IF NOT EXISTS replaces SimpleAggregateFunction(max, String),
    ADD COLUMN IF NOT EXISTS replaced_by SimpleAggregateFunction(max, String);

ALTER TABLE api_keys ON CLUSTER `fleet` ADD COLUMN IF NOT EXISTS changes SimpleAggregateFunction(max, UInt32),
    ADD COLUMN IF NOT EXISTS renamed SimpleAggregateFunction(max, String),
    ADD COLUMN IF NOT EXISTS denied_scopes SimpleAggregateFunction(groupBitOr, UInt8),
    ADD COLUMN IF NOT EXISTS allowed_ip_ranges SimpleAggregateFunction(max, String),
    ADD COLUMN IF NOT EXISTS requests_per_second SimpleAggregateFunction(min, UInt32) DEFAULT 4294967295,
    ADD COLUMN IF NOT EXISTS replaces SimpleAggregateFunction(max, String),
    ADD COLUMN IF NOT EXISTS replaced_by SimpleAggregateFunction(max, String);

ALTER TABLE api_key_events_local ON CLUSTER `fleet` ADD COLUMN IF NOT EXISTS changed Array(LowCardinality(String));

ALTER TABLE api_key_events ON CLUSTER `fleet` ADD COLUMN IF NOT EXISTS changed Array(LowCardinality(String));

ALTER TABLE sessions_local ON CLUSTER `fleet` ADD COLUMN IF NOT EXISTS outliers Nullable(String) AFTER flight_leg_ids;

ALTER TABLE sessions ON CLUSTER `fleet` ADD COLUMN IF NOT EXISTS outliers Nullable(String) AFTER flight_leg_ids;

CREATE TABLE IF NOT EXISTS api_key_counts_local ON CLUSTER `fleet`
(
    of String,
    written SimpleAggregateFunction(max, UInt64),
    lost SimpleAggregateFunction(max, UInt64)
)
ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
ORDER BY of
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS api_key_counts ON CLUSTER `fleet` AS api_key_counts_local
ENGINE = Distributed(`fleet`, currentDatabase(), api_key_counts_local, cityHash64(of));

ALTER TABLE api_keys_local ON CLUSTER `fleet` ADD COLUMN IF NOT EXISTS writes SimpleAggregateFunction(groupUniqArrayArray, Array(UInt64));

ALTER TABLE api_keys ON CLUSTER `fleet` ADD COLUMN IF NOT EXISTS writes SimpleAggregateFunction(groupUniqArrayArray, Array(UInt64));
