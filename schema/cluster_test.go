package schema_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lastseen/schema"
	"lastseen/schema/clickhousetest"
	"lastseen/schema/schematest"
)

// openAt opens a database on servers of the test's own.
func openAt(t *testing.T, server *clickhousetest.Server, options schema.Options) (*schema.DB, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	options.ClickHouse = server.URL("lastseen")
	db, err := schema.Open(ctx, options)
	if err == nil {
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return db, err
}

func TestSeveralNodesMakeTheTablesOfAClusterAtOnce(t *testing.T) {
	t.Parallel()
	servers := clickhousetest.StartCluster(t, "pair", 2, clickhousetest.Options{})
	var nodes sync.WaitGroup
	for i := range 4 {
		nodes.Go(func() {
			db, err := openAt(t, servers[i%2], schema.Options{Cluster: "pair", Retention: 24 * time.Hour * 123, DiskReserve: 1 << 20})
			if err == nil {
				err = db.Migrate(t.Context())
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	nodes.Wait()
	for _, server := range servers {
		got := server.Query(t, `SELECT countIf(engine LIKE '%MergeTree') > 1, countIf(engine LIKE '%MergeTree') = countIf(engine = 'Distributed'), countIf(create_table_query LIKE '%toIntervalDay(123)%')
FROM system.tables WHERE database = 'lastseen'`)
		if got != "1\t1\t1" {
			t.Errorf("a host has tables with rows, as many over them, one with the retention: %q, want 1, 1, 1", got)
		}
	}
}

// TestReplicatedTablesRegisterInTheKeeper goes as far as servers without an interserver port can: each
// replica's table is made and registered, and stays read-only, since nothing could be fetched from it. So
// the migration waits at its first insert.
func TestReplicatedTablesRegisterInTheKeeper(t *testing.T) {
	t.Parallel()
	schematest.OnlyOn(t, schematest.Embedded, "the test starts its own servers, once is enough")
	keeper := clickhousetest.StartKeeper(t)
	servers := clickhousetest.StartCluster(t, "pair", 2, clickhousetest.Options{Config: keeper.Config()})
	yes := true
	db, err := openAt(t, servers[0], schema.Options{Cluster: "pair", Replicated: &yes})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	migrated := make(chan error, 1)
	go func() { migrated <- db.Migrate(ctx) }()
	for i, server := range servers {
		const made = `SELECT count(), countIf(is_readonly), any(extract(zookeeper_path, '/clickhouse/tables/([0-9])/lastseen/')),
  (SELECT countIf(engine LIKE 'Replicated%MergeTree') FROM system.tables WHERE database = 'lastseen'),
  (SELECT countIf(engine = 'Distributed') FROM system.tables WHERE database = 'lastseen')
FROM system.replicas WHERE database = 'lastseen'`
		want := fmt.Sprintf("7\t7\t%d\t7\t7", i+1)
		got := server.Query(t, made)
		for ; got != want && ctx.Err() == nil; got = server.Query(t, made) {
			time.Sleep(20 * time.Millisecond) // until the next look
		}
		if got != want {
			t.Errorf("host %d has tables registered, of these read-only, of the shard, Replicated, Distributed: %q, want %q", i+1, got, want)
		}
	}
	cancel()
	if err := <-migrated; err == nil {
		t.Error("the migration has come to its end, so that more can be tested here than before: see docs/clickhouse.md")
	}
}

func TestAnUnknownClusterIsNamed(t *testing.T) {
	t.Parallel()
	server := clickhousetest.Start(t, clickhousetest.Options{})
	_, err := openAt(t, server, schema.Options{Cluster: "fleet"})
	if err == nil || !strings.Contains(err.Error(), `knows no cluster "fleet"`) {
		t.Errorf("the error is %v", err)
	}
}

func TestAUserWhoMayNotMakeTheDatabaseUsesTheOneThereIs(t *testing.T) {
	t.Parallel()
	server := clickhousetest.Start(t, clickhousetest.Options{Users: usersWith(map[string][]string{"service": schema.NeededRights("fleet", false)})})
	server.Query(t, "CREATE DATABASE fleet")
	db, err := schema.Open(t.Context(), schema.Options{ClickHouse: "http://service:secret@" + server.Address() + "/fleet"})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	session := schema.NewID()
	points := []schema.OwnedPoint{{DataPoint: schema.NewDataPoint(session, time.Now().UnixMilli(), 1, 2), OrgID: "org_a"}}
	if err := db.InsertDataPoints(t.Context(), points); err != nil {
		t.Fatal(err)
	}
	if newest, err := db.NewestPoints(t.Context(), []schema.ID{session}); err != nil || len(newest) != 1 {
		t.Errorf("%d newest points, %v; want 1", len(newest), err)
	}
}

// openFailure is why a database cannot be opened at an address; it must be one sentence on one line.
func openFailure(t *testing.T, options schema.Options) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	db, err := schema.Open(ctx, options)
	if err == nil {
		t.Fatal(errors.Join(errors.New("it has opened"), db.Close()))
	}
	return err.Error()
}

// usersWith is a server's users with the password "secret", who have rights.
func usersWith(rights map[string][]string) string {
	var users strings.Builder
	for user, granted := range rights {
		fmt.Fprintf(&users, "<%s><password>secret</password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota><grants>", user)
		for _, right := range granted {
			fmt.Fprintf(&users, "<query>GRANT %s</query>", right)
		}
		fmt.Fprintf(&users, "</grants></%s>", user)
	}
	return "<users>" + users.String() + "</users>"
}

// TestEachRightIsNeededAndNamedWhereItLacks opens a database as users who have all rights that the service needs on a cluster but one.
func TestEachRightIsNeededAndNamedWhereItLacks(t *testing.T) {
	t.Parallel()
	needed := append(schema.NeededRights("tracking", true), "CREATE DATABASE ON tracking.*")
	rights := map[string][]string{"complete": needed}
	for i := range needed {
		rights[fmt.Sprint("lacks", i)] = slices.Delete(slices.Clone(needed), i, i+1)
	}
	shards := clickhousetest.StartCluster(t, "fleet", 2, clickhousetest.Options{Users: usersWith(rights)})
	start := func(user string) error {
		db, err := schema.Open(t.Context(), schema.Options{ClickHouse: "http://" + user + ":secret@" + shards[0].Address() + "/tracking", Cluster: "fleet"})
		if err != nil {
			return err
		}
		return errors.Join(db.Migrate(t.Context()), db.Close())
	}
	for i, right := range needed {
		got, want := fmt.Sprint(start(fmt.Sprint("lacks", i))), "the ClickHouse user lacks rights that lastseen needs: GRANT "+right+" TO it, and start again"
		if strings.HasPrefix(right, "CREATE DATABASE") {
			want = "the ClickHouse user may not create the database tracking: grant it the right, or create the database and grant it all rights there"
		}
		if got != want {
			t.Errorf("without %s one is told %q, want %q", right, got, want)
		}
	}
	if err := start("complete"); err != nil {
		t.Error(err)
	}
}

func TestBadAddressesGetASentenceThatSaysWhatToDo(t *testing.T) {
	t.Parallel()
	website := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "<html>Welcome</html>") }))
	defer website.Close()
	missing := httptest.NewServer(http.NotFoundHandler())
	defer missing.Close()
	old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-ClickHouse-Exception-Code", "115")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintln(w, "Code: 115. DB::Exception: Unknown setting client_protocol_version. (UNKNOWN_SETTING)")
	}))
	defer old.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	server := clickhousetest.Start(t, clickhousetest.Options{Users: usersWith(map[string][]string{"reader": schema.NeededRights("x", false)})})
	for address, want := range map[string]string{
		"htp://127.0.0.1:8123/x":           "must be \"embedded\" or begin with http:// or https://",
		"http://127.0.0.1:port/x":          "read the ClickHouse address",
		"http://" + nobody:                 "connection refused",
		"http://no-such-host.invalid:8123": "no such host",
		website.URL:                        "is no ClickHouse server: give the address of its HTTP interface, usually port 8123",
		missing.URL:                        "is no ClickHouse server: give the address of its HTTP interface, usually port 8123",
		"http://127.0.0.1:" + fmt.Sprint(server.TCPPort): "is no ClickHouse server: give the address of its HTTP interface, usually port 8123",
		old.URL: "upgrade it to 24.11 or newer",
		"http://reader:wrong@" + server.Address():         "does not let the user in: check the user and the password in the address",
		"http://reader:secret@" + server.Address() + "/x": "may not create the database x: grant it the right",
		"http://" + server.Address() + "/no-such":         "must consist of letters, digits and underscores",
	} {
		got := openFailure(t, schema.Options{ClickHouse: address})
		if !strings.Contains(got, want) || strings.Contains(got, "secret") || strings.Contains(got, "wrong") || strings.Contains(strings.TrimSpace(got), "\n") {
			t.Errorf("%s: %q, want one line with %q", address, got, want)
		}
		if strings.Contains(got, "sendQuery") || strings.Contains(got, "DB::Exception") || len(got) > 250 {
			t.Errorf("%s: %q is not what went wrong but how the driver came to it", address, got)
		}
	}
}
