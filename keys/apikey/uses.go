package apikey

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"lastseen/keys"
	"lastseen/schema"
)

// keyUse is what a cached key notes of its use.
type keyUse struct {
	last   atomic.Int64 // Unix milliseconds, a second coarse
	listed atomic.Bool  // in the list of keys used since the last write
	next   *cachedKey   // in that list; belongs to whoever set listed

	log    *useLog                   // nil where requests are not counted
	counts atomic.Pointer[useCounts] // nil until the first
}

// MaxRoutes is the most routes by which requests are counted.
const MaxRoutes = 16

// useCounts are a key's requests since the last write.
type useCounts [MaxRoutes][keys.OutcomeCount]atomic.Uint32

// Count implements keys.Uses.
func (k *cachedKey) Count(route uint8, outcome keys.Outcome) {
	counts := k.use.counts.Load()
	if counts == nil {
		k.use.counts.CompareAndSwap(nil, new(useCounts))
		counts = k.use.counts.Load()
	}
	counts[route][outcome].Add(1)
	// The list is looked at after the count: who takes the key off it reads the counts after that.
	if !k.use.listed.Load() && k.use.listed.CompareAndSwap(false, true) {
		k.use.log.push(k)
	}
}

// useLog collects the keys used since the last write, as a linked list through the keys themselves:
// noting a use does not allocate or lock, and a key that the cache drops meanwhile is not lost. The
// zero value is empty. It is safe for concurrent use.
type useLog struct {
	head atomic.Pointer[cachedKey]
}

// note remembers that a key was used at a time (Unix milliseconds).
func (l *useLog) note(key *cachedKey, now int64) {
	// A busy key's time is stored once a second, so that the cores do not fight for its cache line.
	if now-key.use.last.Load() < 1000 {
		return
	}
	key.use.last.Store(now)
	if key.use.listed.CompareAndSwap(false, true) {
		l.push(key)
	}
}

// push adds a key whose listed mark the caller has set.
func (l *useLog) push(key *cachedKey) {
	for {
		head := l.head.Load()
		key.use.next = head
		if l.head.CompareAndSwap(head, key) {
			return
		}
	}
}

// take empties the list and returns the keys that were in it. A key that is used after this is listed
// again, so whoever takes must read its time afterwards.
func (l *useLog) take() []*cachedKey {
	var used []*cachedKey
	for key := l.head.Swap(nil); key != nil; {
		next := key.use.next
		key.use.next = nil
		key.use.listed.Store(false)
		used = append(used, key)
		key = next
	}
	return used
}

// usesPerWrite bounds the keys in one insert.
const usesPerWrite = 1000

// FlushUses writes when keys were last used and for what, for those used since the last time. What cannot be written is
// tried again the next time. The background does this by itself; Close does it once more.
func (a *Authenticator) FlushUses(ctx context.Context) error {
	a.usage.mu.Lock()
	defer a.usage.mu.Unlock()
	if err := a.usage.flush(ctx, a.config.Store); err != nil {
		return err // what was counted since waits in the keys
	}
	used := a.uses.take()
	for rest := used; len(rest) > 0; {
		some := rest[:min(len(rest), usesPerWrite)]
		uses := make([]schema.KeyUse, len(some))
		for i, key := range some {
			uses[i] = schema.KeyUse{Hash: key.hash, At: time.UnixMilli(key.use.last.Load())}
		}
		if err := a.config.Store.RecordKeyUses(ctx, uses); err != nil {
			a.relist(used)
			return fmt.Errorf("record when keys were last used: %w", err)
		}
		rest = rest[len(some):]
	}
	a.usage.gather(used, a.config.Routes, a.config.Now())
	return a.usage.flush(ctx, a.config.Store)
}

// relist puts keys back into the list, those that are not in it again already.
func (a *Authenticator) relist(used []*cachedKey) {
	for _, key := range used {
		if key.use.listed.CompareAndSwap(false, true) {
			a.uses.push(key)
		}
	}
}

// recordUses runs until Close: it writes the uses of keys and prunes the revoked set.
func (a *Authenticator) recordUses() {
	defer close(a.recorder)
	ticker := time.NewTicker(a.config.UsesEvery)
	defer ticker.Stop()
	for {
		select {
		case <-a.closing.Done():
			return
		case <-ticker.C:
			a.revoked.prune(a.config.Now().UnixMilli())
			ctx, cancel := context.WithTimeout(a.closing, a.config.LoadTimeout)
			if err := a.FlushUses(ctx); err != nil && a.closing.Err() == nil {
				a.config.Logger.Warn("could not record when keys were last used; it will be tried again", "error", err)
			}
			cancel()
		}
	}
}
