package main

import (
	"bufio"

	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lastseen/schema/clickhousetest"
)

// nodesNetwork is what lies between the processes of a trial: a proxy for each way from one node to another, from each node to
// ClickHouse and from each to the Keeper, so that each can be cut, slowed or held back by itself, in one direction too.
type nodesNetwork struct {
	t        *testing.T
	between  map[[2]int]*clickhousetest.Proxy // by who makes the connections, and to whom
	store    [][]*clickhousetest.Proxy        // by node, one for each host of ClickHouse
	register []*clickhousetest.Proxy          // by node; nil where ClickHouse has the register
}

// newNodesNetwork makes one of so many nodes, before these are started.
func newNodesNetwork(t *testing.T, nodes []*trialNode, store []*clickhousetest.Server, keeper *clickhousetest.Keeper) *nodesNetwork {
	t.Helper()
	w := &nodesNetwork{t: t, between: map[[2]int]*clickhousetest.Proxy{}}
	for i, n := range nodes {
		var hosts []*clickhousetest.Proxy
		for _, host := range store {
			hosts = append(hosts, clickhousetest.StartProxy(t, host.Address()))
		}
		w.store = append(w.store, hosts)
		if keeper != nil {
			w.register = append(w.register, clickhousetest.StartProxy(t, keeper.Address()))
		}
		n.listen = clickhousetest.FreeAddress(t)
		for j := range nodes {
			if j != i {
				w.between[[2]int{j, i}] = clickhousetest.StartProxy(t, n.listen)
			}
		}
		w.receive(nodes, i)
	}
	return w
}

// receive takes the connections that are made to a node, and passes each to the way from whoever has made it.
func (w *nodesNetwork) receive(nodes []*trialNode, to int) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	nodes[to].peer = listener.Addr().String()
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { w.pass(conn.(*net.TCPConn), nodes, to) })
		}
	})
	w.t.Cleanup(func() {
		listener.Close()
		serving.Wait() // the processes have ended, and with them their connections
	})
}

// pass connects a connection to a node by the way from whoever has made it, and directly where that is none of the nodes.
func (w *nodesNetwork) pass(from *net.TCPConn, nodes []*trialNode, to int) {
	defer from.Close()
	address := nodes[to].listen
	dialled, listened := from.RemoteAddr().(*net.TCPAddr).Port, from.LocalAddr().(*net.TCPAddr).Port
	for i, n := range nodes {
		if i != to && hasSocket(n.pid(), dialled, listened) {
			address = w.between[[2]int{i, to}].Address()
		}
	}
	dial, err := net.Dial("tcp", address)
	if err != nil {
		return // it is cut, or the node is gone
	}
	defer dial.Close()
	onward := dial.(*net.TCPConn)
	copying := func(a, b *net.TCPConn) {
		if _, err := io.Copy(a, b); err != nil {
			a.Close()
			b.Close()
		}
		_ = a.CloseWrite()
	}
	var back sync.WaitGroup
	back.Go(func() { copying(from, onward) })
	copying(onward, from)
	back.Wait()
}

// hasSocket says whether a process has the end of a TCP connection on the loopback that has these ports.
func hasSocket(pid, local, remote int) bool {
	if pid == 0 {
		return false
	}
	inode := socketOf(local, remote)
	if inode == "" {
		return false
	}
	descriptors, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		return false
	}
	for _, d := range descriptors {
		if target, err := os.Readlink(d); err == nil && target == "socket:["+inode+"]" {
			return true
		}
	}
	return false
}

// socketOf returns the number of a TCP socket on the loopback; empty for none.
func socketOf(local, remote int) string {
	table, err := os.Open("/proc/self/net/tcp")
	if err != nil {
		return ""
	}
	defer table.Close()
	from, to := fmt.Sprintf("0100007F:%04X", local), fmt.Sprintf("0100007F:%04X", remote)
	for lines := bufio.NewScanner(table); lines.Scan(); {
		// sl, local address, remote address, state, queues, timer, retransmits, user, timeout, inode
		if fields := strings.Fields(lines.Text()); len(fields) > 9 && fields[1] == from && fields[2] == to {
			return fields[9]
		}
	}
	return ""
}

// lose loses what node a sends to node b, over connections of either.
func (w *nodesNetwork) lose(a, b int) {
	w.between[[2]int{a, b}].Lose(clickhousetest.ToServer)
	w.between[[2]int{b, a}].Lose(clickhousetest.ToClient)
}

// delay lets what node a sends to node b arrive later, over connections of either.
func (w *nodesNetwork) delay(a, b int, by, moreOrLess time.Duration) {
	w.between[[2]int{a, b}].Delay(clickhousetest.ToServer, by, moreOrLess)
	w.between[[2]int{b, a}].Delay(clickhousetest.ToClient, by, moreOrLess)
}

// both are the two ways between two nodes.
func (w *nodesNetwork) both(a, b int) []*clickhousetest.Proxy {
	return []*clickhousetest.Proxy{w.between[[2]int{a, b}], w.between[[2]int{b, a}]}
}

// around are all ways between a node and the others.
func (w *nodesNetwork) around(a int) (ways []*clickhousetest.Proxy) {
	for pair, way := range w.between {
		if pair[0] == a || pair[1] == a {
			ways = append(ways, way)
		}
	}
	return ways
}

// registerOf are the ways from a node to the register.
func (w *nodesNetwork) registerOf(a int) []*clickhousetest.Proxy {
	if w.register == nil {
		return w.store[a]
	}
	return w.register[a : a+1]
}

// cut breaks the connections of ways and takes no others. It does so in one of the two manners of networks: by refusing, or by
// saying nothing.
func (w *nodesNetwork) cut(ways []*clickhousetest.Proxy) {
	silently := rand.IntN(2) == 0
	for _, way := range ways {
		if silently {
			way.Lose(clickhousetest.ToServer)
			way.Lose(clickhousetest.ToClient)
		} else {
			way.Cut()
		}
	}
}

// mend makes ways pass everything on.
func (w *nodesNetwork) mend(ways []*clickhousetest.Proxy) {
	for _, way := range ways {
		way.Mend()
	}
}

// storeAddress is that of ClickHouse, as a node is told it.
func (w *nodesNetwork) storeAddress(node int, database string) string {
	var hosts []string
	for _, host := range w.store[node] {
		hosts = append(hosts, host.Address())
	}
	return "http://" + strings.Join(hosts, ",") + "/" + database
}
