package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"lastseen/schema"
	"lastseen/schema/clickhousetest"
	"lastseen/schema/lease"
	"lastseen/schema/schematest"
)

// TestASecondServiceOnAServerIsRefused: services on one server, with data directories of their own.
func TestASecondServiceOnAServerIsRefused(t *testing.T) {
	t.Parallel()
	schematest.OnlyOn(t, schematest.Embedded, "the test starts its own server")
	server := storeServer(t)
	dir, address := t.TempDir(), "http://"+server.Address()+"/lastseen"
	first := startOnStore(t, storeEnv, dir, address, "--admin-addr=")
	first.begin(t, "org_writer")
	refused := func(dir, says string) {
		t.Helper()
		began := time.Now()
		_, stderr, code := command(t, append(storeEnv, "LASTSEEN_CLICKHOUSE="+address), "serve", "--addr=127.0.0.1:0", "--admin-addr=", "--data-dir="+dir)
		if code == 0 || !strings.Contains(stderr, says) || !strings.Contains(stderr, fmt.Sprintf("process %d", first.process.Process.Pid)) {
			t.Errorf("a second service: exit code %d after %s, stderr %s", code, time.Since(began), stderr)
		}
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	refused(t.TempDir(), "another lastseen writes to this database")
	refused(t.TempDir(), "on the host "+host)
	refused(dir, "is in use")
	if status, _ := first.sendPoints(t, 1); status != http.StatusOK {
		t.Errorf("after a second service was refused, the first one's points are answered %d", status)
	}
	// Its next process need not wait for the lease of the one that was killed, which the lock proves dead.
	if err := first.kill(); err != nil {
		t.Fatal(err)
	}
	startsAtOnce := func(what, dir string) *storeService {
		t.Helper()
		began := time.Now()
		s := startOnStore(t, storeEnv, dir, address, "--admin-addr=")
		if took := time.Since(began); took > lease.Length {
			t.Errorf("%s starts after %s", what, took)
		}
		return s
	}
	next := startsAtOnce("the next process on the data directory", dir)
	if err := next.terminate(); err != nil {
		t.Fatal(err)
	}
	// Nor need another node when the lease was given up.
	other := startsAtOnce("another node after the end of the first", t.TempDir())
	if err := other.terminate(); err != nil {
		t.Error(err)
	}
}

// TestAServiceThatLostItsLeaseWritesNothing cuts a service off its server until another has taken over.
func TestAServiceThatLostItsLeaseWritesNothing(t *testing.T) {
	t.Parallel()
	schematest.OnlyOn(t, schematest.Embedded, "the test starts its own server")
	server := clickhousetest.Start(t, clickhousetest.Options{})
	proxy := newProxy("127.0.0.1:0", server)
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Stop)
	start := func(address string) *App {
		t.Helper()
		config := testConfig(t)
		config.schema.ClickHouse, config.lease = "http://"+address+"/lastseen", 2*time.Second
		app, err := StartApp(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		return app
	}
	first := start(proxy.Listen)
	proxy.Stop()
	second := start(server.Address())
	if err := first.lease.Held(); err == nil {
		t.Error("the second service has started while the first one may write")
	}
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-first.Served():
		if !errors.Is(err, lease.ErrLost) {
			t.Errorf("the first service ends with %v", err)
		}
	case <-time.After(startTimeout):
		t.Fatal("the first service does not learn that another has taken over")
	}
	if err := schema.Failure(first.db.InsertSpentTokens(t.Context(), []schema.SpentToken{{ID: "late"}})); !errors.Is(err, schema.Unavailable) || !errors.Is(err, lease.ErrLost) {
		t.Errorf("the first service writes: %v", err)
	}
	if got := status(t, "http://"+first.Addr()+"/readyz"); got != http.StatusServiceUnavailable {
		t.Errorf("/readyz of the first service is %d", got)
	}
	if err := first.Stop(t.Context()); err != nil {
		t.Errorf("the first service stops with %v", err)
	}
	if got := status(t, "http://"+second.Addr()+"/readyz"); got != http.StatusOK {
		t.Errorf("/readyz of the second service is %d", got)
	}
	if err := second.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
