package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"lastseen/bench"
)

// benchCommand is the load suite.
type benchCommand struct {
	Measure benchRunCommand `cmd:"" name:"run" default:"withargs" help:"Measure the service beside what else one would use, or a deployment by --target."`
}

// benchRunCommand runs scenarios.
type benchRunCommand struct {
	Scenarios []string `arg:"" optional:"" name:"scenario" help:"What to measure: last-seen, last-seen-304, batch, mixed, long-poll, changes, revocation, ingest, overload, tenants, cold-start, history, feed, bulk, sessions, typeahead, size, nodes, soak; all but soak when none is named."`

	Baselines           []string `placeholder:"NAME" help:"What to compare with: bare, redis, postgres, naive; all that are installed when none is named."`
	Sessions            int      `default:"100000" help:"Sessions in memory (default ${default})."`
	Organisations       int      `default:"16" help:"Organisations that they belong to (default ${default})."`
	KeysPerOrganisation int      `default:"4" help:"API keys of each organisation (default ${default})."`
	PointsPerSession    int      `default:"5" help:"Points that each session begins with (default ${default})."`
	HistoryPoints       int      `default:"1000000" help:"Points of the sessions that history and bulk pull (default ${default})."`
	SizeDirs            []string `placeholder:"DIR" help:"Data directories of services that are stopped, into which something was imported, that size measures beside the fleet."`
	Zipf                float64  `default:"0.99" help:"Exponent of the sessions' popularity; 0 for all alike (default ${default})."`
	Seed                uint64   `default:"1" help:"Makes the data and the requests reproducible (default ${default})."`

	ClickHouse []string `name:"clickhouse" default:"embedded" placeholder:"WHERE" help:"Where the measured services keep their data: embedded, server (one that the suite starts with 'lastseen clickhouse'), or the address of a server that you run, in whose databases lastseen_bench_* they go (default ${default}); embedded,server for both in turn."`

	Connections int           `default:"64" help:"Connections of the load generator (default ${default})."`
	Workers     int           `default:"0" help:"Its threads; 0 for one for every four processors (default ${default})."`
	Rounds      int           `default:"5" help:"Turns of everything that is compared (default ${default})."`
	Duration    time.Duration `default:"4s" help:"Length of a turn (default ${default})."`
	WarmUp      time.Duration `default:"1s" help:"What runs before each turn and is not recorded (default ${default})."`
	Rate        int           `default:"20000" placeholder:"POINTS" help:"Points a second that are written beside polls (default ${default})."`
	Waiters     int           `default:"10000" help:"Waiting requests of long-poll (default ${default})."`
	Attacks     []string      `placeholder:"NAME" help:"Attacks of tenants, such as 'late points'; all when none is named."`
	Failures    []string      `placeholder:"NAME" help:"Failures that nodes makes, such as 'the leader is killed'; all when none is named."`
	Revocations int           `default:"50" help:"Keys that revocation revokes (default ${default})."`
	Soak        time.Duration `default:"1m" help:"Length of soak (default ${default})."`
	Pin         bool          `help:"Keep the load generator and the servers on different processors."`

	Target   string        `placeholder:"URL" help:"Measure this deployment instead of starting the service, with the API keys of --key or --keys-file, and say how to size it."`
	Key      []string      `placeholder:"KEY" help:"API keys for --target. Whoever can list this machine's processes can read them here: prefer the environment variable or --keys-file."`
	KeysFile string        `placeholder:"FILE" help:"File that holds API keys for --target, one a line."`
	P99      time.Duration `name:"p99" default:"5ms" help:"Latency that 99 of 100 requests must keep to in the sizing advice (default ${default})."`

	BaselinesProgram string `placeholder:"FILE" help:"Program that loads data and serves what is compared with; lastseen-baselines beside this one when none is given. Not needed with --target."`

	WorkDir string `placeholder:"DIR" help:"Where the measured data goes; a temporary directory that is removed afterwards when none is given."`
	Record  string `placeholder:"DIR" help:"Bring benchmarks.md in this directory up to date, with benchmarks.json and benchmarks.svg."`
	Commit  string `placeholder:"COMMIT" help:"Commit to record when this program does not know what it was built from."`
	JSON    bool   `name:"json" help:"Print the outcomes as JSON, one a line, instead of tables."`
}

// Run implements the command.
func (c *benchRunCommand) Run(ctx context.Context, std streams) error {
	config := bench.Defaults()
	var err error
	if config.Executable, err = os.Executable(); err != nil {
		return fmt.Errorf("find this program's own file: %w", err)
	}
	config.BaselinesProgram = cmp.Or(c.BaselinesProgram, bench.BesideExecutable(config.Executable))
	if config.Keys, err = c.keys(); err != nil {
		return err
	}
	if len(c.Scenarios) > 0 {
		config.Scenarios = c.Scenarios
	}
	config.Baselines, config.Target, config.P99 = c.Baselines, c.Target, c.P99
	config.Sessions, config.Organisations, config.KeysPerOrganisation = c.Sessions, c.Organisations, c.KeysPerOrganisation
	config.PointsPerSession, config.HistoryPoints, config.Zipf, config.Seed = c.PointsPerSession, c.HistoryPoints, c.Zipf, c.Seed
	config.SizeDirs, config.ClickHouse = c.SizeDirs, c.ClickHouse
	config.Connections, config.Workers, config.Rounds, config.Duration, config.WarmUp = c.Connections, c.Workers, c.Rounds, c.Duration, c.WarmUp
	config.Rate, config.Waiters, config.Attacks, config.Revocations, config.Soak, config.Pin = c.Rate, c.Waiters, c.Attacks, c.Revocations, c.Soak, c.Pin
	config.Failures, config.Dir, config.Record, config.JSON = c.Failures, c.WorkDir, c.Record, c.JSON
	config.Command, config.Commit = withoutSecrets(os.Args), c.Commit
	config.Output, config.Progress = std.out, std.err
	return bench.Run(ctx, config)
}

// keys returns the API keys of the flags and of the file.
func (c *benchRunCommand) keys() ([]string, error) {
	keys := c.Key
	if c.KeysFile == "" {
		return keys, nil
	}
	text, err := os.ReadFile(c.KeysFile)
	if err != nil {
		return nil, fmt.Errorf("read the API keys: %w", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if key := strings.TrimSpace(lines.Text()); key != "" {
			keys = append(keys, key)
		}
	}
	return keys, lines.Err()
}

// withoutSecrets is a command line as it may be shown: without keys, and without the names and passwords in
// the addresses of servers.
func withoutSecrets(args []string) string {
	shown := []string{"lastseen"}
	for i := 1; i < len(args); i++ {
		switch {
		case args[i] == "--key":
			i++
		case strings.HasPrefix(args[i], "--key="):
		default:
			shown = append(shown, userInfo.ReplaceAllString(args[i], "://"))
		}
	}
	return strings.Join(shown, " ")
}

// userInfo is the part of an address that holds a name and a password.
var userInfo = regexp.MustCompile(`://[^/@]*@`)
