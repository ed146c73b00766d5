package replica

// The messages of the protocol. Each carries the epoch of its sender's view; who receives one of another epoch than it
// takes part in ignores it (ACK, JOIN, SNAPSHOT and LEAVE have rules of their own).
type (
	// beat (BEAT) is the leader's sign of life, and carries the view to who has not adopted it.
	beat struct {
		Epoch  uint64
		Number uint64 // of this BEAT
		Echo   uint64 // the newest ECHO that the leader has from this follower in this epoch; 0 for none
		// Promise says that the leader had its own right when it sent this, and will not commit without this follower
		// for a term after the follower sent the ECHO that is named.
		Promise bool
		Opened  uint64 // the sequence up to which all is committed
		View    View
	}
	// echo (ECHO) answers every BEAT.
	echo struct {
		Epoch  uint64
		Number uint64 // of this ECHO
		Beat   uint64 // which BEAT it answers
	}
	// put (PUT) brings changes to a member, or to a node that joins, which apply them and keep them pending.
	put struct {
		Epoch    uint64
		Sequence uint64
		Changes  []Change
	}
	// ack (ACK) says that who sends it has applied all up to a sequence.
	ack struct {
		Epoch    uint64
		Sequence uint64
	}
	// join (JOIN) asks a leader to take a node in, piece by piece of its state.
	join struct {
		Left     uint64 // the node takes part in no view up to this one, and no earlier process of its ID does
		Snapshot uint64 // whose piece is wanted; 0 to begin a new one
		Piece    uint32
	}
	// snapshot (SNAPSHOT) is one piece of the leader's state, which has all up to a sequence.
	snapshot struct {
		Epoch    uint64
		Snapshot uint64
		Sequence uint64
		Piece    uint32
		Last     bool
		Data     []byte
	}
	// leave (LEAVE) says that a node takes part in no view up to one any more, and wants to be in none after it.
	leave struct {
		Left uint64
	}
)

// message is one of the above.
type message interface {
	kind() byte
	append(frame []byte) []byte
	read(r *reader)
}

func (*beat) kind() byte     { return 1 }
func (*echo) kind() byte     { return 2 }
func (*put) kind() byte      { return 3 }
func (*ack) kind() byte      { return 4 }
func (*join) kind() byte     { return 5 }
func (*snapshot) kind() byte { return 6 }
func (*leave) kind() byte    { return 7 }
