package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"lastseen.example/client"

	"lastseen/cmd/lastseen/exporter"
	"lastseen/cmd/lastseen/terminal"
	"lastseen/query/history"
)

// exportCommand pulls the histories of many sessions.
type exportCommand struct {
	serverFlags
	Key     string `placeholder:"KEY" help:"API key, in place of a user token. Whoever can list this machine's processes can read it here: prefer the environment variable or --key-file."`
	KeyFile string `placeholder:"FILE" help:"File that holds the API key; it goes before --key."`

	Session      []string `placeholder:"ID" help:"Sessions to export, separated by commas; by default all that the caller sees."`
	OrgScope     string   `enum:"owned,shared,owned_and_shared," default:"" placeholder:"SCOPE" help:"Whose sessions, without --session: owned, shared or owned_and_shared (the default, and owned with --follow)."`
	Search       string   `placeholder:"TEXT" help:"Only sessions whose reference, device address or comments contain this, without --session."`
	DeviceID     string   `name:"device-id" placeholder:"ID" help:"Only the sessions of this device, without --session."`
	ReferenceID  string   `name:"reference-id" placeholder:"REFERENCE" help:"Only the sessions with this off_chrt_reference_id, without --session."`
	FlightNumber string   `placeholder:"NUMBER" help:"Only the sessions with this flight number, without --session."`
	Start        moment   `placeholder:"TIME" help:"First moment of the range: a day such as 2026-01-31, which begins at midnight UTC, or a time in RFC 3339, such as 2026-01-31T15:04:05Z."`
	End          moment   `placeholder:"TIME" help:"Moment before which the range ends."`
	Format       string   `default:"ndjson" enum:"ndjson,csv,geojson,gpx,parquet,arrow" placeholder:"FORMAT" help:"Format of the files: ${enum} (default ${default})."`
	Out          string   `placeholder:"DIR" help:"Directory of the files, one a session, or - for standard output (ndjson and csv only)."`
	Parallel     int      `default:"4" help:"Sessions at the same time (default ${default})."`
	PagePoints   int      `default:"50000" help:"Points in one request, and so what is pulled again at most after a kill; ndjson and csv only (default ${default})."`
	Resume       bool     `default:"true" negatable:"" help:"Go on where an earlier export into the same directory stopped (default)."`

	followFlags
}

// Validate refuses what does not go together, as mistakes on the command line.
func (c *exportCommand) Validate() error {
	if c.Follow != "" {
		return c.validateFollow()
	}
	switch missing := c.missing(); {
	case len(missing) > 0:
		return fmt.Errorf("missing flags: %s", strings.Join(missing, ", "))
	case !c.Start.IsZero() && !c.End.IsZero() && !c.Start.Before(c.End.Time): // one that is missing is reported as such
		return errors.New("--start must be before --end")
	case c.Out == "-" && !exporter.Pageable(c.Format):
		return errors.New("--out=- is for ndjson and csv: give a directory for the other formats, which are a file for each session")
	case c.Parallel < 1 || c.Parallel > 64 || c.PagePoints < 1 || c.PagePoints > history.MaxPageLimit:
		return fmt.Errorf("--parallel must be 1 to 64 and --page-points 1 to %d", history.MaxPageLimit)
	}
	return nil
}

// missing are the flags that an export of a range needs and has not.
func (c *exportCommand) missing() (flags []string) {
	for _, flag := range []struct {
		name  string
		given bool
	}{{"--start=TIME", !c.Start.IsZero()}, {"--end=TIME", !c.End.IsZero()}, {"--out=DIR", c.Out != ""}} {
		if !flag.given {
			flags = append(flags, flag.name)
		}
	}
	return flags
}

// caller returns a client with the API key, or else with the user token. The caller closes it.
func (c *exportCommand) caller(std streams) (*client.Client, error) {
	key := c.Key
	if c.KeyFile != "" {
		text, err := os.ReadFile(c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read the API key: %w", err)
		}
		key = string(text)
	}
	if key = strings.TrimSpace(key); key != "" {
		return newClient(c.Server, key, std)
	}
	if c.Token == "" && c.TokenFile == "" {
		return nil, errors.New("a credential is needed: set LASTSEEN_KEY to an API key or LASTSEEN_TOKEN to a user token, or give --key-file or --token-file")
	}
	return c.client(std)
}

// sessions returns the ids to export, each once.
func (c *exportCommand) sessions(ctx context.Context, server *client.Client) (ids []string, err error) {
	if len(c.Session) > 0 {
		for _, id := range c.Session {
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
		return ids, nil
	}
	filter := url.Values{"org_scope": {cmp.Or(c.OrgScope, "owned_and_shared")}}
	for name, value := range map[string]string{
		"search": c.Search, "filter_device_id": c.DeviceID,
		"filter_off_chrt_reference_id": c.ReferenceID, "filter_flight_number": c.FlightNumber,
	} {
		if value != "" {
			filter.Set(name, value)
		}
	}
	for session, err := range server.Sessions(ctx, filter) {
		if err != nil {
			return nil, err
		}
		ids = append(ids, session.ID)
	}
	return ids, nil
}

// Run implements the command.
func (c *exportCommand) Run(ctx context.Context, std streams) error {
	server, err := c.caller(std)
	if err != nil {
		return err
	}
	defer server.Close()
	if c.Follow != "" {
		return c.follow(ctx, server, std)
	}
	ids, err := c.sessions(ctx, server)
	if ctx.Err() != nil {
		return errors.New("the export was interrupted before the first session: run the same command again")
	}
	if err != nil {
		return err
	}
	run := exporter.New(server, exporter.Options{
		Start: c.Start.Time, End: c.End.Time, Format: c.Format, Parallel: c.Parallel, PagePoints: c.PagePoints, Restart: !c.Resume,
	})
	began := time.Now()
	finish := showProgress(std.err, "export", false, func() progressState {
		p := run.Progress()
		return progressState{done: p.Sessions, total: int64(len(ids)), text: exportText(p, int64(len(ids)), time.Since(began))}
	})
	if c.Out == "-" {
		err = run.ToStream(ctx, std.out, ids)
	} else {
		err = run.ToDirectory(ctx, c.Out, ids)
	}
	finish()
	p, failures := run.Progress(), run.Failures()
	for _, failure := range failures {
		fmt.Fprintln(std.err, terminal.Printable(failure))
	}
	fmt.Fprintf(std.err, "%d of %d sessions exported, %d of them from before; %s\n", p.Sessions, len(ids), p.Skipped, amount(p))
	switch {
	case ctx.Err() != nil && c.Out == "-":
		return errors.New("the export was interrupted, and what went to standard output is not whole")
	case ctx.Err() != nil:
		return errors.New("the export was interrupted: run the same command again to go on")
	case err != nil && c.Out == "-":
		return fmt.Errorf("the export stopped early, and what went to standard output is not whole: %w", err)
	case err != nil:
		return fmt.Errorf("the export stopped early: put this right and run the same command again to go on: %w", err)
	case len(failures) > 0:
		return fmt.Errorf("%d sessions could not be exported, for the reasons above; what is too long for one answer of the service takes a smaller --page-points, or a range in parts", len(failures))
	}
	return nil
}

// exportText is the progress in words: how much, how fast, how long still.
func exportText(p exporter.Progress, sessions int64, took time.Duration) string {
	text := fmt.Sprintf("%d of %d sessions, %s", p.Sessions, sessions, amount(p))
	seconds := took.Seconds()
	if seconds < 1 {
		return text
	}
	if p.Points > 0 {
		text += fmt.Sprintf(", %.0f points/s", float64(p.Points)/seconds)
	} else {
		text += fmt.Sprintf(", %.1f MB/s", float64(p.Bytes)/1e6/seconds)
	}
	if pulled := p.Sessions - p.Skipped; pulled > 0 && p.Sessions < sessions {
		left := time.Duration(float64(took) / float64(pulled) * float64(sessions-p.Sessions))
		text += fmt.Sprintf(", about %s left", left.Round(time.Second))
	}
	return text
}

func amount(p exporter.Progress) string {
	if p.Points > 0 {
		return fmt.Sprintf("%d points, %.1f MB", p.Points, float64(p.Bytes)/1e6)
	}
	return fmt.Sprintf("%.1f MB", float64(p.Bytes)/1e6)
}
