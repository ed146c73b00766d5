package main

import (
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"lastseen/schema/schematest"
)

// TestNodesGoOnWithoutADoorThatSomebodyDropped drops tables through which the leader writes, of three nodes and of the last one that is left.
// Changes go on by themselves, and the log says what has happened.
func TestNodesGoOnWithoutADoorThatSomebodyDropped(t *testing.T) {
	schematest.OnlyOn(t, schematest.Embedded, "it has a server of its own")
	requireNodes(t)
	k := newNodesTrial(t, nodesOptions{})
	k.begin(1)
	for _, table := range []string{"session_by_device_data_points", "devices", "sessions"} {
		k.dropDoor(t, table)
	}
	leader := k.leader()
	for _, n := range k.nodes {
		if n != leader {
			n.signal(syscall.SIGTERM)
		}
	}
	k.nodes = []*trialNode{leader}
	k.goesOn(t)
	k.dropDoor(t, "session_by_device_data_points")
}

// dropDoor drops the door to a table and has points acknowledged until there is another one.
func (k *nodesTrial) dropDoor(t *testing.T, table string) {
	t.Helper()
	const find = "SELECT name FROM system.tables WHERE database = 'lastseen' AND match(name, '^TABLE_door_[0-9]+$')"
	doors := func() string { return k.servers[0].Query(t, strings.Replace(find, "TABLE", table, 1)) }
	door, leader := doors(), k.leader()
	k.servers[0].Query(t, "DROP TABLE lastseen."+door+" SYNC")
	for began := time.Now(); doors() == "" || doors() == door; time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > readyWithin {
			t.Fatalf("after the table %s was dropped there is no other one", door)
		}
	}
	k.goesOn(t)
	if log := leader.logged(); !strings.Contains(log, "were dropped: this node steps down") || !strings.Contains(log, `"tables":"`+door+`"`) {
		t.Errorf("who led does not say that the table %s was dropped", door)
	}
}

// TestAMovedRegisterLeavesNoDoorOpen moves the register of nodes into a Keeper, whose epochs begin anew: what was sent through a door of
// then must not arrive, in the new epoch of its number least of all. A node that was forgotten, and runs by the register of before, ends to serve.
// Then the other one goes on alone, likewise.
func TestAMovedRegisterLeavesNoDoorOpen(t *testing.T) {
	schematest.OnlyOn(t, schematest.Embedded, "it has a server of its own")
	requireNodes(t)
	k := prepareNodes(t, nodesOptions{keeper: true})
	n, forgotten, keeper := k.nodes[0], k.nodes[1], k.network.register
	k.network.register = nil
	for _, each := range []*trialNode{n, forgotten} {
		k.start(each)
		k.awaitReady(each)
	}
	n.signal(syscall.SIGTERM)
	k.awaitReady(forgotten) // which leads
	doors := func() []string {
		return strings.Fields(k.servers[0].Query(t, "SELECT name FROM system.tables WHERE database = 'lastseen' AND position(name, '_door_') > 0 ORDER BY name"))
	}
	k.servers[0].Query(t, "DROP TABLE lastseen.nodes_register SYNC")
	k.network.register = keeper
	k.start(n)
	k.awaitReady(n)
	k.nodes = []*trialNode{n}
	defer forgotten.signal(syscall.SIGKILL)
	k.begin(1)
	await(t, "the node that was forgotten says that the register was moved, and does not serve", func() bool {
		status, _ := k.ask(forgotten, http.MethodGet, "/readyz", nil, "", "")
		return status == http.StatusServiceUnavailable && strings.Contains(forgotten.logged(), "the register of the nodes was moved while this node ran")
	})
	before := doors()
	k.goesOn(t)
	if slices.ContainsFunc(before, func(door string) bool { return !strings.HasSuffix(strings.TrimSuffix(door, "_way"), "_door_1") }) || len(before) == 0 {
		t.Errorf("after the register was moved there are the doors %v, want those of epoch 1", before)
	}
	if status, _ := forgotten.status(); status.Serving {
		t.Error("the node that was forgotten serves again")
	}
	forgotten.signal(syscall.SIGKILL)
	n.signal(syscall.SIGKILL)
	k.servers[0].Query(t, "DROP TABLE lastseen.nodes_register SYNC")
	alone := startOnStore(t, storeEnv, n.dir, k.servers[0].URL("lastseen"), "--no-fsync", "--admin-addr=")
	if now := doors(); len(now) > 0 {
		t.Errorf("a node that is alone has left the doors %v open", now)
	}
	if err := alone.terminate(); err != nil {
		t.Error(err)
	}
}
