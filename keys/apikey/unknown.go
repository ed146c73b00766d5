package apikey

import (
	"sync"

	"lastseen/schema"
)

// unknownKeys is the negative cache: keys that ClickHouse was asked for and does not have. It is safe
// for concurrent use.
type unknownKeys struct {
	recent recent[struct{}]

	mu        sync.Mutex // orders add and forget
	creations uint64
}

// generation is what a look-up takes before it begins, for add.
func (u *unknownKeys) generation() uint64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.creations
}

// has reports whether a key is known not to exist.
func (u *unknownKeys) has(hash *schema.KeyHash, now int64) bool {
	_, found := u.recent.get(hash, now)
	return found
}

// add remembers that a look-up did not find a key, unless some key was created since that look-up
// took its generation: it may then have missed a key that exists by now.
func (u *unknownKeys) add(hash schema.KeyHash, generation uint64, until int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if generation == u.creations {
		u.recent.put(hash, struct{}{}, until)
	}
}

// forgetAll drops all keys, also those that look-ups find missing which have begun.
func (u *unknownKeys) forgetAll() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.creations++
	for i := range u.recent.slots {
		u.recent.slots[i].Store(nil)
	}
}

// forget is told of a key that exists now.
func (u *unknownKeys) forget(hash schema.KeyHash) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.creations++
	u.recent.forget(&hash)
}
