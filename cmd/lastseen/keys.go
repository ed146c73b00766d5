package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strconv"
	"text/tabwriter"
	"time"

	"lastseen.example/client"

	"lastseen/cmd/lastseen/terminal"
)

// keysCommand speaks to the key routes.
type keysCommand struct {
	Create createKeyCommand `cmd:"" help:"Make an API key. Only the key goes to standard output, its record to standard error."`
	List   listKeysCommand  `cmd:"" help:"List the organisation's API keys, newest first."`
	Update updateKeyCommand `cmd:"" help:"Rename an API key, or narrow what it may do: when this returns, that holds everywhere."`
	Usage  keyUsageCommand  `cmd:"" help:"Show what an API key is used for: its requests by day, route and outcome, up to a minute ago."`
	Rotate rotateKeyCommand `cmd:"" help:"Replace an API key by a new one; the old one is good until the grace ends. Only the key goes to standard output."`
	Revoke revokeKeyCommand `cmd:"" help:"Revoke an API key: when this returns, the key is refused."`
}

type createKeyCommand struct {
	newKeyFlags
	limitKeyFlags
}

// newKeyFlags are what every new key has.
type newKeyFlags struct {
	serverFlags
	Name      string `required:"" placeholder:"NAME" help:"What the key is for; 1 to 100 printable characters."`
	ExpiresIn string `xor:"expiry" placeholder:"SPAN" help:"How long the key is good: a number of days such as 90d, or a duration such as 12h; at most five years (default 90d)."`
	ExpiresAt string `xor:"expiry" placeholder:"TIME" help:"When the key expires: a day such as 2027-01-31, or a time in RFC 3339, such as 2027-01-31T00:00:00Z."`
}

// limitKeyFlags say what a key may do.
type limitKeyFlags struct {
	Scopes            []string `name:"scope" placeholder:"SCOPE" help:"What the key is for: last_seen, history or sessions; several, separated by commas; all when left out."`
	Ranges            []string `name:"allow" placeholder:"CIDR" help:"Addresses from which the key is accepted, such as 192.0.2.0/24; several, separated by commas; any when left out."`
	RequestsPerSecond int      `placeholder:"N" help:"Requests that the key may make in a second, beside the server's limit for all; none when left out."`
}

func (f *limitKeyFlags) limits() client.KeyLimits { return client.KeyLimits(*f) }

// Run implements the command.
func (c *createKeyCommand) Run(ctx context.Context, std streams) error {
	return c.create(ctx, std, apiKeys, client.NewKey{KeyLimits: c.limits()})
}

// keyKind is what is done to API keys, or to device credentials.
type keyKind struct {
	create func(*client.Client, context.Context, client.NewKey) (client.KeyRecord, error)
	list   func(*client.Client, context.Context, url.Values) ([]client.KeyRecord, error)
	rotate func(*client.Client, context.Context, string, time.Duration, time.Time) (client.KeyRecord, error)
	revoke func(*client.Client, context.Context, string) (client.KeyRecord, error)
}

var (
	apiKeys           = keyKind{(*client.Client).CreateKey, (*client.Client).ListKeys, (*client.Client).RotateKey, (*client.Client).RevokeKey}
	deviceCredentials = keyKind{(*client.Client).CreateCredential, (*client.Client).ListCredentials, (*client.Client).RotateCredential, (*client.Client).RevokeCredential}
)

// create makes a key of a kind by the name and the expiry that are wanted.
func (c *newKeyFlags) create(ctx context.Context, std streams, of keyKind, wanted client.NewKey) error {
	expires, err := c.expiry(time.Now())
	if err != nil {
		return err
	}
	server, err := c.client(std)
	if err != nil {
		return err
	}
	defer server.Close()
	wanted.Name, wanted.ExpiresAt = c.Name, expires
	record, err := of.create(server, ctx, wanted)
	if err != nil {
		return err
	}
	return writeNewKey(std, record)
}

// writeNewKey writes the key to standard output and its record to standard error.
func writeNewKey(std streams, record client.KeyRecord) error {
	key := record.Key
	record.Key = ""
	if err := writeJSON(std.err, record); err != nil {
		return err
	}
	_, err := fmt.Fprintln(std.out, key)
	return err
}

// Validate refuses an expiry that does not parse, as a mistake on the command line.
func (c *newKeyFlags) Validate() error {
	_, err := c.expiry(time.Now())
	return err
}

var days = regexp.MustCompile(`^([0-9]{1,4})d$`)

// expiry returns when the key is to expire.
func (c *newKeyFlags) expiry(now time.Time) (time.Time, error) {
	if c.ExpiresAt != "" {
		var at moment
		if err := at.UnmarshalText([]byte(c.ExpiresAt)); err != nil {
			return time.Time{}, fmt.Errorf("--expires-at: %w", err)
		}
		return at.Time, nil
	}
	span := c.ExpiresIn
	if span == "" {
		span = "90d"
	}
	if match := days.FindStringSubmatch(span); match != nil {
		n, err := strconv.Atoi(match[1])
		return now.AddDate(0, 0, n), err
	}
	length, err := time.ParseDuration(span)
	if err != nil || length <= 0 {
		return time.Time{}, fmt.Errorf("--expires-in=%s must be a number of days such as 90d, or a duration such as 12h", span)
	}
	return now.Add(length), nil
}

type listKeysCommand struct {
	serverFlags
	Search string `placeholder:"TEXT" help:"Only keys with this text in their name, prefix, maker or id, whatever its case."`
	Status string `default:"all" enum:"all,active,expired,revoked,ended,expiring,unused" help:"Only keys that are active, expired, revoked, ended (one of the last two), expiring (within 7 days) or unused (active, never used); all by default."`
	SortBy string `default:"created_at_timestamp" enum:"created_at_timestamp,name,expires_at_timestamp,last_used_at_timestamp" help:"created_at_timestamp (newest first, the default), name, expires_at_timestamp (soonest first) or last_used_at_timestamp (used last first)."`
	JSON   bool   `name:"json" help:"Print the records as JSON instead of a table."`
}

// Run implements the command.
func (c *listKeysCommand) Run(ctx context.Context, std streams) error {
	return c.list(ctx, std, apiKeys)
}

func (c *listKeysCommand) list(ctx context.Context, std streams, of keyKind) error {
	server, err := c.client(std)
	if err != nil {
		return err
	}
	defer server.Close()
	query := url.Values{"status": {c.Status}, "sort_by": {c.SortBy}}
	if c.Search != "" {
		query.Set("search", c.Search)
	}
	records, err := of.list(server, ctx, query)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(std.out, records)
	}
	table := tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tPREFIX\tNAME\tSTATUS\tCREATED\tEXPIRES\tLAST USED")
	for _, r := range records {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", terminal.Printable(r.ID), terminal.Printable(r.Prefix),
			terminal.Printable(r.Name), terminal.Printable(r.Status), r.CreatedAt.UTC().Format(time.DateTime), r.ExpiresAt.UTC().Format(time.DateTime), lastUsed(r))
	}
	return table.Flush()
}

func lastUsed(r client.KeyRecord) string {
	if r.LastUsedAt == nil {
		return "never"
	}
	return r.LastUsedAt.UTC().Format(time.DateTime)
}

type revokeKeyCommand struct {
	serverFlags
	ID string `name:"id" required:"" placeholder:"ID" help:"The key's id, as 'list' shows it; not the key itself."`
}

// Validate keeps a key that was given in place of its id from being sent and shown.
func (c *revokeKeyCommand) Validate() error { return checkKeyID(c.ID) }

func checkKeyID(id string) error {
	if len(id) > 3 && id[2] == '_' {
		return errors.New("--id must be the key's id, not the key itself: 'list' shows it")
	}
	return nil
}

type updateKeyCommand struct {
	serverFlags
	ID   string `name:"id" required:"" placeholder:"ID" help:"The key's id, as 'list' shows it; not the key itself."`
	Name string `placeholder:"NAME" help:"What the key is to be called; 1 to 100 printable characters."`
	limitKeyFlags
}

// Validate refuses a key in place of its id, and a change of nothing.
func (c *updateKeyCommand) Validate() error {
	if c.Name == "" && len(c.Scopes) == 0 && len(c.Ranges) == 0 && c.RequestsPerSecond == 0 {
		return errors.New("give at least one of --name, --scope, --allow and --requests-per-second")
	}
	return checkKeyID(c.ID)
}

// Run implements the command.
func (c *updateKeyCommand) Run(ctx context.Context, std streams) error {
	server, err := c.client(std)
	if err != nil {
		return err
	}
	defer server.Close()
	record, err := server.UpdateKey(ctx, c.ID, c.Name, c.limits())
	if err != nil {
		return err
	}
	return writeJSON(std.out, record)
}

type keyUsageCommand struct {
	serverFlags
	ID   string `name:"id" required:"" placeholder:"ID" help:"The key's id, as 'list' shows it; not the key itself."`
	Days int    `default:"30" placeholder:"N" help:"For how many days, today's included; at most 400 (default ${default})."`
	JSON bool   `name:"json" help:"Print the lines as JSON instead of a table."`
}

// Validate refuses a key in place of its id, and days that are not kept.
func (c *keyUsageCommand) Validate() error {
	if c.Days < 1 || c.Days > 400 {
		return errors.New("--days must be a number from 1 to 400")
	}
	return checkKeyID(c.ID)
}

// Run implements the command.
func (c *keyUsageCommand) Run(ctx context.Context, std streams) error {
	server, err := c.client(std)
	if err != nil {
		return err
	}
	defer server.Close()
	lines, err := server.KeyUsage(ctx, c.ID, time.Now().AddDate(0, 0, 1-c.Days))
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(std.out, lines)
	}
	table := tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "DATE\tROUTE\tOUTCOME\tREQUESTS")
	for _, l := range lines {
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\n", terminal.Printable(l.Date), terminal.Printable(l.Route), terminal.Printable(l.Outcome), l.Requests)
	}
	return table.Flush()
}

type rotateKeyCommand struct {
	serverFlags
	ID        string        `name:"id" required:"" placeholder:"ID" help:"The key's id, as 'list' shows it; not the key itself."`
	Grace     time.Duration `default:"24h" placeholder:"DURATION" help:"How long the old key is good for still, in whole seconds; at most 168h (default ${default})."`
	ExpiresAt moment        `placeholder:"TIME" help:"When the new key expires: a day such as 2027-01-31, or a time in RFC 3339, such as 2027-01-31T00:00:00Z; by default the server chooses."`
}

// Validate refuses a key in place of its id, and a grace that the server cannot be told.
func (c *rotateKeyCommand) Validate() error {
	if c.Grace < 0 || c.Grace > 7*24*time.Hour || c.Grace%time.Second != 0 {
		return errors.New("--grace must be whole seconds, at most 168h")
	}
	return checkKeyID(c.ID)
}

// Run implements the command.
func (c *rotateKeyCommand) Run(ctx context.Context, std streams) error {
	return c.rotate(ctx, std, apiKeys)
}

func (c *rotateKeyCommand) rotate(ctx context.Context, std streams, of keyKind) error {
	server, err := c.client(std)
	if err != nil {
		return err
	}
	defer server.Close()
	record, err := of.rotate(server, ctx, c.ID, c.Grace, c.ExpiresAt.Time)
	if err != nil {
		return err
	}
	return writeNewKey(std, record)
}

// Run implements the command.
func (c *revokeKeyCommand) Run(ctx context.Context, std streams) error {
	return c.revoke(ctx, std, apiKeys)
}

func (c *revokeKeyCommand) revoke(ctx context.Context, std streams, of keyKind) error {
	server, err := c.client(std)
	if err != nil {
		return err
	}
	defer server.Close()
	record, err := of.revoke(server, ctx, c.ID)
	if err != nil {
		return err
	}
	return writeJSON(std.out, record)
}

func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}
