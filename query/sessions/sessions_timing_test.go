package sessions_test

import (
	"testing"
	"time"

	"lastseen/query/querytest"
	"lastseen/query/sessions"
	"lastseen/schema/schematest"
)

// BenchmarkListSessions is a page of 50 of 1,000 among 100,000 sessions.
func BenchmarkListSessions(b *testing.B) {
	db := schematest.Open(b)
	querytest.FillSessions(b, db, 100_000)
	_, reader := load(b, db, time.Now)
	for name, sortBy := range map[string]sessions.Sort{"created": sessions.ByCreatedAt, "last-seen": sessions.ByLastSeenAt} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				page, err := reader.List("org_7", sessions.ListRequest{SortBy: sortBy, Page: 1, PageSize: 50})
				if err != nil || page.TotalCount != 100 {
					b.Fatal(page.TotalCount, err)
				}
			}
		})
	}
}
