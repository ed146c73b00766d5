package schema_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"lastseen/schema"
	"lastseen/schema/clickhousetest"
	"lastseen/schema/schematest"
)

// writes are the statements that go through doors, each of which makes rows out of a number.
var writes = map[string]func(ctx context.Context, db *schema.DB, n int) error{
	"session_by_device_data_points": func(ctx context.Context, db *schema.DB, n int) error {
		at := time.Date(2026, time.Month(1+n%12), 2, 0, 0, 0, 0, time.UTC).UnixMilli()
		return db.InsertDataPoints(ctx, []schema.OwnedPoint{
			{DataPoint: schema.DataPoint{SessionID: numbered(n), Timestamp: at, ReceivedAt: at, Altitude: schema.NoAltitude}, OrgID: "org_a"},
			{DataPoint: schema.DataPoint{SessionID: numbered(n), Timestamp: at + 40*24*3600*1000, ReceivedAt: at}, OrgID: "org_a"},
		})
	},
	"session_by_device_last_seen": func(ctx context.Context, db *schema.DB, n int) error {
		return db.SaveCheckpoints(ctx, []schema.Checkpoint{{Point: schema.DataPoint{SessionID: numbered(n), Timestamp: 1}, NewestTimestamp: 1}}, uint64(n), 1)
	},
	"sessions": func(ctx context.Context, db *schema.DB, n int) error {
		comment := "through a door"
		return db.SaveSession(ctx, schema.Session{ID: numbered(n), OrgID: "org_a", Comments: &comment, CreatedAt: time.UnixMilli(1), Version: 1})
	},
	"devices": func(ctx context.Context, db *schema.DB, n int) error {
		return db.SaveDevice(ctx, schema.Device{ID: numbered(n), OrgID: "org_a", CreatedAt: time.UnixMilli(1), Version: 1})
	},
}

func numbered(n int) schema.ID {
	id, _ := schema.ParseID(fmt.Appendf(nil, "%024x", n+1))
	return id
}

// rowsOf counts those of a number.
func rowsOf(t *testing.T, db *schema.DB, table string, n int) (count uint64) {
	t.Helper()
	id := "session_id"
	if table == "devices" {
		id = "device_id"
	}
	conn := schematest.Connect(t, db)
	defer conn.Close()
	if err := conn.QueryRow(t.Context(), fmt.Sprintf("SELECT count() FROM %s WHERE %s = '%s'", table, id, numbered(n))).Scan(&count); err != nil {
		t.Fatal(err)
	}
	return count
}

func openDoors(t *testing.T, db *schema.DB, epoch uint64) {
	t.Helper()
	if err := db.OpenDoors(t.Context(), epoch); err != nil {
		t.Fatal(err)
	}
}

// TestWhatIsWrittenThroughADoorIsInTheTable compares it with what is written without.
func TestWhatIsWrittenThroughADoorIsInTheTable(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	for table, write := range writes {
		if err := write(t.Context(), db, 1); err != nil {
			t.Fatal(err)
		}
		plain := rowsOf(t, db, table, 1)
		openDoors(t, db, 3)
		if err := write(t.Context(), db, 2); err != nil {
			t.Fatal(err)
		}
		if through := rowsOf(t, db, table, 2); plain == 0 || through != plain {
			t.Errorf("through a door %d rows reach the table %s, and %d without", through, table, plain)
		}
	}
	read := func(n int) string {
		conn := schematest.Connect(t, db)
		defer conn.Close()
		var text string
		err := conn.QueryRow(t.Context(), fmt.Sprintf(`SELECT toString(groupArray(tuple(* EXCEPT (session_id, timestamp, received_at)))) FROM (
SELECT * FROM session_by_device_data_points WHERE session_id = '%s' ORDER BY timestamp)`, numbered(n))).Scan(&text)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	if plain, through := read(1), read(2); plain != through {
		t.Errorf("points that went through a door are %s, and others %s", through, plain)
	}
}

// TestWhoWroteBeforeFindsNoDoor has two processes, of which the later one has the database.
func TestWhoWroteBeforeFindsNoDoor(t *testing.T) {
	t.Parallel()
	before := schematest.Open(t)
	openDoors(t, before, 3)
	openDoors(t, before, 3) // as a start does that has failed half way
	after := schematest.OpenNamed(t, before.Database())
	openDoors(t, after, 10)
	for table, write := range writes {
		if err := write(t.Context(), before, 1); err == nil {
			t.Errorf("who wrote before writes the table %s still", table)
		}
		if n := rowsOf(t, before, table, 1); n > 0 {
			t.Errorf("who wrote before has written %d rows of the table %s", n, table)
		}
		if err := write(t.Context(), after, 2); err != nil || rowsOf(t, after, table, 2) == 0 {
			t.Errorf("who writes now does not write the table %s: %v", table, err)
		}
	}
	conn := schematest.Connect(t, after)
	defer conn.Close()
	var doors uint64
	if err := conn.QueryRow(t.Context(), "SELECT count() FROM system.tables WHERE database = currentDatabase() AND position(name, '_door_') > 0").Scan(&doors); err != nil || doors != 2*uint64(len(writes)) {
		t.Errorf("there are %d doors and ways from doors, want two for each of %d tables: %v", doors, len(writes), err)
	}
}

// TestDoorsThatSomebodyDroppedAreMissing drops a door, and the way from another.
func TestDoorsThatSomebodyDroppedAreMissing(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	openDoors(t, db, 3)
	missing := func(epoch uint64) []string {
		names, err := db.MissingDoors(t.Context(), epoch)
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	if names := missing(3); len(names) > 0 {
		t.Errorf("doors that were just made are missing: %v", names)
	}
	if names := missing(2); len(names) != 2*len(writes) {
		t.Errorf("of doors that were never made are missing: %v", names)
	}
	conn := schematest.Connect(t, db)
	defer conn.Close()
	want := []string{"sessions_door_3", "devices_door_3_way"}
	for _, name := range want {
		if err := conn.Exec(t.Context(), "DROP TABLE "+name+" SYNC"); err != nil {
			t.Fatal(err)
		}
	}
	if names := missing(3); !slices.Equal(names, want) {
		t.Errorf("missing are %v, want %v", names, want)
	}
}

// TestAnInsertThatIsHeldUpArrivesAtAClosedDoor has a writer whose statements are kept back on their way, before ClickHouse has seen
// anything of them.
func TestAnInsertThatIsHeldUpArrivesAtAClosedDoor(t *testing.T) {
	t.Parallel()
	schematest.OnlyOn(t, schematest.Embedded, "it has a server of its own")
	server := clickhousetest.Start(t, clickhousetest.Options{})
	leader := openServer(t, server.Address())
	if err := leader.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	epoch := uint64(1)
	for table, write := range writes {
		count := func() string { return server.Query(t, "SELECT count() FROM lastseen."+table) }
		proxy := clickhousetest.StartProxy(t, server.Address())
		late := openServer(t, proxy.Address())
		openDoors(t, late, epoch)
		if err := write(t.Context(), late, 0); err != nil {
			t.Fatal(err)
		}
		before := count()
		proxy.Hold()
		outcome := make(chan error, 1)
		go func() { outcome <- write(t.Context(), late, 5) }()
		epoch++
		openDoors(t, leader, epoch)
		proxy.Release()
		if err := <-outcome; err == nil || !strings.Contains(err.Error(), "_door_") {
			t.Errorf("an insert into %s that arrives late is answered %v", table, err)
		}
		if after := count(); after != before {
			t.Errorf("an insert into %s that arrives late leaves %s rows, and there were %s", table, after, before)
		}
	}
	t.Run("broken off half way through", func(t *testing.T) { breakHalfAnInsert(t, server, leader, epoch) })
}

// breakHalfAnInsert begins an insert whose sender dies half way through.
func breakHalfAnInsert(t *testing.T, server *clickhousetest.Server, leader *schema.DB, epoch uint64) {
	conn, err := net.Dial("tcp", server.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// ClickHouse begins once it has more than a query may be long.
	rows := strings.Repeat(`{"session_id":"half","org_id":"org_a"}`+"\n", 10_000)
	fmt.Fprintf(conn, "POST /?database=lastseen&query=%s HTTP/1.1\r\nHost: clickhouse\r\nContent-Length: %d\r\n\r\n%s",
		url.QueryEscape(fmt.Sprintf("INSERT INTO sessions_door_%d FORMAT JSONEachRow", epoch)), 2*len(rows), rows)
	under := "SELECT count() FROM system.processes WHERE startsWith(query, 'INSERT INTO sessions_door_')"
	until(t, "the insert is under way", func() bool { return server.Query(t, under) == "1" })
	closed := make(chan error, 1)
	go func() { closed <- leader.OpenDoors(t.Context(), epoch+1) }()
	select {
	case err := <-closed:
		t.Fatalf("a door is closed while an insert uses it: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	if left := server.Query(t, "SELECT count() FROM lastseen.sessions WHERE session_id = 'half'"); left != "0" {
		t.Errorf("an insert that was broken off leaves %s rows", left)
	}
}

// openServer opens the database of a server, or of a proxy in front of one.
func openServer(t *testing.T, address string) *schema.DB {
	t.Helper()
	db, err := schema.Open(t.Context(), schema.Options{ClickHouse: "http://" + address, NoFsync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// until polls for a condition.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick, late := time.NewTicker(10*time.Millisecond), time.After(20*time.Second)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("not after 20 s: %s", what)
		}
	}
}
