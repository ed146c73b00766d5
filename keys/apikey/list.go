package apikey

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"lastseen/schema"
)

// MaxList is the most keys that one page of a list has, and what it has when nothing is said.
const MaxList = 1000

// longestSearch bounds the text that a list is searched for, in characters.
const longestSearch = 200

// ListQuery says which keys a list holds. The zero value, with a Limit, is all of them, newest first.
type ListQuery struct {
	Search string // text in the name, prefix, maker, device or id, whatever its case; empty for all
	Filter schema.KeyFilter
	Sort   schema.KeySort
	Limit  int    // 1 to MaxList
	Cursor string // NextCursor of the page before; empty for the first page
}

// KeyPage is a page of a list of keys.
type KeyPage struct {
	Records    []Record
	NextCursor string // empty on the last page
	TotalCount int    // on all pages; of the first page only, otherwise 0
}

// List returns a page of an organisation's keys of a kind. Who follows the cursor sees every key once that was there
// all the time and did not change its place in the order meanwhile. It fails with schema.Invalid, also for a cursor
// that is not of the same query of the same organisation, and with schema.Unavailable.
func (s *Service) List(ctx context.Context, orgID string, kind schema.KeyKind, q ListQuery) (KeyPage, error) {
	switch {
	case q.Limit < 1 || q.Limit > MaxList:
		return KeyPage{}, schema.Invalid.About("limit", "This must be a whole number from 1 to %d.", MaxList)
	case utf8.RuneCountInString(q.Search) > longestSearch:
		return KeyPage{}, schema.Invalid.About("search", "Search for at most %d characters.", longestSearch)
	}
	list := schema.KeyList{OrgID: orgID, Kind: kind, Search: q.Search, Filter: q.Filter, Sort: q.Sort, Now: s.config.Now(), Limit: q.Limit + 1}
	var page KeyPage
	var err error
	if q.Cursor == "" {
		page.TotalCount, err = s.config.DB.CountAPIKeys(ctx, list)
	} else if list.After, err = s.cursors.parse(q.Cursor, &list); err != nil {
		return KeyPage{}, err
	}
	var found []schema.PlacedKey
	if err == nil {
		found, err = s.config.DB.ListAPIKeys(ctx, list)
	}
	if err != nil {
		return KeyPage{}, schema.Unavailable.Because(fmt.Errorf("list keys: %w", err))
	}
	if len(found) > q.Limit {
		found = found[:q.Limit]
		last := &found[q.Limit-1]
		page.NextCursor = s.cursors.sign(&list, schema.KeyPlace{Value: last.Place, ID: last.ID})
	}
	page.Records = make([]Record, len(found))
	for i := range found {
		page.Records[i] = recordOf(found[i].APIKey, list.Now)
	}
	return page, nil
}

// EventPage is one page of the record of who did what to an organisation's keys.
type EventPage struct {
	Events     []schema.KeyEvent // newest first
	TotalCount int               // on all pages
}

// Events returns a page of what was done to an organisation's keys of a kind. schema.CheckPage says
// which pages there are. It fails with schema.Unavailable.
func (s *Service) Events(ctx context.Context, orgID string, kind schema.KeyKind, page, size int) (EventPage, error) {
	if err := schema.CheckPage(page, size); err != nil {
		return EventPage{}, err
	}
	events, total, err := s.config.DB.ListKeyEvents(ctx, orgID, kind, size, (page-1)*size)
	if err != nil {
		return EventPage{}, schema.Unavailable.Because(fmt.Errorf("list what was done to keys: %w", err))
	}
	return EventPage{Events: events, TotalCount: total}, nil
}

const (
	// MaxUsageKeys is the most keys whose use is asked for by their ids, and MaxUsageDays the most days.
	MaxUsageKeys, MaxUsageDays = 100, int(schema.KeyUsageKept / (24 * time.Hour))
	// MaxUsage is the most lines of an answer about the use of keys.
	MaxUsage = 50_000
)

// Usage returns what an organisation's API keys, or some of them, were used for from one day to another, both included, up
// to a minute ago: by day, key, route and outcome. It fails with schema.Invalid, also when there would be more than
// MaxUsage lines, with schema.NotFound when one of the keys is not the organisation's, and with schema.Unavailable.
func (s *Service) Usage(ctx context.Context, orgID string, ids []schema.ID, first, last time.Time) ([]schema.KeyRequests, error) {
	switch {
	case last.Before(first):
		return nil, schema.Invalid.About("end_date", "Give an end_date that is not before start_date.")
	case last.Sub(first) >= schema.KeyUsageKept:
		return nil, schema.Invalid.About("start_date", "Ask for at most %d days at a time.", MaxUsageDays)
	case len(ids) > MaxUsageKeys:
		return nil, schema.Invalid.About("api_key_id", "Name at most %d keys, separated by commas.", MaxUsageKeys)
	}
	all, err := s.config.DB.HasAPIKeys(ctx, orgID, schema.KindAPIKey, ids)
	if err == nil && !all {
		return nil, schema.NotFound
	}
	var counted []schema.KeyRequests
	if err == nil {
		counted, err = s.config.DB.KeyRequests(ctx, schema.UsageOf{OrgID: orgID, Keys: ids, First: first, Last: last, Limit: MaxUsage + 1})
	}
	switch {
	case err != nil:
		return nil, schema.Unavailable.Because(fmt.Errorf("read what keys were used for: %w", err))
	case len(counted) > MaxUsage:
		return nil, schema.Invalid.About("start_date", "This would be more than %d lines: ask for fewer days, or for some keys by api_key_id.", MaxUsage)
	}
	return counted, nil
}

// CountExpiring brings up to date what Stats says of the keys of all organisations that expire soon. It fails with
// schema.Unavailable.
func (s *Service) CountExpiring(ctx context.Context) error {
	expiring, err := s.config.DB.CountExpiringKeys(ctx, s.config.Now())
	if err != nil {
		return schema.Unavailable.Because(err)
	}
	s.expiring.Store(&expiring)
	return nil
}
