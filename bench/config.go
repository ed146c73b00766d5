package bench

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"
)

// Config says what the suite measures and how long. Config{} is not usable: Defaults is.
type Config struct {
	// Executable is the lastseen binary to measure; it is also what serves the contenders.
	Executable string
	// Scenarios are the names of what to run, in this order; see Scenarios.
	Scenarios []string
	// Contenders are the names of what lastseen is compared with; empty means every one that is
	// there: bare, redis, postgres, naive.
	Contenders []string

	// Sessions, Organisations, KeysPerOrganisation and PointsPerSession are the size of the data.
	Sessions, Organisations, KeysPerOrganisation, PointsPerSession int
	// Zipf is the exponent of the sessions' popularity.
	Zipf float64
	// Seed makes the data and the requests reproducible.
	Seed uint64

	// Connections and Workers are those of the load generator; 0 workers means one for every four
	// processors, at least one.
	Connections, Workers int
	// Rounds is how often each contender's turn comes, Duration how long it lasts, and WarmUp how
	// long each turn runs beforehand without being recorded.
	Rounds           int
	Duration, WarmUp time.Duration
	// Rate is the points a second of the scenarios that write beside the reads.
	Rate int
	// Soak is how long the soak lasts.
	Soak time.Duration
	// HistoryPoints is the length of the sessions that the history scenarios pull.
	HistoryPoints int
	// SizeDirs are data directories that size measures beside the fleet's; nobody has them open.
	SizeDirs []string
	// Waiters is the number of waiting requests of the long poll.
	Waiters int
	// Revocations is how many keys the revocation scenario revokes.
	Revocations int
	// Pin keeps client and servers on different processors.
	Pin bool
	// P99 is the latency that the sizing advice keeps to.
	P99 time.Duration

	// Target is the address of a deployment to measure instead of starting one, such as
	// https://host, with Keys as its API keys.
	Target string
	Keys   []string

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

// Defaults returns a configuration that takes a few minutes on a small machine.
func Defaults() Config {
	return Config{
		Scenarios: DefaultScenarios(),
		Sessions:  100_000, Organisations: 16, KeysPerOrganisation: 4, PointsPerSession: 5,
		Zipf: 0.99, Seed: 1,
		Connections: 64, Rounds: 5, Duration: 4 * time.Second, WarmUp: time.Second,
		Rate: 20_000, Soak: time.Minute, HistoryPoints: 1_000_000, Waiters: 10_000, Revocations: 50,
		P99:    5 * time.Millisecond,
		Output: io.Discard, Progress: io.Discard,
	}
}

// check refuses what cannot be measured.
func (c *Config) check() error {
	for _, name := range c.Scenarios {
		if !slices.ContainsFunc(scenarios, func(s scenario) bool { return s.name == name }) {
			return fmt.Errorf("there is no scenario %q: choose from %v", name, ScenarioNames())
		}
	}
	for _, name := range c.Contenders {
		if !slices.Contains(rivalNames, name) {
			return fmt.Errorf("there is no contender %q: choose from %v", name, rivalNames)
		}
	}
	if c.Sessions < 2*c.Organisations || c.Organisations < 2 || c.KeysPerOrganisation < 1 || c.PointsPerSession < 1 {
		return errors.New("the data needs at least two organisations with two sessions, one key and one point each")
	}
	if c.Connections < 1 || c.Rounds < 1 || c.Duration <= 0 || c.WarmUp < 0 || c.Zipf < 0 || c.Rate < 1 || c.HistoryPoints < 1 || c.Waiters < 1 || c.Revocations < 1 {
		return errors.New("connections, rounds, durations, rates and counts must be positive")
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
