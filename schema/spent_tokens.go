package schema

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
)

// spentTokensTable holds the sign-in links that were used and the browser sessions that were ended, until
// they would have expired anyway and spentMargin beyond. It holds no token, only ids.
var spentTokensTable = table{
	name: "spent_tokens",
	columns: `    token_id String,
    expires_at DateTime('UTC')`,
	engine:  "ReplacingMergeTree(expires_at)",
	tail:    "ORDER BY token_id\nTTL expires_at + toIntervalDay(60)",
	shardBy: "cityHash64(token_id)",
}

// spentMargin is how long a spent token is remembered beyond its expiry: a clock that was ahead once, by
// less, must not make it good again when it has been set right.
const spentMargin = 30 * day

// SpentToken is a token that must not be accepted although it is well signed.
type SpentToken struct {
	ID        string    // of the token, or of all sessions of a person that end until then
	ExpiresAt time.Time // whole seconds count
}

// InsertSpentTokens remembers that tokens are spent. It may be repeated.
func (db *SpentTokenTable) InsertSpentTokens(ctx context.Context, tokens []SpentToken) error {
	var id proto.ColStr
	var expiresAt proto.ColDateTime
	for _, t := range tokens {
		id.Append(t.ID)
		expiresAt.Append(t.ExpiresAt)
	}
	err := db.withRoom(func() error {
		return db.insertNative(ctx, spentTokensTable.name, len(tokens), proto.Input{{Name: "token_id", Data: &id}, {Name: "expires_at", Data: &expiresAt}})
	})
	if err != nil {
		return fmt.Errorf("record that sign-in tokens are spent: %w", err)
	}
	return nil
}

// SpentTokens returns the tokens that are to be remembered at a time, each once with its latest end.
func (db *SpentTokenTable) SpentTokens(ctx context.Context, now time.Time) ([]SpentToken, error) {
	rows, err := db.conn.Query(ctx,
		"SELECT token_id, max(spent_tokens.expires_at) AS expires_at FROM spent_tokens "+
			"WHERE spent_tokens.expires_at > toDateTime({since:Int64}, 'UTC') GROUP BY token_id",
		clickhouse.Named("since", max(0, now.Add(-spentMargin).Unix())))
	if err != nil {
		return nil, fmt.Errorf("read which sign-in tokens are spent: %w", err)
	}
	var tokens []SpentToken
	err = eachStruct(rows, "read which sign-in tokens are spent", func(r struct {
		ID        string    `ch:"token_id"`
		ExpiresAt time.Time `ch:"expires_at"`
	}) {
		tokens = append(tokens, SpentToken{r.ID, r.ExpiresAt.UTC()})
	})
	return tokens, err
}
