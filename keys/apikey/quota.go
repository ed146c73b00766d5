package apikey

import (
	"sync"
	"time"

	"lastseen/schema"
)

// quotas remember how many good keys organisations have at most. To count them reads every key that an organisation has ever
// made, so who makes keys and revokes them, on and on, would make each creation dearer than the one before. Keys that expire
// or are revoked meanwhile are not taken off: before anybody is refused they are counted again. So they are now and then,
// since another node may have made keys while it led. quotas are safe for concurrent use.
type quotas struct {
	mu      sync.Mutex
	counted map[quotaOf]quotaCount
}

// quotaOf is whose keys of which kind are counted.
type quotaOf struct {
	orgID string
	kind  schema.KeyKind
}

// quotaCount is how many there are at most, and when that was counted.
type quotaCount struct {
	most int
	at   time.Time
}

// countAgain is how long a count holds.
const countAgain = 10 * time.Second

// take adds one to what is known to be fewer than so many, and reports whether it is.
func (q *quotas) take(of quotaOf, most int, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	c, known := q.counted[of]
	if !known || now.Sub(c.at) >= countAgain || c.most >= most {
		return false
	}
	c.most++
	q.counted[of] = c
	return true
}

// count takes note of how many there are, and forgets counts that hold no more.
func (q *quotas) count(of quotaOf, live int, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for other, c := range q.counted {
		if now.Sub(c.at) >= countAgain {
			delete(q.counted, other)
		}
	}
	if q.counted == nil {
		q.counted = make(map[quotaOf]quotaCount)
	}
	q.counted[of] = quotaCount{live, now}
}
