package replicated

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"lastseen/ingest/registry"
	"lastseen/keys/apikey"
	"lastseen/schema"
	"lastseen/server/cluster/replica"
)

// pieceBytes is how long a piece is about.
const pieceBytes = replica.MaxPiece * 3 / 4

// snapshot reads the state: of each session what is known when its turn comes.
type snapshot struct {
	state    *State
	begun    bool               // what was stored last was said
	cancel   context.CancelFunc // of the listing
	listed   chan struct{}      // closed when there are the next three
	spent    []schema.SpentToken
	devices  []schema.DeviceOwner
	sessions []registry.SessionVersion
}

// listPatience is how long a piece waits for the list of what there is. Whoever asks for it must not be silent meanwhile.
const listPatience = 2 * time.Millisecond

// Snapshot implements replica.State. To list a million sessions takes some tenths of a second, on a busy machine more, in which a leader
// would be silent, so that it is done beside: until then pieces are empty.
func (s *State) Snapshot() replica.Snapshot {
	ctx, cancel := context.WithCancel(context.Background())
	n := &snapshot{state: s, cancel: cancel, listed: make(chan struct{})}
	s.listing.Go(func() {
		var err error
		n.spent = s.parts.SignIn.Spent()
		if n.devices, n.sessions, err = s.parts.Registry.Everything(ctx); err == nil { // or nobody wants it any more
			close(n.listed)
		}
	})
	return n
}

// Close waits until nothing reads the state any more.
func (s *State) Close() { s.listing.Wait() }

// Next implements replica.Snapshot.
func (n *snapshot) Next() (piece []byte, more bool, err error) {
	piece = appendChange(piece, pointsChange(nil, n.state.received.Load()))
	last, err := n.storedLast()
	if err != nil {
		return nil, false, err
	}
	for _, c := range last {
		piece = appendChange(piece, c)
	}
	select {
	case <-n.listed:
	case <-time.After(listPatience):
		return piece, true, nil
	}
	for len(piece) < pieceBytes && n.more() {
		var changes []replica.Change
		if changes, err = n.next(); err != nil {
			return nil, false, err
		}
		for _, c := range changes {
			piece = appendChange(piece, c)
		}
	}
	return piece, n.more(), nil
}

// rememberedFor is for how long who joins remembers a revocation at least; what ClickHouse says of the key counts besides.
const rememberedFor = 24 * time.Hour

// storedLast returns, once, what was stored last: points, of those that are the newest of their sessions, and revocations.
func (n *snapshot) storedLast() (changes []replica.Change, err error) {
	if n.begun || n.state.parts.Told == nil {
		return nil, nil
	}
	n.begun = true
	var points []schema.OwnedPoint
	for _, told := range n.state.parts.Told.Told() {
		if hash, is := told.Revoked(); is {
			c, failed := textChange(kindKey, apikey.Notice{Kind: apikey.NoticeRevoked, Hash: hash, ExpiresAt: time.Now().Add(rememberedFor)})
			changes, err = append(changes, c), errors.Join(err, failed)
		}
		session, timestamp, is := told.Point()
		if newest := n.state.parts.LastSeen.Newest(session); is && newest != nil && newest.Timestamp == timestamp {
			points = append(points, schema.OwnedPoint{DataPoint: *newest})
		}
	}
	return append(changes, pointsChange(points, n.state.received.Load())), err
}

func (n *snapshot) more() bool { return len(n.spent)+len(n.devices)+len(n.sessions) > 0 }

// spentAtOnce is how many spent tokens go in one change.
const spentAtOnce = 100

// next returns what comes next: something small.
func (n *snapshot) next() (changes []replica.Change, err error) {
	var c replica.Change
	switch {
	case len(n.spent) > 0:
		some := n.spent[:min(len(n.spent), spentAtOnce)]
		n.spent = n.spent[len(some):]
		c, err = textChange(kindSpent, some)
	case len(n.devices) > 0:
		c, err = textChange(kindDevice, n.devices[0])
		n.devices = n.devices[1:]
	default:
		known := n.sessions[0]
		n.sessions = n.sessions[1:]
		session, there := n.state.parts.Index.Session(known.OrgID, known.ID)
		if !there {
			return nil, nil
		}
		session.OrgID, session.Version = known.OrgID, known.Version
		c, err = textChange(kindSession, session)
		if checkpoint, has := n.state.parts.LastSeen.Checkpoint(known.ID); has {
			changes = append(changes, checkpointsChange([]schema.Checkpoint{checkpoint}))
		}
	}
	return append(changes, c), err
}

// Close implements replica.Snapshot: what is not listed yet will not be.
func (n *snapshot) Close() { n.cancel() }

func appendChange(piece []byte, c replica.Change) []byte {
	piece = binary.AppendUvarint(append(piece, c.Kind), uint64(len(c.Data)))
	return append(piece, c.Data...)
}

// Load implements replica.State.
func (s *State) Load(piece []byte) error {
	for len(piece) > 0 {
		kind := piece[0]
		length, digits := binary.Uvarint(piece[1:])
		if digits <= 0 || length > uint64(len(piece)-1-digits) {
			return errChange(kind)
		}
		data := piece[1+digits:][:length]
		piece = piece[1+digits+int(length):]
		c, err := readChange(replica.Change{Kind: kind, Data: data})
		if err != nil {
			return err
		}
		s.merge(&c)
		for i := range c.checkpoints {
			raise(&s.lastSeen, c.checkpoints[i].Point.ReceivedAt)
		}
	}
	return nil
}
