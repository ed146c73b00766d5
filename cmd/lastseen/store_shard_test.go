package main

import (
	"net/http"
	"strings"
	"testing"

	"lastseen/schema/clickhousetest"
	"lastseen/schema/schematest"
)

// TestAServiceOutlivesTheLossOfAShard kills one of two shards and brings it back, and stops it and lets it go on.
func TestAServiceOutlivesTheLossOfAShard(t *testing.T) {
	t.Parallel()
	schematest.OnlyOn(t, schematest.Embedded, "the test starts its own servers")
	shards := clickhousetest.StartCluster(t, "fleet", 2, clickhousetest.Options{Users: storeUser("secret", "", clusterGrants...)})
	address := "http://" + shards[0].Address() + "," + shards[1].Address() + "/lastseen"
	f := &faultTrial{server: shards[1], storeService: startOnStore(t, storeEnv, t.TempDir(), address, "--admin-addr=", "--cluster=fleet", "--replicated=false")}
	f.begin(t, "org_shards")
	for _, loss := range []shardLoss{
		{name: "killed", begin: f.server.Kill, end: f.server.Start, says: "host of the ClickHouse cluster"},
		{name: "stopped and resumed", begin: f.server.Freeze, end: f.server.Thaw, says: "host of the ClickHouse cluster"},
	} {
		t.Run(loss.name, func(t *testing.T) { f.outliveShard(t, loss) })
	}
	if err := f.terminate(); err != nil {
		t.Error(err)
	}
}

// shardLoss is a way in which a host of a cluster goes and comes back, and what /readyz and the log say meanwhile.
type shardLoss struct {
	name       string
	begin, end func() error
	says       string
}

// outliveShard loses a shard, looks at what callers see, brings it back, and looks again.
func (f *faultTrial) outliveShard(t *testing.T, loss shardLoss) {
	_, before := f.lines.from(0)
	if err := loss.begin(); err != nil {
		t.Fatal(err)
	}
	f.waitReady(t, http.StatusServiceUnavailable, loss.says)
	f.waitLogged(t, before, func(l logLine) bool { return l.Level != "INFO" && strings.Contains(l.Msg, loss.says) })
	for range 5 {
		// The session's shard may be the other one, whose points are still taken.
		if status, retryAfter := f.sendPoints(t, 1); status != http.StatusOK && (status != http.StatusServiceUnavailable || retryAfter != "5") {
			t.Errorf("points are answered %d, Retry-After %q", status, retryAfter)
		}
		if status, at := f.lastSeen(t); status != http.StatusOK || at != f.newest() {
			t.Errorf("last_seen is answered %d with the point at %d, want 200 and %d", status, at, f.newest())
		}
	}
	if err := loss.end(); err != nil {
		t.Fatal(err)
	}
	f.sendUntilTaken(t)
	f.waitReady(t, http.StatusOK, "ready")
	f.checkHistory(t)
	f.waitLogged(t, before, func(l logLine) bool { return l.Msg == "ClickHouse serves again." })
}
