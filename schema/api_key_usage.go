package schema

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
)

// KeyUsageKept is how long it is remembered what keys were used for.
const KeyUsageKept = 400 * day

// apiKeyUsageTable counts the requests of keys by day, route and outcome. Each row is what was counted in some
// time; merges and reads add them up. A batch that is written again, since its writer did not learn whether it
// arrived, counts once: the table remembers the last batches' names.
var apiKeyUsageTable = table{
	name: "api_key_usage",
	columns: `    org_id String,
    key_id String,
    date Date,
    route LowCardinality(String),
    outcome LowCardinality(String),
    requests UInt64`,
	engine:   "SummingMergeTree(requests)",
	tail:     "PARTITION BY toYYYYMM(date)\nORDER BY (org_id, key_id, date, route, outcome)\nTTL date + toIntervalDay(400)",
	settings: []string{"non_replicated_deduplication_window = 1000"},
	shardBy:  "cityHash64(org_id)",
}

// KeyRequests is how many requests a key made on a day, of one route and with one outcome.
type KeyRequests struct {
	OrgID    string
	KeyID    ID
	Date     time.Time // midnight UTC
	Route    string
	Outcome  string
	Requests uint64
}

// AddKeyRequests adds to what was counted. The batch is named: writing it again under its name changes nothing.
func (db *KeyUsageTable) AddKeyRequests(ctx context.Context, batch string, counted []KeyRequests) error {
	var org, id, route, outcome proto.ColStr
	var date proto.ColDate
	var requests proto.ColUInt64
	for i := range counted {
		c := &counted[i]
		org.Append(c.OrgID)
		id.Append(c.KeyID.String())
		date.Append(c.Date)
		route.Append(c.Route)
		outcome.Append(c.Outcome)
		requests.Append(c.Requests)
	}
	ctx = withSettings(ctx, clickhouse.Settings{"insert_deduplicate": 1, "insert_deduplication_token": batch})
	err := db.insertNative(ctx, apiKeyUsageTable.name, len(counted), proto.Input{
		{Name: "org_id", Data: &org}, {Name: "key_id", Data: &id}, {Name: "date", Data: &date}, {Name: "route", Data: &route},
		{Name: "outcome", Data: &outcome}, {Name: "requests", Data: &requests},
	})
	if err != nil {
		return fmt.Errorf("record the requests of keys: %w", err)
	}
	return nil
}

// UsageOf says of which requests KeyRequests tells: those of an organisation's keys, or of some of them, from one day to
// another, both included.
type UsageOf struct {
	OrgID       string
	Keys        []ID // empty for all
	First, Last time.Time
	Limit       int // of lines; the first that are left out are the newest
}

// KeyRequests returns what was counted, by day, key, route and outcome.
func (db *KeyUsageTable) KeyRequests(ctx context.Context, of UsageOf) ([]KeyRequests, error) {
	where := "org_id = {org:String} AND date >= {first:Date} AND date <= {last:Date}"
	if len(of.Keys) > 0 {
		wanted, err := withIDs(ctx, "id", of.Keys)
		if err != nil {
			return nil, err
		}
		ctx, where = wanted, where+" AND key_id GLOBAL IN (SELECT id FROM wanted)"
	}
	rows, err := db.conn.Query(ctx, `SELECT key_id, date, route, outcome, sum(requests) AS requests FROM api_key_usage
WHERE `+where+` GROUP BY key_id, date, route, outcome ORDER BY date, key_id, route, outcome LIMIT {limit:UInt64}`,
		clickhouse.Named("org", of.OrgID), clickhouse.Named("first", of.First.Format(time.DateOnly)), clickhouse.Named("last", of.Last.Format(time.DateOnly)),
		clickhouse.Named("limit", cmp.Or(of.Limit, 1)))
	if err != nil {
		return nil, fmt.Errorf("read the requests of keys: %w", err)
	}
	counted := []KeyRequests{}
	err = eachStruct(rows, "read the requests of keys", func(r struct {
		KeyID    ID        `ch:"key_id"`
		Date     time.Time `ch:"date"`
		Route    string    `ch:"route"`
		Outcome  string    `ch:"outcome"`
		Requests uint64    `ch:"requests"`
	}) {
		counted = append(counted, KeyRequests{OrgID: of.OrgID, KeyID: r.KeyID, Date: r.Date.UTC(), Route: r.Route, Outcome: r.Outcome, Requests: r.Requests})
	})
	return counted, err
}
