package main

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lastseen/schema/schematest"
)

// nodeCycles is how many faults there are to be.
func nodeCycles(t *testing.T) int {
	text := os.Getenv("LASTSEEN_NODE_CYCLES")
	cycles, err := strconv.Atoi(text)
	if err != nil {
		t.Skip("it takes minutes: make cycles-nodes")
	}
	return cycles
}

// TestNoNodeBreaksAPromise has clients on every node while nodes are killed, stopped and restarted, cut from each other, from ClickHouse
// and from the register, and what they say comes late.
func TestNoNodeBreaksAPromise(t *testing.T) {
	schematest.OnlyOn(t, schematest.Embedded, "it has a server of its own")
	cycles := nodeCycles(t)
	k := newNodesTrial(t, nodesOptionsOf(t))
	k.long = cycles >= 50
	k.begin(4)
	feed := &nodesFeed{trial: k, points: map[string]map[int64]bool{}}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var clients sync.WaitGroup
	var last atomic.Int64
	last.Store(time.Now().UnixNano())
	for _, of := range k.tracks {
		clients.Go(func() { k.write(ctx, of, &last) })
	}
	for _, n := range k.nodes {
		clients.Go(func() { k.poll(ctx, n) })
	}
	clients.Go(func() { k.revoke(ctx) })
	clients.Go(func() { k.create(ctx) })
	clients.Go(func() { k.liveDevices(ctx) })
	clients.Go(func() { k.liveKeys(ctx) })
	clients.Go(func() { feed.follow(ctx) })
	for cycle := 0; cycle < cycles && !t.Failed(); cycle++ {
		time.Sleep(time.Duration(rand.IntN(1500)) * time.Millisecond)
		k.fault(cycle)
	}
	stop()
	clients.Wait()
	k.check()
	k.lives.check(t)
	if k.long || k.nodes[0].clock != nil { // what the feed is ordered by is stamped by clocks
		feed.finish() // which takes a minute
	}
	t.Logf("%d faults: %d points acknowledged, %d polls answered and %d refused, %d keys revoked; the longest time between two acknowledgements was %s",
		cycles, k.acknowledged.Load(), k.polls.Load(), k.refused.Load(), k.revoked.Load(), time.Duration(k.longest.Load()).Round(time.Millisecond))
}
