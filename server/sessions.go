package server

import (
	"github.com/valyala/fasthttp"

	"lastseen/ingest/registry"
	"lastseen/query/sessions"
	"lastseen/schema"
	"lastseen/server/input"
	"lastseen/server/problem"
)

// listSessions answers with a page of the sessions that the caller's organisation may see.
func listSessions(c *call) error {
	p := input.Of(c.http)
	request := sessions.ListRequest{
		SortBy:     sortBy(p),
		Descending: p.Choice("sort_order", "desc", "asc") == "desc",
		Page:       p.Integer("page", 1, pageRange),
		PageSize:   p.Integer("page_size", 50, pageSizeRange),
		Filter:     sessionFilter(p),
	}
	if cursor, present := p.Optional("cursor"); present {
		if request.Cursor = cursor; cursor == "" {
			p.Reject("cursor", "Use a cursor as it came, or leave the parameter out to begin anew.")
		}
		if p.Present("page") {
			p.Reject("page", "Leave this out: a cursor says which page is meant.")
		}
	}
	if err := p.Problem(); err != nil {
		return err
	}
	page, err := c.server.services.Sessions.List(c.principal.OrgID, request)
	if err != nil {
		return err
	}
	c.scratch = sessions.AppendPage(c.scratch[:0], &page)
	c.replyLong(fasthttp.StatusOK, &c.scratch)
	return nil
}

func sortBy(p *input.Parameters) sessions.Sort {
	switch p.Choice("sort_by", "created_at_timestamp", "last_seen_at_timestamp", "termination_scheduled_for_timestamp", "terminated_at_timestamp") {
	case "last_seen_at_timestamp":
		return sessions.ByLastSeenAt
	case "termination_scheduled_for_timestamp":
		return sessions.ByTerminationScheduledFor
	case "terminated_at_timestamp":
		return sessions.ByTerminatedAt
	}
	return sessions.ByCreatedAt
}

func sessionFilter(p *input.Parameters) sessions.Filter {
	return sessions.Filter{
		Scope:                   orgScope(p),
		Search:                  p.Text("search"),
		Terminated:              p.Boolean("filter_terminated"),
		Public:                  p.Boolean("filter_public"),
		HasLastSeen:             p.Boolean("filter_has_last_seen"),
		DeviceID:                p.TextOrNothing("filter_device_id"),
		OffChrtReferenceID:      p.TextOrNothing("filter_off_chrt_reference_id"),
		FlightNumber:            p.TextOrNothing("filter_flight_number"),
		FlightLoadedStatus:      p.TextOrNothing("filter_flight_loaded_status"),
		CreatedAt:               timeRange(p, "filter_created_at_timestamp"),
		LastSeenAt:              timeRange(p, "filter_last_seen_at_timestamp"),
		TerminationScheduledFor: timeRange(p, "filter_termination_scheduled_for_timestamp"),
		TerminatedAt:            timeRange(p, "filter_terminated_at_timestamp"),
	}
}

func orgScope(p *input.Parameters) schema.OrgScope {
	switch p.Choice("org_scope", "owned_and_shared", "owned", "shared") {
	case "owned":
		return schema.Owned
	case "shared":
		return schema.Shared
	}
	return schema.OwnedAndShared
}

func timeRange(p *input.Parameters, prefix string) sessions.TimeRange {
	var times sessions.TimeRange
	if from := p.Timestamp(prefix + "_gte"); from != nil {
		times.From = *from
	}
	if to := p.Timestamp(prefix + "_lte"); to != nil {
		times.To = *to
	}
	return times
}

// getSession answers with one session.
func getSession(c *call) error {
	p := input.Of(c.http)
	id := p.Required("session_id")
	if err := p.Problem(); err != nil {
		return err
	}
	session, err := c.server.services.Sessions.Get(c.principal.OrgID, id)
	if err != nil {
		return err
	}
	c.scratch = sessions.AppendSession(c.scratch[:0], &session)
	c.reply(fasthttp.StatusOK, c.scratch)
	return nil
}

// typeahead answers with suggestions for a text.
func typeahead(c *call) error {
	p := input.Of(c.http)
	text, limit, scope := p.Required("query"), p.Integer("limit", 10, suggestionsRange), orgScope(p)
	if err := p.Problem(); err != nil {
		return err
	}
	suggestions, err := c.server.services.Sessions.Typeahead(c.principal.OrgID, text, scope, limit)
	if err != nil {
		return err
	}
	c.scratch = sessions.AppendSuggestions(c.scratch[:0], &suggestions)
	c.reply(fasthttp.StatusOK, c.scratch)
	return nil
}

// createSession begins a session and answers with its id.
func createSession(c *call) error {
	p := input.Of(c.http)
	device := p.Required("device_id")
	if err := p.Problem(); err != nil {
		return err
	}
	var wanted registry.NewSession
	if err := c.readJSON(&wanted); err != nil {
		return err
	}
	id, ok := schema.ParseID(device)
	if !ok {
		return problem.NotFound
	}
	session, err := c.server.services.Registry.CreateSession(c.context(), c.principal.OrgID, id, wanted)
	if err != nil {
		return err
	}
	return c.json(fasthttp.StatusOK, session.String())
}

// updateSession changes what is said of a session.
func updateSession(c *call) error {
	id, missing := sessionIDOf(c)
	if missing != nil {
		return missing
	}
	var update registry.SessionUpdate
	if err := c.readJSON(&update); err != nil {
		return err
	}
	if err := c.server.services.Registry.UpdateSession(c.context(), c.principal.OrgID, id, update); err != nil {
		return err
	}
	return c.json(fasthttp.StatusOK, true)
}

// terminateSession ends a session.
func terminateSession(c *call) error {
	id, missing := sessionIDOf(c)
	if missing != nil {
		return missing
	}
	if err := c.server.services.Registry.TerminateSession(c.context(), c.principal.OrgID, id); err != nil {
		return err
	}
	return c.json(fasthttp.StatusOK, true)
}

// sessionIDOf reads the parameter session_id. A text that is no id names a session that is not there:
// the zero id, which no session has.
func sessionIDOf(c *call) (schema.ID, error) {
	p := input.Of(c.http)
	text := p.Required("session_id")
	if err := p.Problem(); err != nil {
		return schema.ID{}, err
	}
	id, _ := schema.ParseID(text)
	return id, nil
}

// updateSharedOrgs changes which other organisations may see a session.
func updateSharedOrgs(c *call) error {
	var body struct {
		SessionID    *string  `json:"session_id"`
		AddOrgIDs    []string `json:"add_org_ids"`
		RemoveOrgIDs []string `json:"remove_org_ids"`
	}
	if err := c.readJSON(&body); err != nil {
		return err
	}
	if body.SessionID == nil {
		return input.MissingField("session_id")
	}
	id, _ := schema.ParseID(*body.SessionID)
	err := c.server.services.Registry.UpdateSharedOrgs(c.context(), c.principal.OrgID, id, body.AddOrgIDs, body.RemoveOrgIDs)
	if err != nil {
		return err
	}
	return c.json(fasthttp.StatusOK, true)
}
