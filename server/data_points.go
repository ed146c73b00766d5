package server

import (
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/query/history"
	"lastseen/query/history/format"
	"lastseen/query/history/stays"
	"lastseen/schema"
	"lastseen/server/input"
	"lastseen/server/limit"
	"lastseen/server/stream"
)

// dataPoints streams the history of a session that the caller's organisation may see.
func dataPoints(c *call) error {
	return streamHistory(c, history.Request{OrgID: c.principal.OrgID})
}

// dataPointsPublic streams the history of a public session.
func dataPointsPublic(c *call) error {
	return streamHistory(c, history.Request{Public: true})
}

// streamHistory reads which part of a history the parameters ask for, and streams it; the caller says who asks.
func streamHistory(c *call, request history.Request) error {
	header := &c.http.Request.Header
	c.http.Response.Header.SetCanonical(headerVary, varyHistory)
	p := input.Of(c.http)
	request.SessionID = p.Required("session_id")
	start, end := p.RequiredTimestamp("start_timestamp"), p.RequiredTimestamp("end_timestamp")
	request.BucketSeconds = p.Integer("bucket_seconds", 0, bucketRange)
	request.Clusters = clusterRule(p)
	request.Limit = p.Integer("limit", 0, pageLimitRange)
	if p.Choice("order", "timestamp", "received") == "received" {
		request.Order = history.OrderReceived
	}
	request.Cursor = cursor(p)
	request.Format, request.ArrowCompression = historyFormat(p, header), arrowCompression(p)
	if p.Good() && !start.Before(end) {
		p.Reject("start_timestamp", "Use a start_timestamp that lies before end_timestamp.")
	}
	if err := p.Problem(); err != nil {
		return err
	}
	request.Start, request.End = start.UnixMilli(), end.UnixMilli()
	return streamPage(c, request)
}

// streamPage streams what a request asks for.
func streamPage(c *call, request history.Request) error {
	if err := enterPublic(c, &request); err != nil {
		return err
	}
	points, err := c.server.services.History.Open(c.context(), request)
	if err != nil {
		return err
	}
	if next := points.NextCursor(); next != "" {
		c.http.Response.Header.Set(headerNextCursor, next)
	}
	return c.stream(points, historyCoding(&request, &c.http.Request.Header))
}

// cursor reads where a page begins, which is empty for the first one.
func cursor(p *input.Parameters) string {
	cursor, present := p.Optional("cursor")
	if present && cursor == "" {
		p.Reject("cursor", "Use a cursor as it came, or leave the parameter out to begin anew.")
	}
	return cursor
}

// arrowCompression reads how an Arrow stream is compressed within.
func arrowCompression(p *input.Parameters) string {
	if compression := p.Choice("compression", "none", "lz4", "zstd"); compression != "none" {
		return compression
	}
	return ""
}

const (
	// leastPublicRate is how many bytes a second those without a credential must accept of a file, and leastWantedRate how many while
	// others are refused for want of its place: a client that accepted just enough would keep the place for as long as a history may take.
	leastPublicRate = 64 << 10
	leastWantedRate = 1 << 20
	// stillWanted is how long it counts that somebody was refused.
	stillWanted = 5 * time.Second
)

// publicRate returns how many bytes a second those without a credential must accept of a file, whenever it is asked.
func publicRate(s *Server) func() int64 {
	return func() int64 {
		if wanted := s.fileWanted.Load(); wanted != nil && time.Since(*wanted) < stillWanted {
			return leastWantedRate
		}
		return leastPublicRate
	}
}

// enterPublic bounds the histories of those without a credential: by whose session they show, so that slow readers of one
// organisation's leave room to the others', and files. A file's query cannot be suspended while a client is slow to read,
// so it keeps its place: a part of the public's places is left to other formats, and slow readers are cut.
func enterPublic(c *call, request *history.Request) (err error) {
	if !request.Public {
		return nil
	}
	id, _ := schema.ParseID(request.SessionID)
	if owner, public := c.server.services.LastSeen.Owner(id, schema.Viewer{Public: true}); public {
		if c.shown, err = c.server.openOf.TryEnter(limit.Request{Owner: owner, Weight: 1}); err != nil {
			return err
		}
	}
	if request.Format.Export() == "" {
		return nil
	}
	c.leastRate = publicRate(c.server)
	if c.filed, err = c.server.publicFiles.TryEnter(limit.Request{Owner: limit.Public, Weight: 1}); err != nil {
		now := time.Now()
		c.server.fileWanted.Store(&now)
	}
	return err
}

const headerNextCursor = "Next-Cursor"

// varyHistory names the request headers that decide what an answer looks like.
var varyHistory = []byte("Accept, Accept-Encoding, Authorization")

// historyCoding returns the content coding of a history. Parquet, and Arrow where it is asked for, are
// compressed within: to encode them again costs time and saves nothing.
func historyCoding(request *history.Request, header *fasthttp.RequestHeader) stream.Coding {
	if request.Format == format.Parquet || request.ArrowCompression != "" {
		return stream.Identity
	}
	return stream.Accepted(input.Preferences(header.PeekAll(fasthttp.HeaderAcceptEncoding)))
}

// clusterRule reads what makes points a stationary cluster.
func clusterRule(p *input.Parameters) stays.Rule {
	rule := stays.DefaultRule()
	rule.DistanceMeters = p.Number("stationary_distance_meters", rule.DistanceMeters)
	rule.Minimum = seconds(p, "stationary_minimum_seconds", rule.Minimum)
	rule.Gap = seconds(p, "stationary_gap_seconds", rule.Gap)
	return rule
}

// seconds returns a whole number of seconds as a duration, and fallback when it is not there.
func seconds(p *input.Parameters, name string, fallback time.Duration) time.Duration {
	number := p.Integer(name, int(fallback/time.Second), staySecondsRange)
	return time.Duration(number) * time.Second
}
