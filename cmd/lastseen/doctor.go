package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"lastseen/cmd/lastseen/doctor"
	"lastseen/cmd/lastseen/terminal"
	"lastseen/schema"
)

// doctorCommand looks at a service and its store. Its flags are those of serve, with the same environment variables and in the same
// file.
type doctorCommand struct {
	serverFlags
	AdminAddr       string `default:"127.0.0.1:9464" placeholder:"HOST:PORT" help:"Where the service has its metrics; empty for nowhere (default ${default})."`
	clickhouseFlags `embed:"" group:"ClickHouse server"`
	DataDir         string     `default:"lastseen-data" placeholder:"DIR" help:"Data directory of the service (default ${default})."`
	ClickHouse      string     `name:"clickhouse" default:"embedded" placeholder:"embedded|URL" help:"The service's ClickHouse (default ${default})."`
	Database        string     `default:"lastseen" placeholder:"NAME" help:"Database of the tables (default ${default})."`
	Cluster         string     `placeholder:"NAME" help:"ClickHouse cluster over which the tables are laid out."`
	Retention       *retention `placeholder:"DAYSd" help:"How long points are to be kept, to be compared with the store."`
	JSON            bool       `name:"json" help:"Print the findings as JSON."`
}

// Run implements the command.
func (c *doctorCommand) Run(ctx context.Context, std streams) error {
	token, err := c.token()
	if err != nil {
		return err
	}
	findings := doctor.Examine(ctx, doctor.Options{
		Server: c.Server, Admin: c.AdminAddr, Token: token, Version: version(), Retention: (*time.Duration)(c.Retention),
		Store: schema.Options{ClickHouse: c.ClickHouse, DataDir: c.DataDir, Database: c.Database, Cluster: c.Cluster, Security: c.security()},
	})
	failed := 0
	for _, finding := range findings {
		if finding.Status == doctor.Fail {
			failed++
		}
	}
	if c.JSON {
		err = writeJSON(std.out, findings)
	} else {
		err = writeFindings(std, findings)
	}
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d of %d findings must be mended", failed, len(findings))
	}
	return err
}

// writeFindings writes a line for each finding, and one with what to do.
func writeFindings(std streams, findings []doctor.Finding) error {
	for _, finding := range findings {
		line := fmt.Sprintf("%-4s  %-11s  %s", finding.Status, finding.Subject, terminal.Printable(finding.Says))
		if finding.Mend != "" {
			line += "\n" + strings.Repeat(" ", 19) + "→ " + terminal.Printable(finding.Mend)
		}
		if _, err := fmt.Fprintln(std.out, line); err != nil {
			return err
		}
	}
	return nil
}
