package replicated

import (
	"context"
	"fmt"
	"time"

	"lastseen/keys/apikey"
	"lastseen/schema"
	"lastseen/server/cluster/replica"
)

// shareTimeout bounds how long a change waits until all nodes have it: longer than it takes to go on without one that is silent.
const shareTimeout = 15 * time.Second

// share brings changes to all nodes, this one too. ClickHouse has them.
func (s *State) share(ctx context.Context, changes ...replica.Change) error {
	term, err := s.node.Lead()
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, shareTimeout)
		defer cancel()
		err = s.node.Propose(ctx, term, changes...)
	}
	if err != nil {
		return schema.Unavailable.Because(fmt.Errorf("share a change with the other nodes: %w", err))
	}
	return nil
}

// shareText is share of one change that is said as JSON.
func (s *State) shareText(ctx context.Context, kind uint8, value any) error {
	c, err := textChange(kind, value)
	if err != nil {
		return err
	}
	return s.share(ctx, c)
}

// ShareSession implements registry.Sharer.
func (s *State) ShareSession(ctx context.Context, session schema.Session) error {
	return s.shareText(ctx, kindSession, session)
}

// ShareDevice implements registry.Sharer.
func (s *State) ShareDevice(ctx context.Context, device schema.DeviceOwner) error {
	return s.shareText(ctx, kindDevice, device)
}

// Publish implements ingest.Notices.
func (s *State) Publish(points []schema.OwnedPoint) error {
	return s.share(context.Background(), pointsChange(points, s.parts.Writer.ReceivedThrough()))
}

// BeginMark implements ingest.Notices.
func (s *State) BeginMark(ctx context.Context, sessions []schema.ID) error {
	return s.parts.LastSeen.BeginMark(ctx, sessions)
}

// EndMark implements ingest.Notices.
func (s *State) EndMark(ctx context.Context, newest []schema.Checkpoint) error {
	return s.share(ctx, checkpointsChange(newest))
}

// Keys is the channel of changes to keys for all nodes.
func (s *State) Keys() apikey.RevocationChannel { return keyChannel{s} }

// keyChannel is an apikey.RevocationChannel.
type keyChannel struct{ state *State }

// Publish implements apikey.RevocationChannel.
func (c keyChannel) Publish(ctx context.Context, notice apikey.Notice) error {
	if c.state.node == nil {
		return c.state.keys.Publish(ctx, notice) // at a start, of what every node finds by itself
	}
	return c.state.shareText(ctx, kindKey, notice)
}

// Subscribe implements apikey.RevocationChannel.
func (c keyChannel) Subscribe(apply func(context.Context, apikey.Notice) error) (unsubscribe func()) {
	return c.state.keys.Subscribe(apply)
}

// SpentIn is a people.SpentStore whose tokens are spent on all nodes.
func (s *State) SpentIn(db *schema.DB) SpentStore { return SpentStore{db, s} }

// SpentStore keeps which tokens are spent.
type SpentStore struct {
	db    *schema.DB
	state *State
}

// InsertSpentTokens implements people.SpentStore.
func (t SpentStore) InsertSpentTokens(ctx context.Context, tokens []schema.SpentToken) error {
	if err := t.db.InsertSpentTokens(ctx, tokens); err != nil {
		return err
	}
	if t.state.node == nil {
		return nil // at a start, of a file of an earlier version
	}
	return t.state.shareText(ctx, kindSpent, tokens)
}

// SpentTokens implements people.SpentStore.
func (t SpentStore) SpentTokens(ctx context.Context, now time.Time) ([]schema.SpentToken, error) {
	return t.db.SpentTokens(ctx, now)
}
