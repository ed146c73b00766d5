package apikey

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"lastseen/keys"
	"lastseen/schema"
)

// usageLog holds what was counted of the use of keys until it is written, in batches that have names: one that may or may
// not have arrived is written again under its name, and counts once.
type usageLog struct {
	names string // how the names of this process begin

	mu      sync.Mutex // held by a flush
	number  int
	batches []usageBatch
}

type usageBatch struct {
	name    string
	counted []schema.KeyRequests
}

// requestsPerWrite bounds the lines of one insert.
const requestsPerWrite = 10_000

// gather makes batches of what some keys have counted since the last time. It counts as of the day of now.
func (l *usageLog) gather(used []*cachedKey, routes []string, now time.Time) {
	date := now.UTC().Truncate(24 * time.Hour)
	var counted []schema.KeyRequests
	for _, key := range used {
		counts := key.use.counts.Load()
		if counts == nil {
			continue
		}
		for route := range counts {
			for outcome := range counts[route] {
				if n := counts[route][outcome].Swap(0); n > 0 {
					counted = append(counted, schema.KeyRequests{
						OrgID: key.principal.OrgID, KeyID: key.principal.KeyID, Date: date, Route: routeName(routes, route),
						Outcome: keys.Outcome(outcome).String(), Requests: uint64(n),
					})
				}
			}
		}
	}
	for lines := range slices.Chunk(counted, requestsPerWrite) {
		l.number++
		l.batches = append(l.batches, usageBatch{l.names + "-" + strconv.Itoa(l.number), lines})
	}
}

// routeName is the name of a route's number.
func routeName(routes []string, number int) string {
	if number < len(routes) {
		return routes[number]
	}
	return "other"
}

// flush writes the batches, and stops at the first that cannot be written.
func (l *usageLog) flush(ctx context.Context, store Store) error {
	for len(l.batches) > 0 {
		if err := store.AddKeyRequests(ctx, l.batches[0].name, l.batches[0].counted); err != nil {
			return fmt.Errorf("record what keys were used for: %w", err)
		}
		l.batches = l.batches[1:]
	}
	return nil
}
