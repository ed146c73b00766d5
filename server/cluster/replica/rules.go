package replica

// rule is one of the rules that the promises rest on. In the service all of them hold. Each has its name at the place
// in the code where it is kept, so that the simulator can switch one off and show what it is for.
type rule uint32

const (
	// readRight: who has no right serves nothing.
	readRight rule = 1 << iota
	// pendingWaits: what a follower has applied is not shown before the leader has opened it.
	pendingWaits
	// actRight: a leader commits only while it has its own right.
	actRight
	// promiseByRight: a leader promises only while it has its own right.
	promiseByRight
	// noPromiseToRemoved: a leader does not promise to a follower that it is removing.
	noPromiseToRemoved
	// waitForRemoved: nothing is committed without a removed follower before its right has lapsed.
	waitForRemoved
	// rememberPromises: a leader remembers its promises across its own views.
	rememberPromises
	// inheritFormer: who replaces a view waits for the view's former nodes as well.
	inheritFormer
	// hardWait: for who may serve for the long term the wait is the long one, and stays so in the views that follow.
	hardWait
	// waitAllOfBefore: who takes over commits nothing before every member of the view before has adopted the new one,
	// has left, or has lost its right.
	waitAllOfBefore
	// twoTerms: that wait is two terms: one of the old leader's right, one of the promise it gave at the right's end.
	twoTerms
	// waitFromSwap: that wait counts from the swap, or later, not from anything earlier.
	waitFromSwap
	// leaveFirst: who takes over leaves its view before it swaps, not after.
	leaveFirst
	// leftStays: in a view that a node has left it neither echoes nor acknowledges.
	leftStays
	// ackAll: a change is committed when every member has it.
	ackAll
	// sequenceByTerm: the sequences of a reign are above all of the reigns before.
	sequenceByTerm
	// joinExact: who joins takes part only if it has followed up to the sequence that the view names.
	joinExact
	// joinLeft: a JOIN says that a node has left only if it takes part in no view up to the one before the leader's.
	joinLeft
	// oneSnapshot: a JOIN that is late, and of an earlier snapshot, begins no other one. Without it no promise is broken, but a node may never
	// come back.
	oneSnapshot
	// joinRecovered: a leader gives its state to others only when it has recovered.
	joinRecovered
	// recoverFirst: who takes over commits nothing before what the store has was brought to all.
	recoverFirst
	// openAtOnce: what a new leader recovered is opened when everybody has all of it, not part by part.
	openAtOnce
	// fromSending: a right counts from the sending of what it is a right by, not from the receiving of the answer.
	fromSending
	// newLeaderNewRight: a right from one leader does not go on under another one.
	newLeaderNewRight
	// cachesCleared: who takes part anew drops its caches of the store, and look-ups that began before.
	cachesCleared
)

// broken is a set of rules that are switched off.
type broken rule

// keeps says whether a rule holds.
func (b broken) keeps(r rule) bool { return rule(b)&r == 0 }
