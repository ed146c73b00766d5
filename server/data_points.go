package server

import (
	"time"

	"lastseen/query"
)

const (
	maxBucketSeconds = 604_800
)

// dataPoints streams the history of a session that the caller's organisation may see.
func dataPoints(c *call) error {
	return c.history(query.HistoryRequest{OrgID: c.principal.OrgID})
}

// dataPointsPublic streams the history of a public session.
func dataPointsPublic(c *call) error {
	return c.history(query.HistoryRequest{Public: true})
}

func (c *call) history(request query.HistoryRequest) error {
	p := parameters{args: c.http.QueryArgs()}
	request.SessionID = p.required("session_id")
	start, end := p.requiredTimestamp("start_timestamp"), p.requiredTimestamp("end_timestamp")
	request.BucketSeconds = p.integer("bucket_seconds", 0, 1, maxBucketSeconds)
	request.Clusters = query.DefaultClusterRule()
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
	return c.stream(stream)
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
