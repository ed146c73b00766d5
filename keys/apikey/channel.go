package apikey

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"lastseen/schema"
)

// NoticeKind says what happened to a key.
type NoticeKind uint8

// The kinds of notices. The zero value is none of them.
const (
	// NoticeCreated: the key exists from now on, so nobody may still believe that it does not.
	NoticeCreated NoticeKind = iota + 1
	// NoticeRevoked: the key is refused from now on.
	NoticeRevoked
	// NoticeEnds: the key expires earlier than its record said, since it was rotated.
	NoticeEnds
	// NoticeChanged: what the key may do is less from now on, or it is called otherwise.
	NoticeChanged
)

// Notice is what the revocation channel carries. It holds nothing secret.
type Notice struct {
	Kind NoticeKind
	Hash schema.KeyHash
	// EndsAt is when a NoticeEnds takes effect; the zero time means at once and for good.
	EndsAt time.Time
	// Changes is how many changes the record has, of a NoticeChanged: one with fewer counts no more.
	Changes uint32
	// ExpiresAt is when the key would have expired without the notice. Whoever keeps the notice may
	// forget it after that, for the key's own expiry then refuses it.
	ExpiresAt time.Time
}

// RevocationChannel carries changes to keys to every cache that may hold one. Implementations are
// safe for concurrent use.
type RevocationChannel interface {
	// Publish returns nil only when every subscriber, on every node, has applied the notice. An
	// error means that some may not have; publishing the same notice again is harmless.
	Publish(ctx context.Context, notice Notice) error
	// Subscribe makes apply be called for every notice published from now on, from any goroutine
	// and perhaps several at once. apply returns nil when the notice has taken effect. The returned
	// function ends the subscription and waits for calls of apply that still run; it may be called
	// more than once.
	Subscribe(apply func(ctx context.Context, notice Notice) error) (unsubscribe func())
}

// LocalChannel is the RevocationChannel of a single process: Publish calls the subscribers itself.
// The zero value is ready to use.
type LocalChannel struct {
	mu          sync.RWMutex // held for reading while notices are applied
	subscribers map[*subscriber]struct{}
}

type subscriber struct {
	apply func(context.Context, Notice) error
}

// Publish applies the notice to one subscriber after the other. It goes on after one that fails, so
// that the notice reaches as many as it can.
func (c *LocalChannel) Publish(ctx context.Context, notice Notice) error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var errs error
	for s := range c.subscribers {
		if err := s.apply(ctx, notice); err != nil {
			errs = errors.Join(errs, fmt.Errorf("apply a notice about a key: %w", err))
		}
	}
	return errs
}

// Subscribe adds a subscriber. apply must not call the channel.
func (c *LocalChannel) Subscribe(apply func(context.Context, Notice) error) (unsubscribe func()) {
	s := &subscriber{apply: apply}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.subscribers == nil {
		c.subscribers = make(map[*subscriber]struct{})
	}
	c.subscribers[s] = struct{}{}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.subscribers, s)
	}
}
