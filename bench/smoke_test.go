package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lastseen/bench/baseline"
	"lastseen/bench/record"
	"lastseen/bench/rig"
	"lastseen/bench/scenario"
)

// programs builds what the tests measure, once, into a directory that TestMain removes.
var programs = sync.OnceValues(func() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "lastseen-bench-"); err != nil {
		return "", err
	}
	built = dir
	binary := filepath.Join(dir, "lastseen")
	for _, arguments := range [][]string{
		{"build", "-o", binary, "lastseen/cmd/lastseen"},
		{"build", "-C", "baselines", "-o", BesideExecutable(binary), "."},
	} {
		if out, err := exec.Command("go", arguments...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("build a program: %w\n%s", err, out)
		}
	}
	return dir, nil
})

// built is the directory of programs, empty before.
var built string

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(code)
}

// smallConfig measures next to nothing: these tests are about the suite, not about speed.
func smallConfig(t *testing.T) Config {
	t.Helper()
	if testing.Short() {
		t.Skip("starts the real binary many times")
	}
	if runtime.GOOS != "linux" {
		t.Skip("the load generator needs Linux")
	}
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	config := Defaults()
	config.Executable = filepath.Join(dir, "lastseen")
	config.BaselinesProgram = BesideExecutable(config.Executable)
	config.Sessions, config.Organisations, config.KeysPerOrganisation, config.PointsPerSession = 200, 2, 1, 2
	config.Connections, config.Rounds, config.Duration, config.WarmUp = 4, 1, 150*time.Millisecond, 20*time.Millisecond
	config.Rate, config.HistoryPoints, config.Waiters, config.Revocations, config.Soak = 500, 5000, 20, 2, 300*time.Millisecond
	config.Progress = testLog{t}
	return config
}

// testLog passes the suite's progress on to a test's log.
type testLog struct{ t *testing.T }

// Write implements io.Writer.
func (l testLog) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

func TestEveryScenarioRunsAgainstTheRealBinary(t *testing.T) {
	config := smallConfig(t)
	// Nodes take longer: see TestNodesAreMeasured.
	config.Scenarios = slices.DeleteFunc(scenario.Names(), func(name string) bool { return name == "nodes" })
	checkOutcomes(t, config)
}

// TestNodesAreMeasured runs the scenario of several nodes with its quickest failure.
func TestNodesAreMeasured(t *testing.T) {
	if os.Getenv("LASTSEEN_TEST_NODES") == "" {
		t.Skip("it takes a quarter of a minute: make test-nodes")
	}
	config := smallConfig(t)
	config.Scenarios, config.Failures = []string{"nodes"}, []string{"a follower leaves"}
	checkOutcomes(t, config)
	config.Failures = []string{"a meteorite"}
	if err := Run(t.Context(), config); err == nil || !strings.Contains(err.Error(), "there is no failure") {
		t.Errorf("with a failure that there is not: %v", err)
	}
}

// checkOutcomes runs scenarios and looks whether each has an outcome that can be shown.
func checkOutcomes(t *testing.T, config Config) {
	t.Helper()
	config.JSON, config.Record = true, t.TempDir()
	var out bytes.Buffer
	config.Output = &out
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	if err := Run(ctx, config); err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(&out)
	for _, name := range config.Scenarios {
		var o record.Outcome
		if err := decoder.Decode(&o); err != nil {
			t.Fatalf("the outcome of %s: %v", name, err)
		}
		if o.Scenario != name || len(o.Settings) == 0 || o.Machine.Cores == 0 {
			t.Errorf("the outcome of %s is %+v", name, o)
		}
		notOffered := len(o.Notes) == 1 && strings.HasPrefix(o.Notes[0], "Not offered")
		if len(o.Tables) == 0 && !notOffered {
			t.Errorf("%s found nothing: %+v", name, o)
		}
		for _, table := range o.Tables {
			for _, row := range table.Rows {
				if len(row) != len(table.Header) {
					t.Errorf("%s: a row of the table %q has %d cells under %d headings", name, table.Title, len(row), len(table.Header))
				}
			}
		}
	}
	if err := decoder.Decode(new(record.Outcome)); err != io.EOF {
		t.Errorf("after the last outcome: %v", err)
	}
}

func TestTheEmbeddedEngineAndAServerAreMeasuredSideBySide(t *testing.T) {
	config := smallConfig(t)
	config.Scenarios, config.ClickHouse, config.JSON = []string{"last-seen", "ingest", "history"}, []string{OnEmbedded, OnServer}, true
	config.Baselines = []string{baseline.Bare}
	var out bytes.Buffer
	config.Output = &out
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := Run(ctx, config); err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(&out)
	for _, name := range config.Scenarios {
		var embedded, server record.Outcome
		if err := errors.Join(decoder.Decode(&embedded), decoder.Decode(&server)); err != nil {
			t.Fatalf("the outcomes of %s: %v", name, err)
		}
		if embedded.Scenario != name || embedded.OnServer() || server.Scenario != name || !server.OnServer() || len(server.Tables) == 0 {
			t.Errorf("the outcomes of %s are %+v and %+v", name, embedded, server)
		}
		judged := slices.ContainsFunc(server.Verdicts, func(v record.Verdict) bool { return strings.Contains(v.What, "the embedded engine's") })
		if judged != (name == "last-seen") {
			t.Errorf("%s on a server is judged beside the embedded engine: %v", name, judged)
		}
	}
}

func TestADeploymentIsMeasuredByItsAddressAndKeys(t *testing.T) {
	config := smallConfig(t)
	services := rig.New(rig.Options{
		Lastseen: config.Executable, Baselines: config.BaselinesProgram, Dir: t.TempDir(), Connections: config.Connections,
		KeysPerOrganisation: config.KeysPerOrganisation, Say: func(format string, args ...any) { t.Logf(format, args...) },
	})
	stage, err := scenario.NewStage(config.Settings, services, &rig.Loads{Connections: 1, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := stage.Close(); err != nil {
			t.Error(err)
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	on, err := stage.Lastseen(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, keys := range on.Catalogue.Keys {
		config.Keys = append(config.Keys, keys...)
	}
	config.BaselinesProgram = "" // a deployment is measured without it
	var out bytes.Buffer
	config.Target, config.Output, config.P99 = on.API.Base, &out, time.Minute
	if err := Run(ctx, config); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if !strings.Contains(text, "200 sessions") || !strings.Contains(text, "requests/s at a p99 of at most 1m0s. Plan with ") {
		t.Errorf("the advice is:\n%s", text)
	}
	if strings.Contains(text, config.Keys[0]) {
		t.Error("a key is in the report")
	}

	config.Keys = nil
	if err := Run(ctx, config); err == nil || !strings.Contains(err.Error(), "API key") {
		t.Errorf("without a key: %v", err)
	}
	config.Keys, config.Target = []string{"ak_wrong"}, "ftp://nowhere"
	if err := Run(ctx, config); err == nil || !strings.Contains(err.Error(), "must be an address") {
		t.Errorf("with another scheme: %v", err)
	}
}
