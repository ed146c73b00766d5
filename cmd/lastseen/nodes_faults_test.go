package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"

	"lastseen/schema/clickhousetest"
)

// nodesFault is something that goes wrong with a node, or around it, and ends by itself. It returns what is to be said of it.
type nodesFault struct {
	weight int
	do     func(k *nodesTrial, n *trialNode) string
}

// nodesFaults are all of them. Those of the network are half of what happens.
var nodesFaults = []nodesFault{
	{4, (*nodesTrial).kill},
	{2, func(k *nodesTrial, _ *trialNode) string { return k.kill(k.leader()) }},
	{1, (*nodesTrial).killAll},
	{2, (*nodesTrial).stop},
	{2, func(k *nodesTrial, _ *trialNode) string { return k.stop(k.leader()) }},
	{2, (*nodesTrial).restart},
	{2, (*nodesTrial).cutPair},
	{2, (*nodesTrial).cutOneWay},
	{2, (*nodesTrial).isolate},
	{2, func(k *nodesTrial, _ *trialNode) string { return k.isolate(k.leader()) }},
	{1, (*nodesTrial).isolateAndKill},
	{2, (*nodesTrial).slow},
	{2, (*nodesTrial).late},
	{1, (*nodesTrial).reset},
	{1, (*nodesTrial).cutStore},
	{1, func(k *nodesTrial, _ *trialNode) string { return k.cutStore(k.leader()) }},
	{1, (*nodesTrial).cutRegister},
	{1, (*nodesTrial).noRegister},
	{1, (*nodesTrial).slowStore},
	{1, (*nodesTrial).killStore},
	{1, (*nodesTrial).loseDoor},
}

// clockFaults are those besides where each node has a wall clock of its own.
var clockFaults = []nodesFault{
	{10, (*nodesTrial).jump},
	{10, func(k *nodesTrial, _ *trialNode) string { return k.jump(k.leader()) }},
	{4, (*nodesTrial).jumpAndKill},
}

// fault lets something go wrong, and returns when all nodes are ready again.
func (k *nodesTrial) fault(cycle int) {
	all, faults := 0, nodesFaults
	if k.nodes[0].clock != nil {
		faults = append(slices.Clone(faults), clockFaults...)
	}
	for _, f := range faults {
		all += f.weight
	}
	chosen := rand.IntN(all)
	for _, f := range faults {
		if chosen -= f.weight; chosen < 0 {
			began := time.Now()
			said := f.do(k, k.aNode())
			after := time.Now()
			for _, n := range k.nodes {
				k.awaitReady(n)
			}
			k.t.Logf("cycle %d: %s; all are ready %s after that, which took %s", cycle, said, time.Since(after).Round(time.Millisecond), after.Sub(began).Round(time.Millisecond))
			return
		}
	}
}

// span is for how long something goes wrong: mostly for what the protocol does not notice up to what makes it go on without a node, and
// now and then, where there is time for it, for up to 30 s.
func (k *nodesTrial) span() time.Duration {
	if k.long && rand.IntN(8) == 0 {
		return time.Duration(5000+rand.IntN(25000)) * time.Millisecond
	}
	return time.Duration(100+rand.IntN(5000)) * time.Millisecond
}

func (k *nodesTrial) kill(n *trialNode) string {
	n.signal(syscall.SIGKILL)
	time.Sleep(time.Duration(rand.IntN(3000)) * time.Millisecond)
	k.start(n)
	return fmt.Sprintf("node %d was killed", n.number)
}

func (k *nodesTrial) killAll(*trialNode) string {
	for _, n := range k.nodes {
		n.signal(syscall.SIGKILL)
	}
	for _, n := range k.nodes {
		k.start(n)
	}
	return "all nodes were killed"
}

func (k *nodesTrial) stop(n *trialNode) string {
	span := k.span()
	n.signal(syscall.SIGSTOP)
	time.Sleep(span)
	n.signal(syscall.SIGCONT)
	return fmt.Sprintf("node %d was stopped for %s", n.number, span)
}

func (k *nodesTrial) restart(n *trialNode) string {
	n.signal(syscall.SIGTERM)
	k.start(n)
	return fmt.Sprintf("node %d was restarted", n.number)
}

// another is a node that is not n.
func (k *nodesTrial) another(n *trialNode) *trialNode {
	return k.nodes[(n.number+1+rand.IntN(len(k.nodes)-1))%len(k.nodes)]
}

// during breaks ways for a span and mends them.
func (k *nodesTrial) during(ways []*clickhousetest.Proxy, what string) string {
	span := k.span()
	k.network.cut(ways)
	time.Sleep(span)
	k.network.mend(ways)
	return fmt.Sprintf("%s for %s", what, span)
}

func (k *nodesTrial) cutPair(n *trialNode) string {
	other := k.another(n)
	return k.during(k.network.both(n.number, other.number), fmt.Sprintf("nodes %d and %d were cut from each other", n.number, other.number))
}

func (k *nodesTrial) cutOneWay(n *trialNode) string {
	span := k.span()
	other := k.another(n)
	k.network.lose(n.number, other.number)
	time.Sleep(span)
	k.network.mend(k.network.both(n.number, other.number))
	return fmt.Sprintf("node %d did not hear node %d for %s", other.number, n.number, span)
}

// isolate cuts a node from all others, but not from ClickHouse.
func (k *nodesTrial) isolate(n *trialNode) string {
	return k.during(k.network.around(n.number), fmt.Sprintf("node %d, which reaches ClickHouse, was cut from all others", n.number))
}

// isolateAndKill cuts a node from all others and kills another one.
func (k *nodesTrial) isolateAndKill(n *trialNode) string {
	ways := k.network.around(n.number)
	k.network.cut(ways)
	time.Sleep(time.Duration(rand.IntN(3000)) * time.Millisecond)
	said := k.kill(k.another(n))
	k.network.mend(ways)
	return fmt.Sprintf("node %d was cut from all others, and meanwhile %s", n.number, said)
}

// slow delays what passes between two nodes, each way by another time.
func (k *nodesTrial) slow(n *trialNode) string {
	other := k.another(n)
	by := [2]time.Duration{}
	for i := range by {
		by[i] = time.Duration(10+rand.IntN(200)) * time.Millisecond
		if rand.IntN(3) == 0 {
			by[i] *= 10
		}
	}
	k.network.delay(n.number, other.number, by[0], by[0]/2)
	k.network.delay(other.number, n.number, by[1], by[1]/2)
	span := k.span()
	time.Sleep(span)
	k.network.mend(k.network.both(n.number, other.number))
	return fmt.Sprintf("what node %d sent node %d came some %s late, and back %s, for %s", n.number, other.number, by[0], by[1], span)
}

// late lets what one node sends another one arrive seconds late, when that has done without it.
func (k *nodesTrial) late(n *trialNode) string {
	other, by := k.another(n), k.span()
	k.network.delay(n.number, other.number, by, 0)
	time.Sleep(by + time.Second)
	k.network.mend(k.network.both(n.number, other.number))
	return fmt.Sprintf("what node %d sent node %d came %s late", n.number, other.number, by)
}

func (k *nodesTrial) reset(n *trialNode) string {
	for range 3 {
		k.network.mend(k.network.around(n.number))
		time.Sleep(time.Duration(rand.IntN(700)) * time.Millisecond)
	}
	return fmt.Sprintf("the connections of node %d with the others were reset three times", n.number)
}

func (k *nodesTrial) cutStore(n *trialNode) string {
	return k.during(k.network.store[n.number], fmt.Sprintf("node %d was cut from ClickHouse", n.number))
}

func (k *nodesTrial) cutRegister(n *trialNode) string {
	return k.during(k.network.registerOf(n.number), fmt.Sprintf("node %d was cut from the register", n.number))
}

// noRegister cuts all nodes from the register, and kills one meanwhile now and then.
func (k *nodesTrial) noRegister(n *trialNode) string {
	var ways []*clickhousetest.Proxy
	for _, each := range k.nodes {
		ways = append(ways, k.network.registerOf(each.number)...)
	}
	k.network.cut(ways)
	said := "the register was away"
	if rand.IntN(2) == 0 {
		time.Sleep(time.Duration(rand.IntN(1000)) * time.Millisecond)
		said += ", and " + k.kill(n)
	} else {
		time.Sleep(k.span())
	}
	k.network.mend(ways)
	return said
}

// loseDoor drops a table through which the leader writes, on one host of ClickHouse.
func (k *nodesTrial) loseDoor(*trialNode) string {
	server := k.servers[rand.IntN(len(k.servers))]
	door := server.Query(k.t, "SELECT name FROM system.tables WHERE database = 'lastseen' AND match(name, '_door_[0-9]+$') ORDER BY rand() LIMIT 1")
	server.Query(k.t, "DROP TABLE IF EXISTS lastseen."+door+" SYNC")
	return "somebody dropped the table " + door
}

// slowStore delays what passes between the leader and ClickHouse.
func (k *nodesTrial) slowStore(*trialNode) string {
	n, by, span := k.leader(), time.Duration(10+rand.IntN(800))*time.Millisecond, k.span()
	for _, way := range k.network.store[n.number] {
		way.Delay(clickhousetest.ToServer, by, by/2)
	}
	time.Sleep(span)
	k.network.mend(k.network.store[n.number])
	return fmt.Sprintf("what node %d, the leader, asked ClickHouse came some %s late for %s", n.number, by, span)
}

func (k *nodesTrial) killStore(*trialNode) string {
	server := k.servers[rand.IntN(len(k.servers))]
	err := server.Kill()
	time.Sleep(time.Duration(rand.IntN(2000)) * time.Millisecond)
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		k.t.Error(err)
	}
	return "ClickHouse was killed"
}

// jump sets a node's wall clock forward or back, by seconds or by hours, and right again after a while or not.
func (k *nodesTrial) jump(n *trialNode) string {
	off, span := k.setClock(n), k.span()
	time.Sleep(span)
	if rand.IntN(2) == 0 {
		return fmt.Sprintf("the wall clock of node %d was set %s off", n.number, off)
	}
	if err := n.clock.set(0); err != nil {
		k.t.Error(err)
	}
	return fmt.Sprintf("the wall clock of node %d was set %s off for %s", n.number, off, span)
}

// jumpAndKill sets the leader's wall clock and kills it, so that another one goes on whose clock is elsewhere.
func (k *nodesTrial) jumpAndKill(*trialNode) string {
	n := k.leader()
	off := k.setClock(n)
	time.Sleep(time.Duration(rand.IntN(2000)) * time.Millisecond)
	return fmt.Sprintf("the wall clock of the leader was set %s off, and %s", off, k.kill(n))
}

// longestJump is how far a wall clock is off: within what credentials are good for that are made at the beginning.
const longestJump = 3 * time.Hour

func (k *nodesTrial) setClock(n *trialNode) (off time.Duration) {
	off = time.Duration(1+rand.IntN(90)) * time.Second
	if rand.IntN(2) == 0 {
		off = time.Duration(1+rand.IntN(int(longestJump/time.Second))) * time.Second
	}
	if rand.IntN(2) == 0 {
		off = -off
	}
	if err := n.clock.set(off); err != nil {
		k.t.Error(err)
	}
	return off
}
