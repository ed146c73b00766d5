package main

import (
	"net/http"
	"testing"
	"time"

	"lastseen/schema/clickhousetest"
	"lastseen/schema/schematest"
)

// TestAcknowledgedPointsSurviveKillsOnAServer kills the service, its ClickHouse server and both in turn with
// kill -9 at random moments under ingest, and looks for every acknowledged point. LASTSEEN_KILL_CYCLES sets
// how often.
func TestAcknowledgedPointsSurviveKillsOnAServer(t *testing.T) {
	t.Parallel()
	schematest.OnlyOn(t, schematest.Embedded, "the test starts its own server")
	cycles := killCycles(t, 3)
	server := clickhousetest.Start(t, clickhousetest.Options{})
	k := newKillTrial(t, "--clickhouse="+server.URL("lastseen"), "--admin-addr=")
	for cycle := range cycles {
		switch cycle % 3 {
		case 0:
			k.stopUnderIngest(t, k.kill)
			k.start(t)
		case 1:
			k.stopUnderIngest(t, server.Kill)
			mustStart(t, server)
			k.waitReady(t)
		case 2:
			k.stopUnderIngest(t, func() error {
				_ = server.Kill()
				return k.kill()
			})
			mustStart(t, server)
			k.start(t)
		}
		k.survived = cycle%3 == 1
		k.check(t)
		if t.Failed() {
			t.Fatalf("after cycle %d", cycle)
		}
	}
	if err := k.terminate(); err != nil {
		t.Error(err)
	}
	t.Logf("%d cycles, %d points acknowledged", cycles, k.acknowledged())
}

func mustStart(t *testing.T, server *clickhousetest.Server) {
	t.Helper()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
}

// waitReady waits until the service is ready.
func (k *killTrial) waitReady(t *testing.T) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if status, _, err := k.do(t.Context(), http.MethodGet, "/readyz", nil, "", ""); err == nil && status == http.StatusOK {
			return
		}
		if time.Since(began) > startTimeout {
			t.Fatal("the service does not become ready")
		}
	}
}
