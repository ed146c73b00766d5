package server

import (
	"net/http"

	"lastseen/query/history/format"
	"lastseen/query/history/stays"
	"lastseen/server/openapi"
)

// historyParameters are the query parameters of the routes that answer a history.
func historyParameters() []openapi.Parameter {
	rule := stays.DefaultRule()
	seconds := func(fallback float64) openapi.Schema {
		s := whole(staySecondsRange)
		s["default"] = int(fallback)
		return s
	}
	return []openapi.Parameter{
		wanted("session_id", "", openapi.ID()),
		wanted("start_timestamp", "Inclusive.", openapi.Timestamp()),
		wanted("end_timestamp", "Exclusive, after the start.", openapi.Timestamp()),
		optional("bucket_seconds", "One point for each so many seconds: the newest that is no outlier.", whole(bucketRange)),
		optional("limit", "The most points, or buckets, of this answer. While there are more, the header Next-Cursor and in JSON next_cursor say how to go on.", whole(pageLimitRange)),
		optional("cursor", "The Next-Cursor of the page before. The session, the range, the buckets and the order must be the same; limit and format may differ.", openapi.Text(1, 200)),
		optional("order", "By when the points were recorded, or by when they arrived: a feed that always has a next cursor and goes without buckets and clusters.", openapi.Choice("timestamp", "received")),
		formatParameter(), compressionParameter(),
		optional("stationary_distance_meters", "How near the first point of a stay the others lie; they are less far away than this.",
			openapi.Schema{"type": "number", "minimum": stays.MinMeters, "maximum": stays.MaxMeters, "default": rule.DistanceMeters}),
		optional("stationary_minimum_seconds", "How long a stay lasts at least.", seconds(rule.Minimum.Seconds())),
		optional("stationary_gap_seconds", "How long after a point the next one of the same stay comes at most.", seconds(rule.Gap.Seconds())),
	}
}

// feedParameters are the query parameters of the feed of all sessions.
func feedParameters() []openapi.Parameter {
	return []openapi.Parameter{
		optional("cursor", "The Next-Cursor of the page before. org_scope and received_after must be the same; limit and format may differ.", openapi.Text(1, 200)),
		optional("limit", "The most points of this answer; 1000000 when left out.", whole(pageLimitRange)),
		optional("org_scope", "Whose sessions; owned when left out.", openapi.Choice("owned", "shared", "owned_and_shared")),
		optional("received_after", "Only points that arrived after this.", openapi.Timestamp()),
		formatParameter(), compressionParameter(),
	}
}

func formatParameter() openapi.Parameter {
	return optional("format", "How the points are written; the header Accept decides when it is left out.", openapi.Choice(formatNames()...))
}

func compressionParameter() openapi.Parameter {
	return optional("compression", "How an Arrow stream is compressed within; not every reader opens one that is.", openapi.Choice("none", "lz4", "zstd"))
}

// historyAnswers are the formats of a history, with what they hold.
func historyAnswers(what string) []openapi.Answer {
	binary := openapi.Schema{"type": "string", "contentEncoding": "binary"}
	schemas := [...]openapi.Schema{
		format.JSON: openapi.Ref("History"), format.NDJSON: openapi.Ref("DataPoint"),
		format.CSV: openapi.Text(0, 0), format.GeoJSON: openapi.Ref("PointCollection"), format.GPX: openapi.Text(0, 0),
		format.Parquet: binary, format.Arrow: binary,
	}
	var answers []openapi.Answer
	for _, kind := range format.All() {
		answers = append(answers, openapi.Answer{
			Status: http.StatusOK, Description: what + " With NDJSON the schema is that of each line.",
			ContentType: kind.ContentType(), Schema: schemas[kind],
		})
	}
	return answers
}
