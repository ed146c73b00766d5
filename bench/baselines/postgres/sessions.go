package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/valyala/fasthttp"

	"lastseen/bench/dataset"
)

// createSessions makes the table of sessions, and finishSessions are the indexes that one would give it, once it is
// full.
const createSessions = `CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE TABLE sessions (session_id text PRIMARY KEY, org_id text NOT NULL, device_id text NOT NULL, mac text NOT NULL, reference text NOT NULL,
  comments text NOT NULL, public bool NOT NULL, created_at timestamptz NOT NULL, last_seen_at timestamptz, scheduled_for timestamptz, terminated_at timestamptz)`

var finishSessions = []string{
	"CREATE INDEX ON sessions (org_id, created_at)", "CREATE INDEX ON sessions (org_id, last_seen_at)",
	"CREATE INDEX ON sessions USING gin (mac gin_trgm_ops)", "CREATE INDEX ON sessions USING gin (reference gin_trgm_ops)",
	"CREATE INDEX ON sessions USING gin (comments gin_trgm_ops)", "VACUUM ANALYZE sessions",
}

var sessionColumns = []string{"session_id", "org_id", "device_id", "mac", "reference", "comments", "public", "created_at", "last_seen_at", "scheduled_for", "terminated_at"}

// loadSessions fills the table with the sessions of a data set that is described.
func (p *Service) loadSessions(ctx context.Context, s dataset.Spec) error {
	if _, err := p.pool.Exec(ctx, createSessions); err != nil {
		return err
	}
	_, err := p.pool.CopyFrom(ctx, pgx.Identifier{"sessions"}, sessionColumns, pgx.CopyFromSlice(s.Sessions, func(i int) ([]any, error) {
		row := s.Session(i)
		return []any{
			row.ID.String(), row.OrgID, row.DeviceID.String(), row.DeviceMACAddress, *row.OffChrtReferenceID, *row.Comments, *row.Public,
			row.CreatedAt, time.UnixMilli(s.NewestTimestamp(i)), row.TerminationScheduledFor, row.TerminatedAt,
		}, nil
	}))
	if err != nil {
		return err
	}
	for _, statement := range finishSessions {
		if _, err := p.pool.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// handleSessions answers a list or a typeahead of an organisation, which the query names.
func (p *Service) handleSessions(c *fasthttp.RequestCtx, list bool) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	answer := p.typeahead
	if list {
		answer = p.list
	}
	text, err := answer(ctx, c.QueryArgs())
	if err != nil {
		c.Error(err.Error(), fasthttp.StatusInternalServerError)
		return
	}
	c.SetContentType("application/json")
	c.SetBody(text)
}

// like returns the pattern of texts that contain a text.
func like(text string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(text) + "%"
}

// sortColumns are what the parameter sort_by means.
var sortColumns = map[string]string{
	"": "created_at", "created_at_timestamp": "created_at", "last_seen_at_timestamp": "last_seen_at",
	"termination_scheduled_for_timestamp": "scheduled_for", "terminated_at_timestamp": "terminated_at",
}

// list answers with a page of sessions and the number of all.
func (p *Service) list(ctx context.Context, args *fasthttp.Args) ([]byte, error) {
	where, values := "org_id = $1", []any{string(args.Peek("org"))}
	and := func(condition string, value any) {
		values = append(values, value)
		where += " AND " + strings.ReplaceAll(condition, "?", "$"+strconv.Itoa(len(values)))
	}
	if text := string(args.Peek("search")); text != "" {
		and("(mac ILIKE ? OR reference ILIKE ? OR comments ILIKE ?)", like(text))
	}
	for name, condition := range map[string]string{
		"filter_terminated": "(terminated_at IS NOT NULL) = ?", "filter_public": "public = ?", "filter_has_last_seen": "(last_seen_at IS NOT NULL) = ?",
	} {
		if text := args.Peek(name); len(text) > 0 {
			and(condition, string(text) == "true")
		}
	}
	for name, condition := range map[string]string{
		"filter_off_chrt_reference_id": "reference = ?", "filter_device_id": "device_id = ?",
		"filter_created_at_timestamp_gte": "created_at >= ?::timestamptz", "filter_last_seen_at_timestamp_gte": "last_seen_at >= ?::timestamptz",
	} {
		if text := args.Peek(name); len(text) > 0 {
			and(condition, string(text))
		}
	}
	var answer struct {
		Items []map[string]any `json:"items"`
		Total int              `json:"total_count"`
	}
	if err := p.pool.QueryRow(ctx, "SELECT count(*) FROM sessions WHERE "+where, values...).Scan(&answer.Total); err != nil {
		return nil, err
	}
	order, direction := sortColumns[string(args.Peek("sort_by"))], "DESC"
	nulls := "NULLS LAST"
	if string(args.Peek("sort_order")) == "asc" {
		direction = "ASC"
	}
	if order == "created_at" {
		nulls = "" // it has none, and the index is good for both directions then
	}
	page := max(args.GetUintOrZero("page"), 1)
	rows, err := p.pool.Query(ctx, fmt.Sprintf("SELECT * FROM sessions WHERE %s ORDER BY %s %s %s, session_id LIMIT 50 OFFSET %d", where, order, direction, nulls, 50*(page-1)), values...)
	if err != nil {
		return nil, err
	}
	if answer.Items, err = pgx.CollectRows(rows, pgx.RowToMap); err != nil {
		return nil, err
	}
	return json.Marshal(answer)
}

// typeahead answers with up to ten values of each field that contain a text.
func (p *Service) typeahead(ctx context.Context, args *fasthttp.Args) ([]byte, error) {
	text := string(args.Peek("query"))
	var answer []map[string]any
	for _, column := range []string{"mac", "reference"} {
		rows, err := p.pool.Query(ctx, fmt.Sprintf(`SELECT %[1]s FROM (SELECT DISTINCT %[1]s FROM sessions WHERE org_id = $1 AND %[1]s ILIKE $2) AS found
ORDER BY NOT starts_with(lower(%[1]s), lower($3)), lower(%[1]s), %[1]s LIMIT 10`, column), string(args.Peek("org")), like(text), text)
		if err != nil {
			return nil, err
		}
		values, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return nil, err
		}
		answer = append(answer, map[string]any{"type": column, "values": values})
	}
	return json.Marshal(answer)
}
