package replicated

import (
	"context"
	"errors"
	"slices"
	"time"

	"lastseen/schema"
	"lastseen/server/cluster/replica"
)

// lateness is how long a point may take from its time of receipt until its insert is through: see latest.Table.Load.
const lateness = time.Minute

// ErrMoved says that the register of the nodes was moved elsewhere while this node ran: it is none of the service's any more.
var ErrMoved = errors.New("the register of the nodes was moved while this node ran")

// Recover implements replica.State. Where the register was moved the node leaves: by opening doors it would close those of who leads there.
func (s *State) Recover(ctx context.Context, term uint64, whole bool) (changes []replica.Change, err error) {
	if err := s.parts.Placed(ctx); err != nil {
		if errors.Is(err, ErrMoved) {
			err = errors.Join(err, s.node.Warn(ctx, err.Error()), s.node.Leave(ctx))
		}
		return nil, err
	}
	if err := s.parts.DB.OpenDoors(ctx, term); err != nil {
		return nil, err
	}
	if whole {
		err = s.load(ctx)
	} else {
		changes, err = s.missing(ctx)
	}
	if err != nil {
		return nil, err
	}
	if err := s.parts.LastSeen.Resume(ctx); err != nil {
		return nil, err
	}
	if err := s.parts.DB.RecountKeys(ctx); err != nil {
		return nil, err
	}
	received, err := s.parts.DB.NewestReceipt(ctx, time.Now())
	if err != nil {
		return nil, err
	}
	s.parts.Writer.Begin(received)
	return changes, nil
}

// load reads everything, as the start of a node that is alone does.
func (s *State) load(ctx context.Context) error {
	if err := s.parts.Registry.Refill(ctx); err != nil {
		return err
	}
	if err := s.parts.LastSeen.Load(ctx, nil); err != nil {
		return err
	}
	spent, err := s.parts.DB.SpentTokens(ctx, time.Now())
	if err != nil {
		return err
	}
	s.parts.SignIn.AdoptSpent(spent)
	s.parts.Authenticator.Forget()
	return nil
}

// missing returns what ClickHouse has and not all nodes may have: what the leader before wrote last.
func (s *State) missing(ctx context.Context) ([]replica.Change, error) {
	devices, sessions, err := s.parts.Registry.Missing(ctx)
	if err != nil {
		return nil, err
	}
	var changes []replica.Change
	add := func(kind uint8, value any) {
		c, failed := textChange(kind, value)
		changes = append(changes, c)
		if failed != nil {
			err = failed
		}
	}
	for _, d := range devices {
		add(kindDevice, d)
	}
	for _, session := range sessions {
		add(kindSession, session)
	}
	s.mu.RLock()
	for _, g := range s.pending {
		changes = append(changes, g.raw...)
	}
	s.mu.RUnlock()
	points, failed := s.points(ctx)
	if failed != nil {
		return nil, failed
	}
	if len(points) > 0 {
		changes = append(changes, pointsChange(points, 0))
	}
	marked, failed := s.unfinishedMarks(ctx)
	if failed != nil {
		return nil, failed
	}
	if len(marked) > 0 {
		changes = append(changes, checkpointsChange(marked))
	}
	spent, failed := s.parts.DB.SpentTokens(ctx, time.Now())
	if failed != nil {
		return nil, failed
	}
	s.parts.SignIn.AdoptSpent(spent)
	for some := range slices.Chunk(spent, spentAtOnce) {
		add(kindSpent, some)
	}
	return changes, err
}

// points reads those that were received lately and are newer than what is shown.
func (s *State) points(ctx context.Context) (points []schema.OwnedPoint, err error) {
	since := s.lastSeen.Load() - lateness.Milliseconds()
	reader, err := s.parts.DB.ReadReceivedSince(ctx, max(since, 0))
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	var shown schema.DataPoint
	for reader.Next() {
		p := reader.Point()
		newest, known := s.parts.LastSeen.LastKnown(p.SessionID, &shown)
		if !known || p.Timestamp > newest || p.Timestamp == shown.Timestamp && p.Supersedes(&shown) {
			points = append(points, schema.OwnedPoint{DataPoint: *p})
		}
	}
	return points, reader.Err()
}

// unfinishedMarks returns what the history says of sessions of which a mark was begun and not finished.
func (s *State) unfinishedMarks(ctx context.Context) ([]schema.Checkpoint, error) {
	stale, err := s.parts.DB.StaleCheckpoints(ctx)
	if err != nil || len(stale) == 0 {
		return nil, err
	}
	return s.parts.DB.NewestPoints(ctx, stale)
}
