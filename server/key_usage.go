package server

import (
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/schema"
	"lastseen/server/input"
	"lastseen/server/problem"
)

// usageDays is for how many days the use of keys is told when nothing is said.
const usageDays = 30

// keyRequests is a line of what keys were used for.
type keyRequests struct {
	Date     string `json:"date"`
	KeyID    string `json:"api_key_id"`
	Route    string `json:"route"`
	Outcome  string `json:"outcome"`
	Requests uint64 `json:"requests"`
}

// keyUsage answers with what the organisation's API keys, or some of them, were used for.
func keyUsage(c *call) error {
	p := input.Of(c.http)
	today := time.Now().UTC().Truncate(24 * time.Hour)
	last := dayOf(p, "end_date", today)
	first := dayOf(p, "start_date", last.AddDate(0, 0, 1-usageDays))
	named, given := p.Optional(apiKeys.idParameter)
	if err := p.Problem(); err != nil {
		return err
	}
	var ids []schema.ID
	for text := range strings.SplitSeq(named, ",") {
		id, ok := schema.ParseID(text)
		if !ok && given {
			return problem.NotFound // a text that is no id names no key
		}
		if given {
			ids = append(ids, id)
		}
	}
	counted, err := c.server.services.Keys.Usage(c.context(), c.principal.OrgID, ids, first, last)
	if err != nil {
		return err
	}
	items := make([]keyRequests, len(counted))
	for i, n := range counted {
		items[i] = keyRequests{n.Date.Format(time.DateOnly), n.KeyID.String(), n.Route, n.Outcome, n.Requests}
	}
	return c.json(fasthttp.StatusOK, struct {
		Items []keyRequests `json:"items"`
	}{items})
}

// dayOf reads a day, and returns fallback when there is none.
func dayOf(p *input.Parameters, name string, fallback time.Time) time.Time {
	text, given := p.Optional(name)
	if !given {
		return fallback
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil || day.Year() < 1971 || day.Year() > 2140 { // what ClickHouse's Date holds
		p.Reject(name, "Use a day such as 2026-01-15.")
		return fallback
	}
	return day
}
