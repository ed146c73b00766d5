package schematest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"lastseen/schema"
	"lastseen/schema/clickhousetest"
	"lastseen/schema/embedded"
)

// The layouts of ClickHouse under which tests run.
const (
	Embedded = "embedded" // the engine in the process, unless something else is asked for
	Server   = "server"   // one server in a process of its own
	Sharded  = "cluster"  // two servers, each a shard of a cluster
)

// Layout is the one under test: what LASTSEEN_TEST_LAYOUT says.
func Layout() string {
	switch layout := os.Getenv("LASTSEEN_TEST_LAYOUT"); layout {
	case "", Embedded:
		return Embedded
	case Server, Sharded:
		return layout
	default:
		panic("LASTSEEN_TEST_LAYOUT must be embedded, server or cluster, and is " + layout)
	}
}

// OnlyOn skips a test that is about one layout on all others.
func OnlyOn(tb testing.TB, layout, why string) {
	tb.Helper()
	if Layout() != layout {
		tb.Skipf("only on the layout %s: %s", layout, why)
	}
}

// NotOn skips a test on a layout that has nothing of what it is about.
func NotOn(tb testing.TB, layout, why string) {
	tb.Helper()
	if Layout() == layout {
		tb.Skipf("not on the layout %s: %s", layout, why)
	}
}

// Cluster is the name of the cluster under test, empty where there is none.
func Cluster() string {
	if Layout() == Sharded {
		return "fleet"
	}
	return ""
}

// running is the ClickHouse of this test process; a database a test keeps tests apart.
var running struct {
	engineOnce sync.Once
	engineDir  string
	engine     *embedded.Engine

	serversOnce sync.Once
	servers     []*clickhousetest.Server

	err error
}

// Engine returns the process's embedded engine, which Main closes.
func Engine(tb testing.TB) *embedded.Engine {
	tb.Helper()
	running.engineOnce.Do(func() {
		running.engineDir, running.err = os.MkdirTemp("", "lastseen-test-")
		if running.err == nil {
			running.engine, running.err = embedded.Open(filepath.Join(running.engineDir, "clickhouse"), embedded.Options{Connections: 8})
		}
	})
	if running.err != nil {
		tb.Fatalf("open the embedded engine: %v", running.err)
	}
	return running.engine
}

// Address is what schema.Options.ClickHouse takes for the servers under test, which Main ends.
func Address(tb testing.TB) string {
	tb.Helper()
	return address(servers(tb))
}

func address(servers []*clickhousetest.Server) string {
	var hosts []string
	for _, server := range servers {
		hosts = append(hosts, server.Address())
	}
	return "http://" + strings.Join(hosts, ",")
}

// ServeFlags are the flags by which lastseen serve uses the ClickHouse under test: with a data directory it
// has always the same database, which nobody else has. On the embedded layout there are none.
func ServeFlags(dataDir string) ([]string, error) {
	if Layout() == Embedded {
		return nil, nil
	}
	if err := started(); err != nil {
		return nil, err
	}
	at := address(running.servers)
	if Cluster() != "" {
		at = strings.Replace(at, "http://", "http://service@", 1) // as serviceUser says
	}
	flags := []string{"--clickhouse", at, "--database", fmt.Sprintf("test_%x", sha256.Sum256([]byte(dataDir)))[:30]}
	if Cluster() != "" {
		flags = append(flags, "--cluster", Cluster())
	}
	return flags, nil
}

// started starts the servers under test, once.
func started() error {
	running.serversOnce.Do(func() { running.err = startServers() })
	return running.err
}

func servers(tb testing.TB) []*clickhousetest.Server {
	tb.Helper()
	if err := started(); err != nil {
		tb.Fatalf("start the ClickHouse under test: %v", err)
	}
	return running.servers
}

func startServers() (err error) {
	if Layout() == Sharded {
		running.servers, err = clickhousetest.NewCluster(Cluster(), 2, clickhousetest.Options{Users: serviceUser()})
	} else {
		var server *clickhousetest.Server
		server, err = clickhousetest.New(clickhousetest.Options{Config: "<backups><allowed_path>/</allowed_path></backups>"})
		running.servers = []*clickhousetest.Server{server}
	}
	if err != nil {
		return err
	}
	for _, server := range running.servers {
		if err := server.Start(); err != nil {
			return err
		}
	}
	return nil
}

// Stop ends the ClickHouse under test. Main does so; it is for packages with a TestMain of their own.
func Stop() (err error) {
	if running.engine != nil {
		err = running.engine.Close()
	}
	if running.engineDir != "" {
		err = errors.Join(err, os.RemoveAll(running.engineDir))
	}
	for _, server := range running.servers {
		err = errors.Join(err, server.Close())
	}
	return err
}

// serviceUser is the user of ServeFlags on a cluster. It has the rights that the service needs and no others, in the
// databases of tests.
func serviceUser() string {
	var grants strings.Builder
	for _, right := range append(schema.NeededRights("test_*", true), "CREATE DATABASE ON test_*.*") {
		fmt.Fprintf(&grants, "<query>GRANT %s</query>", right)
	}
	return "<users><service><password></password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota><grants>" +
		grants.String() + "</grants></service></users>"
}
