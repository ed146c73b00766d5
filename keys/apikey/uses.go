package apikey

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"lastseen/schema"
)

// keyUse is what a cached key notes of its use.
type keyUse struct {
	last   atomic.Int64 // Unix milliseconds, a second coarse
	listed atomic.Bool  // in the list of keys used since the last write
	next   *cachedKey   // in that list; belongs to whoever set listed
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
	var keys []*cachedKey
	for key := l.head.Swap(nil); key != nil; {
		next := key.use.next
		key.use.next = nil
		key.use.listed.Store(false)
		keys = append(keys, key)
		key = next
	}
	return keys
}

// usesPerWrite bounds the keys in one insert.
const usesPerWrite = 1000

// FlushUses writes when keys were last used, for those used since the last time. Keys whose write
// fails are tried again the next time. The background does this by itself; Close does it once more.
func (a *Authenticator) FlushUses(ctx context.Context) error {
	keys := a.uses.take()
	for len(keys) > 0 {
		some := keys[:min(len(keys), usesPerWrite)]
		uses := make([]schema.KeyUse, len(some))
		for i, key := range some {
			uses[i] = schema.KeyUse{Hash: key.hash, At: time.UnixMilli(key.use.last.Load())}
		}
		if err := a.config.Store.RecordKeyUses(ctx, uses); err != nil {
			a.relist(keys)
			return fmt.Errorf("record when keys were last used: %w", err)
		}
		keys = keys[len(some):]
	}
	return nil
}

// relist puts keys back into the list, those that are not in it again already.
func (a *Authenticator) relist(keys []*cachedKey) {
	for _, key := range keys {
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
