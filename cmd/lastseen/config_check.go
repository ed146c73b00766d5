package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"
)

// configCommand has what there is to do with the configuration.
type configCommand struct {
	Check configCheckCommand `cmd:"" help:"Check the flags of serve as a file and the environment set them, and print what counts and where it comes from."`
}

// configCheckCommand prints the flags of serve.
type configCheckCommand struct{}

// Run implements the command. The command line was read as that of config check, with which the file was checked for unknown
// names only; here it is read as that of serve.
func (c *configCheckCommand) Run(ctx context.Context, commands *commandLine, std streams) error {
	file := &configFile{}
	args := []string{"serve"}
	if name := string(commands.Config); name != "" {
		args = append(args, "--config", name)
		opened, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("read the configuration file: %w", err)
		}
		defer opened.Close()
		resolver, err := loadConfigFile(opened)
		if err != nil {
			return err
		}
		file = resolver.(*configFile)
	}
	parser, err := newParser(ctx, &commandLine{}, std)
	if err != nil {
		return err
	}
	serve, err := parser.Parse(args)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)
	for _, flag := range sorted(serve.Selected().Flags) {
		value, from := effective(flag, file)
		fmt.Fprintf(table, "%s\t%s\t%s\n", flag.Name, redacted(flag.Name, value), from)
	}
	return table.Flush()
}

// sorted are flags that may be set, by name.
func sorted(flags []*kong.Flag) []*kong.Flag {
	settable := slices.DeleteFunc(slices.Clone(flags), func(flag *kong.Flag) bool { return !inConfigFile(flag) })
	slices.SortFunc(settable, func(a, b *kong.Flag) int { return strings.Compare(a.Name, b.Name) })
	return settable
}

// effective is the value that counts, and where it comes from.
func effective(flag *kong.Flag, file *configFile) (value, from string) {
	if name := inEnvironment(flag); name != "" {
		return os.Getenv(name), name
	}
	if value, has := file.values[flag.Name]; has {
		return value, "file"
	}
	return flag.Default, "default"
}

// redacted is a value without its secrets.
func redacted(name, value string) string {
	for _, secret := range []string{"password", "secret", "token"} {
		if strings.HasSuffix(name, secret) && value != "" {
			return "(set)"
		}
	}
	if address, err := url.Parse(value); err == nil && address.Host != "" && (address.User != nil || address.RawQuery != "") {
		parameters := address.Query() // of ClickHouse's address a password, a proxy with one, …
		for name := range parameters {
			parameters.Set(name, "xxxxx")
		}
		address.RawQuery = parameters.Encode()
		return address.Redacted()
	}
	if strings.Contains(value, "@") && strings.Contains(value, "://") { // no URL that can be taken apart
		return "(set, not shown)"
	}
	return value
}
