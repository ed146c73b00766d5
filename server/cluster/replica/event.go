package replica

// The events that a core takes a step for.
type (
	// event is one of those below.
	event interface{}
	// tick comes every half Timing.Beat.
	tick struct{}
	// received is a message of a peer.
	received struct {
		from    Member
		message message
	}
	// looked and swapped are the register's answers; err where there was none in time.
	looked struct {
		call uint64
		seen Seen
		err  error
	}
	swapped struct {
		call uint64
		view View
		err  error
	}
	// proposed asks to commit changes that are in the store, written in a term. The answer comes as an effect.
	proposed struct {
		id      uint64
		term    uint64
		changes []Change
	}
	// recovered says that State.Recover has ended, with changes for all.
	recovered struct {
		term    uint64
		changes []Change
	}
	// leaveAsked says that the node shall leave.
	leaveAsked struct{}
	// stepDownAsked says that the node shall not lead in a term any more.
	stepDownAsked struct {
		term uint64
		why  string
	}
	// warned says something of the node that somebody must do something about.
	warned struct{ text string }
)

// The effects that a step has, to be carried out in their order.
type (
	// effect is one of those below.
	effect interface{}
	send   struct {
		to      Member
		message message
	}
	look struct{ call uint64 }
	swap struct {
		call uint64
		old  uint64
		next View
	}
	beatRegister struct{ epoch uint64 }
	// recoverState begins State.Recover, and endRecovery ends one that may still run.
	recoverState struct {
		term  uint64
		whole bool
	}
	endRecovery struct{}
	// answer is that of a proposal.
	answer struct {
		id  uint64
		err error
	}
	// noted is a transition, in words; wrong where somebody must do something about it.
	noted struct {
		text  string
		wrong bool
	}
)

// call is one call of the register that runs, or ran last.
type call struct {
	id    uint64
	began Instant
	epoch uint64 // that the caller took part in then
	runs  bool
}

// begin numbers a new call.
func (c *core) begin(k *call) uint64 {
	c.calls++
	*k = call{id: c.calls, began: c.now, epoch: c.view.Epoch, runs: true}
	return k.id
}

// ended says whether an answer is that of this call, which runs no more then.
func (k *call) ended(id uint64) bool {
	if !k.runs || k.id != id {
		return false
	}
	k.runs = false
	return true
}

// sendings remember when numbered messages were sent, as long as a right may count from it.
type sendings struct {
	last uint64
	sent []sending
}

type sending struct {
	number uint64
	at     Instant
}

// next numbers a message that is sent now. Those sent longer than keep ago are forgotten.
func (s *sendings) next(now, keep Instant) uint64 {
	for len(s.sent) > 0 && now-s.sent[0].at > keep {
		s.sent = s.sent[1:]
	}
	s.last++
	s.sent = append(s.sent, sending{s.last, now})
	return s.last
}

// at returns when a message was sent.
func (s *sendings) at(number uint64) (Instant, bool) {
	for _, m := range s.sent {
		if m.number == number {
			return m.at, true
		}
	}
	return 0, false
}
