package apikey

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"lastseen/schema"
)

// EventPage is one page of the record of who did what to an organisation's keys.
type EventPage struct {
	Events     []schema.KeyEvent // newest first
	TotalCount int               // on all pages
}

// Events returns a page of what was done to an organisation's keys of a kind. schema.CheckPage says
// which pages there are. It fails with schema.Unavailable.
func (s *Service) Events(ctx context.Context, orgID string, kind schema.KeyKind, page, size int) (EventPage, error) {
	if err := schema.CheckPage(page, size); err != nil {
		return EventPage{}, err
	}
	events, total, err := s.config.DB.ListKeyEvents(ctx, orgID, kind, size, (page-1)*size)
	if err != nil {
		return EventPage{}, schema.Unavailable.Because(fmt.Errorf("list what was done to keys: %w", err))
	}
	return EventPage{Events: events, TotalCount: total}, nil
}

// recordEvent writes an event. Writing it again changes nothing.
func (s *Service) recordEvent(ctx context.Context, key schema.APIKey, action schema.KeyAction, userID string, at time.Time) error {
	event := schema.KeyEvent{
		ID: eventID(key.ID, action, at), OrgID: key.OrgID, Kind: key.Kind, KeyID: key.ID,
		Name: key.Name, Prefix: key.Prefix, Action: action, UserID: userID, At: at,
	}
	if err := s.config.DB.InsertKeyEvent(ctx, event); err != nil {
		return schema.Unavailable.Because(fmt.Errorf("record what was done to a key: %w", err))
	}
	return nil
}

// eventID derives an event's id from what happened, so that the same event has the same id however
// often it is written. Its layout is that of other ids.
func eventID(key schema.ID, action schema.KeyAction, at time.Time) (id schema.ID) {
	text := binary.BigEndian.AppendUint64(key[:], uint64(at.UnixMilli()))
	sum := sha256.Sum256(append(text, action...))
	binary.BigEndian.PutUint32(id[:4], uint32(at.Unix()))
	copy(id[4:], sum[:])
	return id
}
