package replica

import (
	"testing"
	"time"
)

// Schedules are for what random faults do not bring about: each breaks the promises if the rule that it is for is switched
// off, and does not if it holds. Nothing else goes wrong in them.

// settled calls then when all nodes serve and one of them leads, with the followers by their rank.
func (w *world) settled(then func(leader *machine, followers []*machine)) {
	var leader *machine
	var followers []*machine
	for _, m := range w.machines {
		switch {
		case !m.alive() || !m.process.mayServe():
			w.at(10*time.Millisecond, func() { w.settled(then) })
			return
		case m.leads():
			leader = m
		default:
			followers = append(followers, m)
		}
	}
	then(leader, followers)
}

// cutRegister cuts a machine from the register.
func (m *machine) cutRegister(lasts time.Duration) { m.world.cut(m.index, theRegister, lasts) }

// cutFrom cuts a machine from another one.
func (m *machine) cutFrom(other *machine, lasts time.Duration) {
	m.world.cut(m.index, other.index, lasts)
}

const long = 40 * time.Second

// aSplit: the leader is cut from the register, so that it cannot change its view; then its last follower is cut off and
// takes over. The other one still hears the old leader.
func aSplit(w *world) {
	w.settled(func(leader *machine, followers []*machine) {
		leader.cutRegister(long)
		w.isolate(followers[1].index, long)
	})
}

// aSlowRemoval: a follower is not heard, and is removed; but the register answers only seconds later, and meanwhile it is
// heard again.
func aSlowRemoval(w *world) {
	w.settled(func(leader *machine, followers []*machine) {
		silent := followers[0]
		silent.cutRegister(long)
		silent.cutFrom(followers[1], long)
		leader.cutFrom(silent, 700*time.Millisecond)
		w.at(600*time.Millisecond, func() { leader.cutRegister(3 * time.Second) })
	})
}

// aLateBeginner: a node that nobody hears finds that nobody leads, long after it was started: the leader, which goes on with its
// follower, is cut from the register.
func aLateBeginner(w *world) {
	w.isolate(2, 2*long)
	w.machines[2].cutRegister(20 * time.Second)
	w.at(25*time.Second, func() {
		for _, m := range w.machines[:2] {
			m.cutRegister(2 * long)
		}
	})
}

// aBeginnerAgain is aLateBeginner, who is restarted while it waits.
func aBeginnerAgain(w *world) {
	aLateBeginner(w)
	var again func()
	again = func() {
		if m := w.machines[2]; m.leads() {
			m.crash()
			w.at(100*time.Millisecond, m.start)
			return
		}
		w.at(100*time.Millisecond, again)
	}
	w.at(25*time.Second, again)
}

// aLostAnswer: a follower does not hear its leader and takes over; what the register answers is lost for some seconds, and
// meanwhile the leader is heard again. The leader and the other follower do not reach the register. When the answer comes, the
// new leader is cut off.
func aLostAnswer() simulation {
	var mute *machine
	return simulation{
		mute: func(m *machine) bool {
			return m == mute && m.process.core.follow != nil && m.process.core.follow.take != nil
		},
		script: func(w *world) {
			w.settled(func(leader *machine, followers []*machine) {
				mute = followers[1]
				leader.cutRegister(long)
				followers[0].cutRegister(long)
				mute.cutFrom(followers[0], long)
				leader.cutFrom(mute, 1800*time.Millisecond)
				w.at(5500*time.Millisecond, func() {
					leader.cutFrom(mute, long)
					mute = nil
				})
			})
		},
	}
}

// aDeafSuccessor: two changes are in the store, one of which the first follower has, when the leader dies. The first follower is
// stopped for a moment, so that the second one takes over.
func aDeafSuccessor(w *world) {
	w.settled(func(leader *machine, followers []*machine) {
		leader.cutFrom(followers[1], long)
		w.at(400*time.Millisecond, func() {
			followers[0].pause(1600 * time.Millisecond)
			leader.crash()
		})
	})
}

// aHalfRecovery: the leader dies with a PUT that the first follower has and the second has not; that one gets only the first part of
// what the first one recovers.
func aHalfRecovery() simulation {
	var second, deaf *machine
	return simulation{
		meddle: func(w *world, from, to *machine, m message, _ letter) bool {
			p, is := m.(*put)
			if is && deaf == nil && to == second && decodeFact(p.Changes[0]).of == simulatedSessions-1 { // which is recovered last
				deaf = second
				w.at(40*time.Millisecond, from.crash)
			}
			return is && to == deaf && (p.Sequence>>sequenceBits == 1 || p.Sequence&(1<<sequenceBits-1) > 1)
		},
		script: func(w *world) {
			w.settled(func(_ *machine, followers []*machine) { second = followers[1] })
		},
	}
}

// aReplacedLeader: a follower is cut off and removed, the leader dies, and its next process is back as soon as the other
// follower has taken over: the dead one need not be waited for any more, the removed one must be.
func aReplacedLeader(w *world) {
	w.settled(func(leader *machine, followers []*machine) {
		successor, cut := followers[0], followers[1]
		cut.cutRegister(long)
		w.isolate(cut.index, long)
		var when func()
		when = func() {
			switch {
			case leader.alive() && len(leader.process.core.view.Members) == 2:
				leader.crash()
			case successor.leads():
				leader.start()
				return
			}
			w.at(time.Millisecond, when)
		}
		when()
	})
}

// aLeaver: a follower is cut off, and before that is noticed the other one leaves, which makes a view in which the first one was
// never promised anything.
func aLeaver(w *world) {
	w.settled(func(_ *machine, followers []*machine) {
		cut := followers[1]
		cut.cutRegister(long)
		w.isolate(cut.index, long)
		followers[0].restart(20 * time.Second)
	})
}

// aSleepingLeader is aLateBeginner, with a leader that is stopped while a PUT is under way and before its right ends, and
// goes on when the other one commits.
func aSleepingLeader(w *world) {
	aLateBeginner(w)
	var when func()
	when = func() {
		for _, m := range w.machines[:2] {
			if m.leads() && m.process.core.lead.put != nil {
				m.pause(14 * time.Second)
				return
			}
		}
		w.at(100*time.Microsecond, when)
	}
	w.at(36*time.Second, when)
}

// aSlowLookUp: a follower looks a key up, and while the answer is on its way it is cut off, the key is revoked, and the follower
// joins again.
func aSlowLookUp(w *world) {
	w.settled(func(_ *machine, followers []*machine) {
		p := followers[0].process
		p.lookUp(0, 6*time.Second, func() {}, func() {})
		w.isolate(p.index, 4*time.Second)
		w.at(time.Second, func() { w.revoke(0) })
	})
}

// aSlowPoll: polls have checked a follower's right and wait for a processor, while the follower is cut off, removed, and
// begins to load its state anew.
func aSlowPoll() simulation {
	var slow *machine
	return simulation{
		linger: func(m *machine) time.Duration {
			if m == slow {
				return m.world.between(2200*time.Millisecond, 3200*time.Millisecond)
			}
			return 0
		},
		meddle: func(_ *world, _, to *machine, m message, _ letter) bool {
			_, tail := m.(*put)
			piece, is := m.(*snapshot)
			return to == slow && (tail || is && piece.Piece > 0)
		},
		script: func(w *world) {
			w.settled(func(_ *machine, followers []*machine) {
				slow = followers[0]
				w.isolate(slow.index, 2*time.Second)
				w.at(6*time.Second, func() { slow = nil })
			})
		},
	}
}

// anOldJoin: what a node said when it joined comes a second time, after it was removed.
func anOldJoin() simulation {
	var old []letter
	cut := false
	return simulation{
		meddle: func(_ *world, from, _ *machine, m message, l letter) bool {
			if j, is := m.(*join); is && !cut && from.starts == 2 && j.Snapshot != 0 {
				old = append(old, l)
			}
			return false
		},
		script: func(w *world) {
			w.settled(func(_ *machine, followers []*machine) {
				again := followers[1]
				again.crash()
				w.at(3*time.Second, again.start)
				w.at(6*time.Second, func() {
					w.settled(func(leader *machine, _ []*machine) {
						cut = true
						again.cutRegister(long)
						for _, m := range w.machines {
							if m != leader && m != again {
								m.cutFrom(again, long)
							}
						}
						leader.cutFrom(again, 800*time.Millisecond)
						w.at(900*time.Millisecond, func() {
							for _, l := range old {
								w.deliver(l, 0)
							}
							w.at(time.Millisecond, func() { leader.cutFrom(again, long) })
						})
					})
				})
			})
		},
	}
}

// aJoinTwice: the first JOIN of a node comes a second time when the view that takes it in is being made, so that it begins to load
// again, and has not got far.
func aJoinTwice() simulation {
	var first *letter
	said := false
	return simulation{
		meddle: func(w *world, from, _ *machine, m message, l letter) bool {
			switch m := m.(type) {
			case *join:
				if first == nil && m.Snapshot == 0 && from.starts == 2 {
					first = &l
				}
			case *snapshot:
				return said && m.Piece > 0
			case *ack:
				if first != nil && !said && from.process.core.out != nil {
					said = true
					w.deliver(*first, 600*time.Microsecond)
				}
			}
			return false
		},
		script: func(w *world) {
			w.settled(func(_ *machine, followers []*machine) {
				followers[1].crash()
				w.at(3*time.Second, followers[1].start)
			})
		},
	}
}

// aLateWrite: the leader decides what a device is, and dies; its write lands when its successor has decided otherwise.
func aLateWrite() simulation {
	late := false
	return simulation{
		late: func(facts []fact) time.Duration {
			if late && facts[0].kind == aCreation {
				late = false
				return 15 * time.Second
			}
			return 0
		},
		script: func(w *world) {
			w.settled(func(leader *machine, _ []*machine) {
				late = true
				var when func()
				when = func() {
					if !late {
						leader.crash()
						return
					}
					w.at(time.Millisecond, when)
				}
				when()
			})
		},
	}
}

// aStunnedSuccessor: the first follower is cut from the leader, takes over, and is stopped as soon as it has said so; that comes
// late to the second follower, which has had the old leader's promises until then. Its ECHO comes when the new leader's
// first right has ended, so that it is answered by no promise, and then the two are cut from each other. The old leader need not
// be waited for: it dies, and its next process joins.
func aStunnedSuccessor() simulation {
	var successor, second *machine
	var said *letter
	return simulation{
		meddle: func(w *world, from, to *machine, m message, l letter) bool {
			b, is := m.(*beat)
			if !is || from != successor || to != second || b.View.Leader != from.id {
				return false
			}
			if said == nil {
				said = &l
				from.pause(2600 * time.Millisecond)
			}
			return true
		},
		script: func(w *world) {
			w.settled(func(leader *machine, followers []*machine) {
				successor, second = followers[0], followers[1]
				second.cutRegister(long)
				leader.cutRegister(2500 * time.Millisecond)
				leader.cutFrom(successor, 2500*time.Millisecond)
				var when func()
				when = func() {
					if said == nil {
						w.at(time.Millisecond, when)
						return
					}
					w.at(1200*time.Millisecond, func() {
						w.deliver(*said, 0)
						w.at(50*time.Millisecond, func() { successor.cutFrom(second, long) })
						leader.crash()
						w.at(300*time.Millisecond, leader.start)
					})
				}
				when()
			})
		},
	}
}

// TestTwoWhoLeaveAtOnceStayOutside: the view without the first one, which has the second, comes to that when it has left.
func TestTwoWhoLeaveAtOnceStayOutside(t *testing.T) {
	t.Parallel()
	o := simulation{nodes: 3, lasts: 10 * time.Second, perfect: true}
	o.script = func(w *world) {
		w.settled(func(leader *machine, followers []*machine) {
			for _, m := range followers {
				m.process.take(leaveAsked{})
			}
			w.at(2*time.Second, func() {
				for _, m := range followers {
					if out := m.process.core.out; out == nil || !out.leaving || !out.gone {
						w.fail("Left: %s has not left: %+v", m.id, out)
					}
				}
				if alone := leader.process.core.view; len(alone.Members) != 1 {
					w.fail("Left: the view is still %+v", alone)
				}
			})
		})
	}
	w := newWorld(o)
	if w.run(); w.bad != "" {
		t.Error(w.bad)
	}
}

// aRepeatingNetwork: every message comes twice while the nodes join, and all must serve within seconds.
func aRepeatingNetwork() simulation {
	return simulation{
		twice: true,
		script: func(w *world) {
			w.at(3*time.Second, func() {
				for _, m := range w.machines {
					if !m.process.mayServe() {
						w.fail("Alive: %s has not joined", m.id)
					}
				}
				w.ends = w.now
			})
		},
	}
}
