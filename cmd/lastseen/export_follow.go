package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lastseen.example/client"

	"lastseen/cmd/lastseen/exporter"
	"lastseen/query/history"
)

// followFlags are those of an export that goes on for ever.
type followFlags struct {
	Follow        string        `placeholder:"DIR" help:"Keep a directory of files up to date with all points as they arrive, in place of --start, --end and --out: each point is in exactly one file. It goes on until it is stopped, and where it was when it is run again."`
	Interval      time.Duration `default:"1m" placeholder:"DURATION" help:"With --follow, how long after its arrival a point goes into a file (default ${default})."`
	FilePoints    int           `default:"1000000" placeholder:"N" help:"With --follow, the most points of a file (default ${default})."`
	ReceivedAfter moment        `placeholder:"TIME" help:"With --follow, leave out what arrived before, or at, this."`
	Once          bool          `help:"With --follow, stop when everything that has arrived is there."`
}

// validateFollow refuses what does not go together with --follow.
func (c *exportCommand) validateFollow() error {
	chosen := len(c.Session) > 0 || c.Search != "" || c.DeviceID != "" || c.ReferenceID != "" || c.FlightNumber != ""
	switch {
	case !c.Start.IsZero() || !c.End.IsZero() || c.Out != "" || chosen || !c.Resume:
		return errors.New("--follow is for all sessions and times: leave out --start, --end, --out, --no-resume and what chooses sessions")
	case !slices.Contains(exporter.FollowFormats, c.Format):
		return fmt.Errorf("--follow is for the formats %s", strings.Join(exporter.FollowFormats, ", "))
	case c.Interval < time.Second || c.Interval > 24*time.Hour:
		return errors.New("--interval must be 1s to 24h")
	case c.FilePoints < 1 || c.FilePoints > history.MaxPageLimit:
		return fmt.Errorf("--file-points must be 1 to %d", history.MaxPageLimit)
	}
	return nil
}

// follow keeps a directory up to date until it is told to stop.
func (c *exportCommand) follow(ctx context.Context, server *client.Client, std streams) error {
	scope := c.OrgScope
	if scope == "" {
		scope = "owned"
	}
	follower := exporter.NewFollower(server, exporter.FollowOptions{
		Format: c.Format, Scope: scope, ReceivedAfter: c.ReceivedAfter.Time, FilePoints: c.FilePoints,
		Interval: c.Interval, Once: c.Once,
	})
	server.OnRetry(retryNotice(std.err, "until it answers"))
	err := follower.Run(ctx, c.Follow)
	p := follower.Progress()
	fmt.Fprintf(std.err, "%d files, %.1f MB\n", p.Files, float64(p.Bytes)/1e6)
	if err != nil {
		return fmt.Errorf("the export stopped: put this right and run the same command again to go on: %w", err)
	}
	return nil
}
