// Package replica lets several nodes answer for the same state, any of which may die at any time, so that what one of
// them has acknowledged every node's next answer honours, and no answer goes back in time. It knows neither what the
// state is (State), nor the database that keeps it, nor how messages travel (Network).
//
// It is PacificA's shape: who takes part is a numbered View in a compare-and-set Register outside, one leader replicates to
// all members, and leases hold the rest together; with what Hermes adds, that every member answers reads from its own
// memory, and lets those wait that ask for what is not yet committed everywhere.
//
// # The protocol
//
// Views. A view names the leader and the members. Epochs number the views; a Swap of the register makes the next one,
// and only if the one before still counts. A node takes part in one view at a time, and what it sends carries the epoch.
//
// Rights. The leader sends every follower a BEAT, which the follower answers by an ECHO. A leader may act until a term (L)
// after it sent the last BEAT that its most silent follower has answered, and until the long term (L2) after it began its last look
// at the register (L if it is alone). While it may, its BEATs promise: a follower may serve until L after it sent the ECHO that a
// promise names. All are counted from the sending, by one's own clock; clocks are only taken to run at nearly the same rate, so
// every wait for another's right is longer by three times that error. Without its right a node serves nothing.
//
// Commits. What is to be committed is in the store already. The leader sends it to all members (PUT), which apply it, keep it
// pending and acknowledge it (ACK). When all have, and the leader has its right, it applies it itself,
// acknowledges it to its client, and says by the next BEAT up to what is opened; there it is pending no more. So nobody shows
// what another could still answer without.
//
// Removing a silent follower. The leader stops to promise to it and swaps a view without it, with it as former. The view
// is active, and commits, when all its members have echoed it and L has passed since the last promise to the removed one.
//
// Taking over. A follower that hears no leader leaves its view, that is, it will never echo or acknowledge in it again, and then
// swaps a view that it leads. That is active when each member of the view before, and each former of it, has echoed the new one, has said
// that it has left, or 2L have passed: L for the old leader's right, and L for a promise it gave at its end. Meanwhile the
// survivors serve. Then the new leader makes the store refuse what earlier terms write, reads what it has and not everybody
// may know (State.Recover), commits that first, and takes new writes. Sequences of a reign are above all those before.
//
// A leader steps down, as one that leaves does but for that it comes back, when the register has not answered for the long term, and when it is asked to:
// what the store takes from its term may be of no use any more (Node.StepDown).
//
// From outside. A node that is no member joins the leader: it is given a SNAPSHOT piece by piece, follows the PUTs meanwhile, and
// the leader swaps a view with it when it has all up to a sequence, which the view names; it takes part only if it has just
// that. If no leader answers and the register's beat stands, it makes a view of itself alone, and waits for L2 + 2L (a hard
// wait, which all who replace the view inherit), because nobody of the view before has heard of it; or 2L, if
// an earlier process of the same node was a member, without whose ECHO nobody had a right for longer. It loads everything from the store.
//
// State is kept from one view to a later one only by a member of both and of all between. A node is what lies in its
// data directory, under its lock, so that a process of the same ID and another incarnation proves the one before dead.
//
// # The code
//
// A core (core.go) takes events and returns effects: no goroutines, no clock, no chance but a seed. It is outside (outside.go,
// joining, beginning alone), following (follower.go, adopting views, taking over) or leading (leader.go, beats, views; commit.go,
// PUT and ACK; joiners.go, whom it takes in). Node (node.go, effects.go, status.go) is the goroutine that
// drives it in the service. seams.go has the interfaces to the world, message.go and encoding.go what travels, view.go and
// time.go the values. rules.go names each rule; the tests are a simulator that drives the same core through thousands of
// faults, and switches each rule off to show what breaks without it.
package replica
