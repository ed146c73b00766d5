package server

import (
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/query/history"
	"lastseen/query/history/format"
	"lastseen/query/history/stays"
)

// dataPoints streams the history of a session that the caller's organisation may see.
func dataPoints(c *call) error {
	return c.history(history.Request{OrgID: c.principal.OrgID})
}

// dataPointsPublic streams the history of a public session.
func dataPointsPublic(c *call) error {
	return c.history(history.Request{Public: true})
}

func (c *call) history(request history.Request) error {
	header := &c.http.Request.Header
	c.http.Response.Header.SetCanonical(headerVary, varyHistory)
	p := parameters{args: c.http.QueryArgs()}
	request.SessionID = p.required("session_id")
	start, end := p.requiredTimestamp("start_timestamp"), p.requiredTimestamp("end_timestamp")
	request.BucketSeconds = p.integer("bucket_seconds", 0, 1, history.MaxBucketSeconds)
	request.Clusters = p.clusterRule()
	request.Limit = p.integer("limit", 0, 1, history.MaxPageLimit)
	if p.choice("order", "timestamp", "received") == "received" {
		request.Order = history.OrderReceived
	}
	if cursor, present := p.optional("cursor"); present {
		if request.Cursor = cursor; cursor == "" {
			p.reject("cursor", "Use a cursor as it came, or leave the parameter out to begin anew.")
		}
	}
	request.Format = p.format(header)
	if len(p.errors) == 0 && !start.Before(end) {
		p.reject("start_timestamp", "Use a start_timestamp that lies before end_timestamp.")
	}
	if err := p.problem(); err != nil {
		return err
	}
	request.Start, request.End = ceilMilli(start), ceilMilli(end)
	stream, err := c.server.services.History.Open(c.context(), request)
	if err != nil {
		return err
	}
	if next := stream.NextCursor(); next != "" {
		c.http.Response.Header.Set(headerNextCursor, next)
	}
	return c.stream(stream, historyCoding(request.Format, header))
}

const headerNextCursor = "Next-Cursor"

// varyHistory names the request headers that decide what an answer looks like.
var varyHistory = []byte("Accept, Accept-Encoding, Authorization")

// historyCoding returns the content coding of a history. Parquet and Arrow are compressed within: to
// encode them again costs time and saves nothing.
func historyCoding(as format.Format, header *fasthttp.RequestHeader) coding {
	if as == format.Parquet || as == format.Arrow {
		return identity
	}
	return acceptedCoding(preferences(header.PeekAll(fasthttp.HeaderAcceptEncoding)))
}

// clusterRule reads what makes points a stationary cluster.
func (p *parameters) clusterRule() stays.Rule {
	rule := stays.DefaultRule()
	rule.DistanceMeters = p.number("stationary_distance_meters", rule.DistanceMeters)
	rule.Minimum = p.seconds("stationary_minimum_seconds", rule.Minimum)
	rule.Gap = p.seconds("stationary_gap_seconds", rule.Gap)
	return rule
}

// seconds returns a whole number of seconds as a duration, and fallback when it is not there.
func (p *parameters) seconds(name string, fallback time.Duration) time.Duration {
	number := p.integer(name, int(fallback/time.Second), 1, history.MaxSeconds)
	return time.Duration(number) * time.Second
}

// ceilMilli returns the first millisecond that is not before an instant. Points have whole
// milliseconds, so comparing them with the result is comparing them with the instant.
func ceilMilli(t time.Time) int64 {
	ms := t.UnixMilli()
	if t.After(time.UnixMilli(ms)) {
		ms++
	}
	return ms
}
