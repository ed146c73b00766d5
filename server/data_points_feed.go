package server

import (
	"math"

	"lastseen/query/history"
	"lastseen/query/history/stays"
	"lastseen/schema"
	"lastseen/server/input"
)

// dataPointsFeed streams the points of all sessions of the caller's organisation, or of those that are shared with it, by
// their arrival.
func dataPointsFeed(c *call) error {
	header := &c.http.Request.Header
	c.http.Response.Header.SetCanonical(headerVary, varyHistory)
	p := input.Of(c.http)
	request := history.Request{
		OrgID: c.principal.OrgID, AllSessions: true, Order: history.OrderReceived, End: math.MaxInt64, Clusters: stays.DefaultRule(),
		Scope: feedScope(p), Limit: p.Integer("limit", 0, pageLimitRange), Cursor: cursor(p),
		Format: historyFormat(p, header), ArrowCompression: arrowCompression(p),
	}
	if after := p.Timestamp("received_after"); after != nil {
		request.ReceivedAfter = after.UnixMilli()
	}
	if err := p.Problem(); err != nil {
		return err
	}
	return streamPage(c, request)
}

// feedScope reads whose points are wanted.
func feedScope(p *input.Parameters) schema.OrgScope {
	if !p.Present("org_scope") {
		return schema.Owned
	}
	return orgScope(p)
}
