package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"

	"lastseen/cmd/lastseen/terminal"
)

// streams are what a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

func main() {
	ctx, stop := untilSignal(context.Background())
	code := run(ctx, os.Args[1:], streams{in: os.Stdin, out: terminal.On(os.Stdout), err: terminal.On(os.Stderr)})
	stop()
	os.Exit(code)
}

// run runs one command line and returns the exit code: 0, 1 after a failure, 2 for a command line
// that cannot be understood.
func run(ctx context.Context, args []string, std streams) int {
	var commands commandLine
	parser, err := newParser(ctx, &commands, std)
	if err != nil {
		fmt.Fprintln(std.err, "lastseen: build the command line:", err)
		return 1
	}
	command, err := parser.Parse(args)
	if incomplete := namesCommandsOnly(err, args); incomplete != nil {
		if err := incomplete.PrintUsage(false); err != nil {
			return 1
		}
		return 0
	}
	if err != nil {
		fmt.Fprintf(std.err, "lastseen: %v (lastseen --help tells more)\n", err)
		return 2
	}
	if err := command.Run(); err != nil {
		terminal.Say(std.err, "lastseen: %s", sentence(err))
		return 1
	}
	return 0
}

// newParser returns the parser of a command line.
func newParser(ctx context.Context, commands *commandLine, std streams) (*kong.Kong, error) {
	return kong.New(commands,
		kong.Name("lastseen"),
		kong.Description("Stores where things are and answers where they were last seen."),
		kong.DefaultEnvars("LASTSEEN"),
		kong.Configuration(loadConfigFile),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Writers(std.out, std.err),
		kong.Vars{"version": version()},
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(std, commands),
	)
}

// namesCommandsOnly returns what there is to choose from when the command line is empty, or names a
// command that has others under it and no more, and otherwise nil.
func namesCommandsOnly(err error, args []string) *kong.Context {
	var mistake *kong.ParseError
	if !errors.As(err, &mistake) || len(args) > 1 {
		return nil
	}
	selected := mistake.Context.Selected()
	if len(args) == 0 || selected != nil && !selected.Leaf() {
		return mistake.Context
	}
	return nil
}
