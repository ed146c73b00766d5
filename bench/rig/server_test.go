package rig

import (
	"context"
	"strings"
	"testing"

	"lastseen/bench/traffic"
	"lastseen/schema/clickhousetest"
)

func TestAServerOfSomebodysGetsDatabasesThatAreGoneAfterwards(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a server")
	}
	real := clickhousetest.Start(t, clickhousetest.Options{Users: `
<users><ann><password>secret</password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota></ann></users>`})
	ctx := context.Background()
	s, err := UseServer(ctx, "http://ann:secret@"+real.Address())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(s.Version, "ClickHouse 2") || strings.Contains(s.Describe(), "secret") {
		t.Errorf("the version is %q, and the description %q", s.Version, s.Describe())
	}
	if got, want := s.database("ingest-yardstick"), "http://ann:secret@"+real.Address()+"/lastseen_bench_ingest_yardstick"; got != want {
		t.Errorf("a database is %s, want %s", got, want)
	}
	for _, statement := range []string{"CREATE DATABASE lastseen_bench_x", "CREATE DATABASE others", "CREATE TABLE lastseen_bench_x.old ENGINE = MergeTree ORDER BY a AS SELECT 1 AS a"} {
		if answer := real.Query(t, statement); answer != "" {
			t.Fatal(answer)
		}
	}
	if err := s.empty(ctx, "x"); err != nil {
		t.Fatal(err)
	}
	real.Query(t, "CREATE DATABASE lastseen_bench_x") // as the service does
	real.Query(t, "CREATE TABLE lastseen_bench_x.t ENGINE = MergeTree ORDER BY a AS SELECT number AS a FROM numbers(1000)")

	request, possible := s.Select("x", "SELECT a FROM t WHERE a < {most:Int64} FORMAT JSONEachRow", map[string]string{"most": "3"})
	if !possible {
		t.Fatal("a server without TLS cannot be asked itself")
	}
	p, err := traffic.NewPuller(ctx, request.Address, request.Authorization)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if got, err := p.Pull(ctx, request.Path, "identity", false); err != nil || got.Bytes != int64(len(`{"a":0}`+"\n")*3) {
		t.Errorf("asked itself, the server sends %d bytes: %v", got.Bytes, err)
	}
	if err := s.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if left := real.Query(t, "SELECT groupArray(name) FROM system.databases WHERE name IN ('lastseen_bench_x', 'others')"); left != "['others']" {
		t.Errorf("the databases %s are left, want others", left)
	}

	_, err = UseServer(ctx, "http://ann:mistaken@"+real.Address())
	if err == nil || strings.Contains(err.Error(), "mistaken") {
		t.Errorf("with a wrong password the error is %v", err)
	}
}

func TestOnlyTheAddressOfAServerIsTaken(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "127.0.0.1:8123", "ftp://ann:secret@host", "http://ann:secret@host/database", "http://ann:secret@host?x=1", "http://ann:sec ret@host"} {
		if _, err := UseServer(context.Background(), address); err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "sec ret") {
			t.Errorf("%q: %v", address, err)
		}
	}
	var none *Server
	if _, possible := none.Select("x", "SELECT 1", nil); possible {
		t.Error("an embedded engine can be asked itself")
	}
	if none.CPU() != 0 {
		t.Error("no server has spent processor time")
	}
}
