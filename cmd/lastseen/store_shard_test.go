package main

import (
	"net/http"
	"strings"
	"testing"

	"lastseen/schema/clickhousetest"
	"lastseen/schema/schematest"
)

// TestAServiceOutlivesTheLossOfAShard kills one of two shards and brings it back.
func TestAServiceOutlivesTheLossOfAShard(t *testing.T) {
	t.Parallel()
	schematest.OnlyOn(t, schematest.Embedded, "the test starts its own servers")
	shards := clickhousetest.StartCluster(t, "fleet", 2, clickhousetest.Options{})
	address := "http://" + shards[0].Address() + "," + shards[1].Address() + "/lastseen"
	f := &faultTrial{server: shards[1], storeService: startOnStore(t, nil, t.TempDir(), address, "--admin-addr=", "--cluster=fleet", "--replicated=false")}
	f.begin(t, "org_shards")
	_, before := f.lines.from(0)
	if err := f.server.Kill(); err != nil {
		t.Fatal(err)
	}
	f.waitReady(t, http.StatusServiceUnavailable, "host of the ClickHouse cluster")
	f.waitLogged(t, before, func(l logLine) bool { return strings.Contains(l.Msg, "host of the ClickHouse cluster") })
	for range 5 {
		// The session's shard may be the other one, whose points are still taken.
		if status, retryAfter := f.sendPoints(t, 1); status != http.StatusOK && (status != http.StatusServiceUnavailable || retryAfter != "5") {
			t.Errorf("points are answered %d, Retry-After %q", status, retryAfter)
		}
		if status, at := f.lastSeen(t); status != http.StatusOK || at != f.newest() {
			t.Errorf("last_seen is answered %d with the point at %d, want 200 and %d", status, at, f.newest())
		}
	}
	if err := f.server.Start(); err != nil {
		t.Fatal(err)
	}
	f.sendUntilTaken(t)
	f.waitReady(t, http.StatusOK, "ready")
	f.checkHistory(t)
	f.checkLog(t, before, storeFault{says: "host of the ClickHouse cluster"})
	if err := f.terminate(); err != nil {
		t.Error(err)
	}
}
