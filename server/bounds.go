package server

import (
	"lastseen/query/history"
	"lastseen/server/input"
)

// What whole numbers in requests may be: the readers of requests and the description of the API share them.
var (
	pageRange        = input.Range{Least: 1, Most: 1_000_000}
	pageSizeRange    = input.Range{Least: 1, Most: 1000}
	suggestionsRange = input.Range{Least: 1, Most: 100}
	graceRange       = input.Range{Least: 0, Most: 604_800} // seconds
	bucketRange      = input.Range{Least: 1, Most: history.MaxBucketSeconds}
	pageLimitRange   = input.Range{Least: 1, Most: history.MaxPageLimit}
	staySecondsRange = input.Range{Least: 1, Most: history.MaxSeconds}
)
