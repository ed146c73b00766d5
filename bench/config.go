package bench

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"lastseen/bench/baseline"
	"lastseen/bench/scenario"
)

// What Config.ClickHouse can be besides an address.
const (
	OnEmbedded = "embedded" // the engine in the service's process
	OnServer   = "server"   // a server that the suite starts, by `lastseen clickhouse`
)

// Config says what the suite measures and how long. Config{} is not usable: Defaults is.
type Config struct {
	scenario.Settings

	// Executable is the lastseen binary to measure, and BaselinesProgram what serves and loads beside it;
	// see BesideExecutable.
	Executable, BaselinesProgram string
	// Scenarios are the names of what to run, in this order; see scenario.Names.
	Scenarios []string

	// ClickHouse is where the measured services keep their data: OnEmbedded, OnServer, or the address of a
	// server, http://user:password@host:8123. Embedded and a server are measured side by side.
	ClickHouse []string

	// Connections and Workers are those of the load generator; 0 workers means one for every four
	// processors, at least one.
	Connections, Workers int
	// Duration is how long each lane's turn lasts, and WarmUp how long it runs beforehand without being
	// recorded.
	Duration, WarmUp time.Duration
	// Pin keeps client and servers on different processors.
	Pin bool

	// Target is the address of a deployment to measure instead of starting one, such as
	// https://host, with Keys as its API keys.
	Target string
	Keys   []string
	// P99 is the latency that the sizing advice keeps to.
	P99 time.Duration

	// Dir is where data goes; empty means a temporary directory that is removed afterwards.
	Dir string
	// Record is a directory whose benchmarks.md, with its results and plot, is brought up to date;
	// empty records nothing.
	Record string
	// JSON writes the outcomes to Output as JSON instead of tables.
	JSON bool
	// Command is the command line as it was typed, without secrets, and Commit the commit to record
	// when the binary does not know its own.
	Command, Commit string
	// Output gets the results, Progress a line for each step.
	Output, Progress io.Writer
}

// Defaults returns a configuration that takes about a quarter of an hour on a small machine.
func Defaults() Config {
	return Config{
		Settings: scenario.Settings{
			Sessions: 100_000, Organisations: 16, KeysPerOrganisation: 4, PointsPerSession: 5, Zipf: 0.99, Seed: 1,
			Rounds: 5, Rate: 20_000, Soak: time.Minute, HistoryPoints: 1_000_000, Waiters: 10_000, Revocations: 50,
		},
		Scenarios:   scenario.UsualNames(),
		ClickHouse:  []string{OnEmbedded},
		Connections: 64, Duration: 4 * time.Second, WarmUp: time.Second,
		P99:    5 * time.Millisecond,
		Output: io.Discard, Progress: io.Discard,
	}
}

// check refuses what cannot be measured.
func (c *Config) check() error {
	for _, name := range c.Scenarios {
		if !slices.Contains(scenario.Names(), name) {
			return fmt.Errorf("there is no scenario %q: choose from %v", name, scenario.Names())
		}
	}
	for _, name := range c.Baselines {
		if !slices.Contains(baseline.Names, name) {
			return fmt.Errorf("there is no baseline %q: choose from %v", name, baseline.Names)
		}
	}
	if err := c.checkClickHouse(); err != nil {
		return err
	}
	if err := c.Settings.Check(); err != nil {
		return err
	}
	if c.Connections < 1 || c.Duration <= 0 || c.WarmUp < 0 {
		return errors.New("connections and durations must be positive")
	}
	return nil
}

// checkClickHouse allows for the embedded engine and one server. Addresses are left out of the errors, for
// they may hold a password.
func (c *Config) checkClickHouse() error {
	servers := 0
	for _, where := range c.ClickHouse {
		switch {
		case where == OnServer || strings.HasPrefix(where, "http://") || strings.HasPrefix(where, "https://"):
			servers++
		case where != OnEmbedded:
			return errors.New("--clickhouse is embedded, server, or an address such as http://user:password@host:8123")
		}
	}
	if len(c.ClickHouse) == 0 || servers > 1 || len(c.ClickHouse)-servers > 1 {
		return errors.New("--clickhouse takes the embedded engine, one server, or both: embedded,server")
	}
	return nil
}

// processors says who runs where. Empty lists leave it to the kernel.
type processors struct{ client, server []int }

// divide gives the client a quarter of the processors, at least one, when pinning is asked for.
func (c *Config) divide() (p processors, note string) {
	cores := runtime.NumCPU()
	if !c.Pin {
		return p, fmt.Sprintf("client and server share all %d processors", cores)
	}
	if cores < 2 {
		return p, "client and server share the one processor: there is no other to pin to"
	}
	client := max(1, cores/4)
	for cpu := range cores {
		if cpu < client {
			p.client = append(p.client, cpu)
		} else {
			p.server = append(p.server, cpu)
		}
	}
	return p, fmt.Sprintf("client pinned to processors %v, servers to %v", p.client, p.server)
}

func (c *Config) workers() int {
	if c.Workers > 0 {
		return c.Workers
	}
	return max(1, runtime.NumCPU()/4)
}
