package apikey

import (
	"errors"
	"maps"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"lastseen/schema"
)

// revokedSet holds the keys that were revoked, whose life was cut short, or that were narrowed since this process
// started. Cached and freshly loaded records are older than what it says, so it has the last word on
// every check. Look-ups take no lock and do not allocate; a change copies one of its parts. It grows
// by one entry per key revoked or changed and forgets an entry once the key's own expiry has passed. The zero
// value is an empty set. It is safe for concurrent use.
type revokedSet struct {
	mu    sync.Mutex // held by changes
	parts [256]atomic.Pointer[map[schema.KeyHash]ending]
}

// ending says when a key stops, ahead of what its record may say. Times are Unix milliseconds.
type ending struct {
	revoked bool   // whatever the time
	endsAt  int64  // the key is expired from then on
	changes uint32 // a record with fewer changes is out of date
	forget  int64  // from then on the entry is needed no more
}

// errOutdated says that what is known of a key is from before a change.
var errOutdated = errors.New("the record of the key is out of date")

// anyChange is the number of changes of a record that no change can make out of date.
const anyChange = math.MaxUint32

// check returns schema.RevokedCredential or schema.ExpiredCredential for a key that has ended at a time (Unix
// milliseconds), and errOutdated for a record with so many changes when there have been more since.
func (s *revokedSet) check(hash *schema.KeyHash, now int64, changes uint32) error {
	part := s.parts[hash[0]].Load()
	if part == nil {
		return nil
	}
	end, found := (*part)[*hash]
	switch {
	case !found:
		return nil
	case end.revoked:
		return schema.RevokedCredential
	case now >= end.endsAt:
		return schema.ExpiredCredential
	case changes < end.changes:
		return errOutdated
	}
	return nil
}

// add makes check refuse a key. Of several endings of one key the strictest counts.
func (s *revokedSet) add(hash schema.KeyHash, end ending, now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	part := s.copyLive(int(hash[0]), now)
	if earlier, found := part[hash]; found {
		end.revoked = end.revoked || earlier.revoked
		end.endsAt = min(end.endsAt, earlier.endsAt)
		end.forget = max(end.forget, earlier.forget)
		end.changes = max(end.changes, earlier.changes)
	}
	part[hash] = end
	s.parts[hash[0]].Store(&part)
}

// prune drops the entries that are no longer needed.
func (s *revokedSet) prune(now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.parts {
		part := s.parts[i].Load()
		if part == nil {
			continue
		}
		switch live := s.copyLive(i, now); {
		case len(live) == 0:
			s.parts[i].Store(nil)
		case len(live) < len(*part):
			s.parts[i].Store(&live)
		}
	}
}

// size returns the number of entries.
func (s *revokedSet) size() int {
	n := 0
	for i := range s.parts {
		if part := s.parts[i].Load(); part != nil {
			n += len(*part)
		}
	}
	return n
}

// copyLive copies the entries of a part that are still needed.
func (s *revokedSet) copyLive(i int, now int64) map[schema.KeyHash]ending {
	part := s.parts[i].Load()
	if part == nil {
		return make(map[schema.KeyHash]ending, 1)
	}
	live := maps.Clone(*part)
	maps.DeleteFunc(live, func(_ schema.KeyHash, end ending) bool { return now >= end.forget })
	return live
}

// endingOf returns what a notice says. The entry outlives the key's own expiry by a day, in case the
// clock is set back.
func endingOf(notice Notice) ending {
	end := ending{
		revoked: notice.Kind == NoticeRevoked,
		endsAt:  math.MaxInt64,
		changes: notice.Changes,
		forget:  notice.ExpiresAt.Add(24 * time.Hour).UnixMilli(),
	}
	if notice.Kind == NoticeEnds {
		end.endsAt = notice.EndsAt.UnixMilli()
	}
	return end
}
