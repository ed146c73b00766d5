package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"lastseen/schema/embedded"
)

// clickhouseCommand runs the embedded default's data directory as a ClickHouse server, until a signal.
type clickhouseCommand struct {
	DataDir  string         `default:"lastseen-data" placeholder:"DIR" help:"Data directory of 'lastseen serve', which must not be running on it; made when absent (default ${default})."`
	HTTPAddr netip.AddrPort `name:"http-addr" default:"127.0.0.1:8123" placeholder:"IP:PORT" help:"Where to listen for HTTP (default ${default})."`
	Backups  string         `env:"LASTSEEN_CLICKHOUSE_BACKUPS" placeholder:"DIR" help:"Folder in which 'lastseen backup' and 'restore' may keep backups through this server, and whoever else reaches it; none by default."`
	TCPAddr  netip.AddrPort `name:"tcp-addr" placeholder:"IP:PORT" help:"Where to listen for ClickHouse's native protocol, which clickhouse-client speaks; nowhere by default."`
}

// Validate refuses addresses on which nothing should listen. The server has one user, with every right
// and no password, so that only this machine may reach it.
func (c *clickhouseCommand) Validate() error {
	if c.TCPAddr.IsValid() && c.TCPAddr.Addr() != c.HTTPAddr.Addr() {
		return fmt.Errorf("--tcp-addr must have the IP address of --http-addr, %s", c.HTTPAddr.Addr())
	}
	for _, a := range c.addresses() {
		if !a.address.Addr().IsLoopback() || a.address.Port() == 0 {
			return fmt.Errorf("--%s must be a loopback address with a port, such as 127.0.0.1:8123, for the server asks for no password", a.flag)
		}
	}
	return nil
}

type flagAddress struct {
	flag    string
	address netip.AddrPort
}

// addresses are those to listen on.
func (c *clickhouseCommand) addresses() []flagAddress {
	addresses := []flagAddress{{"http-addr", c.HTTPAddr}}
	if c.TCPAddr.IsValid() {
		addresses = append(addresses, flagAddress{"tcp-addr", c.TCPAddr})
	}
	return addresses
}

// Run implements the command.
func (c *clickhouseCommand) Run(ctx context.Context, std streams) error {
	for _, a := range c.addresses() {
		if err := checkFree(a); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	backups, err := c.backups()
	if err != nil {
		return err
	}
	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	defer context.AfterFunc(ctx, func() {
		// Before the engine hears of it, which may end the process: who finds it gone can tell this from a death.
		fmt.Fprintln(std.err, "ClickHouse stops, since a signal asked for it.")
		end()
	})()
	dir := filepath.Join(c.DataDir, "clickhouse")
	err = embedded.Serve(serving, dir, embedded.ServerOptions{
		Host: c.HTTPAddr.Addr().String(), HTTPPort: int(c.HTTPAddr.Port()), TCPPort: int(c.TCPAddr.Port()), Backups: backups,
	}, func() {
		fmt.Fprintf(std.out, "ClickHouse listens on http://%s; use it with: lastseen serve --data-dir %s --clickhouse http://%s/lastseen (Ctrl-C ends it; its log is %s)\n",
			c.HTTPAddr, c.DataDir, c.HTTPAddr, filepath.Join(dir, embedded.LogName))
	})
	if err != nil {
		return fmt.Errorf("run a ClickHouse server: %w", err)
	}
	return nil
}

// backups is the folder for backups as the engine needs it.
func (c *clickhouseCommand) backups() (string, error) {
	if c.Backups == "" {
		return "", nil
	}
	full, err := filepath.Abs(c.Backups)
	if err != nil {
		return "", fmt.Errorf("find the folder for backups: %w", err)
	}
	return full, nil
}

// checkFree fails where somebody listens already, for which the engine has no good words.
func checkFree(a flagAddress) error {
	listener, err := net.Listen("tcp", a.address.String())
	if err != nil {
		return fmt.Errorf("give another --%s, since one cannot listen on %s: %w", a.flag, a.address, err)
	}
	return listener.Close()
}
