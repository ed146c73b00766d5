package server

import (
	"time"

	"lastseen/keys/apikey"
	"lastseen/query/history"
	"lastseen/query/history/stays"
	"lastseen/query/sessions"
	"lastseen/schema"
	"lastseen/server/input"
)

// What whole numbers in requests may be: the readers of requests and the description of the API share them.
var (
	pageRange        = input.Range{Least: 1, Most: schema.MaxPage}
	pageSizeRange    = input.Range{Least: 1, Most: schema.MaxPageSize}
	suggestionsRange = input.Range{Least: 1, Most: sessions.MaxSuggestions}
	graceRange       = input.Range{Least: 0, Most: int(apikey.MaxGrace / time.Second)} // seconds
	keyListRange     = input.Range{Least: 1, Most: apikey.MaxList}
	rateRange        = input.Range{Least: 1, Most: apikey.MaxRequestsPerSecond}
	bucketRange      = input.Range{Least: 1, Most: history.MaxBucketSeconds}
	pageLimitRange   = input.Range{Least: 1, Most: history.MaxPageLimit}
	staySecondsRange = input.Range{Least: 1, Most: stays.MaxSeconds}
)
