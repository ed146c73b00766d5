package replica

import (
	"os"
	"testing"
	"time"
)

// mutation is a rule that is switched off, and what shows that it is needed: either a schedule, or random faults within some
// seeds. Some rules are a second line: they are seen only where the first one does not hold either, which beside says.
type mutation struct {
	name     string
	breaks   func(*simulation)
	beside   func(*simulation)
	schedule func() simulation
	lasts    time.Duration // the schedule; 0 for as long as most
	seeds    uint64
}

// shortSchedule is how long most schedules take, all included, and longSchedule those in which somebody waits for the long term.
const (
	shortSchedule = 12 * time.Second
	longSchedule  = 55 * time.Second
)

func off(r rule) func(*simulation) { return func(o *simulation) { o.broken |= broken(r) } }

func script(do func(*world)) func() simulation {
	return func() simulation { return simulation{script: do} }
}

// mutations are all rules of rules.go, and what the protocol asks of the service around it.
var mutations = []mutation{
	{name: "readRight", breaks: off(readRight), schedule: script(aSplit)},
	{name: "pendingWaits", breaks: off(pendingWaits), seeds: 10},
	{name: "actRight", breaks: off(actRight), schedule: script(aSleepingLeader), lasts: longSchedule},
	{name: "promiseByRight", breaks: off(promiseByRight), schedule: script(aSplit)},
	{name: "noPromiseToRemoved", breaks: off(noPromiseToRemoved), schedule: script(aSlowRemoval)},
	{name: "waitForRemoved", breaks: off(waitForRemoved), seeds: 10},
	{name: "rememberPromises", breaks: off(rememberPromises), schedule: script(aLeaver)},
	{name: "inheritFormer", breaks: off(inheritFormer), schedule: script(aReplacedLeader)},
	{name: "inheritFormer for the long term", breaks: off(inheritFormer), schedule: script(aBeginnerAgain), lasts: longSchedule},
	{name: "hardWait", breaks: off(hardWait), schedule: script(aLateBeginner), lasts: longSchedule},
	{name: "waitAllOfBefore", breaks: off(waitAllOfBefore), schedule: script(aSplit)},
	{name: "twoTerms", breaks: off(twoTerms), schedule: script(aSplit)},
	{name: "waitFromSwap", breaks: off(waitFromSwap), schedule: script(aLateBeginner), lasts: longSchedule},
	{name: "leaveFirst", breaks: off(leaveFirst), schedule: aLostAnswer},
	{name: "leftStays", breaks: off(leftStays), schedule: aLostAnswer},
	{name: "ackAll", breaks: off(ackAll), seeds: 10},
	{name: "sequenceByTerm", breaks: off(sequenceByTerm), schedule: script(aDeafSuccessor)},
	{name: "joinExact", breaks: off(joinExact), schedule: aJoinTwice},
	{name: "joinLeft", breaks: off(joinLeft), schedule: anOldJoin},
	{name: "oneSnapshot", breaks: off(oneSnapshot), schedule: aRepeatingNetwork},
	{name: "joinRecovered", breaks: off(joinRecovered), seeds: 20},
	{name: "recoverFirst", breaks: off(recoverFirst), seeds: 10},
	{name: "openAtOnce", breaks: off(openAtOnce), schedule: aHalfRecovery},
	{name: "fromSending", breaks: off(fromSending), seeds: 20},
	{name: "newLeaderNewRight", breaks: off(newLeaderNewRight), schedule: aStunnedSuccessor},
	{name: "cachesCleared", breaks: off(cachesCleared), beside: func(o *simulation) { o.unnamed = true }, seeds: 20},

	{name: "the store refuses earlier terms", breaks: func(o *simulation) { o.noDoor = true }, schedule: aLateWrite, lasts: 2 * shortSchedule},
	{name: "look-ups that began before do not count", breaks: func(o *simulation) { o.dirty = true }, beside: func(o *simulation) { o.unnamed = true }, schedule: script(aSlowLookUp)},
	{name: "who reads notices that the state was emptied", breaks: func(o *simulation) { o.emptied = true }, schedule: aSlowPoll},
	{name: "clocks are as good as assumed", breaks: func(o *simulation) { o.drift = 0.3 }, seeds: 20},
}

func TestEachRuleIsNeeded(t *testing.T) {
	t.Parallel()
	if raced {
		t.Skip("simulations are run without the race detector")
	}
	shown := broken(0)
	for _, m := range mutations {
		o := simulation{}
		m.breaks(&o)
		shown |= o.broken
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			if m.schedule != nil {
				if held := m.run(false); held.bad != "" {
					t.Errorf("with the rule: %s", held.bad)
				}
			}
			broke := m.run(true)
			if broke == nil || broke.bad == "" {
				t.Fatalf("nothing shows what %s is for", m.name)
			}
			t.Logf("seed %d %s", broke.options.seed, broke.bad)
		})
	}
	for r := readRight; r <= cachesCleared; r <<= 1 {
		if rule(shown)&r == 0 {
			t.Errorf("rule %b is not in the list", r)
		}
	}
}

// run runs the schedule or the seeds, with the rule or without it, and returns a world in which a promise was broken; of
// a schedule in any case.
func (m mutation) run(without bool) *world {
	o := simulation{faults: 1, lasts: time.Minute}
	if m.schedule != nil {
		o = m.schedule()
		o.perfect, o.lasts = true, max(m.lasts, shortSchedule)
	}
	o.nodes = 3
	if m.beside != nil {
		m.beside(&o)
	}
	if without {
		m.breaks(&o)
		o.trace = os.Getenv("TRACE") == m.name
	}
	if m.schedule != nil {
		w := newWorld(o)
		w.run()
		return w
	}
	broke, _ := simulate(o, 1, m.seeds)
	return broke
}
