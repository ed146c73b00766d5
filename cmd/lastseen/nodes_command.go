package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"lastseen/cmd/lastseen/terminal"
	"lastseen/server/cluster/replica"
)

// nodesCommand prints what a node knows of all nodes.
type nodesCommand struct {
	Admin string `default:"http://127.0.0.1:9464" placeholder:"URL" help:"The --admin-addr of one of the nodes (default ${default})."`
}

// nodesTimeout bounds the question.
const nodesTimeout = 10 * time.Second

// Run implements the command.
func (c *nodesCommand) Run(ctx context.Context, std streams) error {
	ctx, cancel := context.WithTimeout(ctx, nodesTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(c.Admin, "/")+"/nodes", nil)
	if err != nil {
		return fmt.Errorf("read --admin: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask for the nodes, of which one that runs must have --admin as its --admin-addr: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusNotFound {
		return fmt.Errorf("the node at %s is alone: it was started without --peer-addr", c.Admin)
	}
	if response.StatusCode != http.StatusOK {
		var refusal struct{ Detail string }
		_ = json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&refusal) // without one the status says it
		return fmt.Errorf("ask for the nodes: %s answers %s. %s", c.Admin, response.Status, terminal.Printable(refusal.Detail))
	}
	var status nodeStatus
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&status); err != nil {
		return fmt.Errorf("read what %s says of the nodes: %w", c.Admin, err)
	}
	return printNodes(std.out, status)
}

// printNodes prints a table of the members, and what has happened lately.
func printNodes(out io.Writer, s nodeStatus) error {
	silent := map[string]string{}
	for _, f := range s.Followers {
		silent[f.ID] = f.Silent.Round(time.Millisecond).String()
		if f.Behind > 0 {
			silent[f.ID] += ", behind"
		}
	}
	trouble := map[string]string{}
	for _, p := range s.Peers {
		trouble[p.Address] = p.Trouble
	}
	fmt.Fprintf(out, "epoch %d of the nodes %s: %s\n", s.View.Epoch, s.View.Cluster, terminal.Printable(s.View.Why))
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NODE\tADDRESS\tROLE\tLAST HEARD\t")
	for _, m := range s.View.Members {
		heard := silent[m.ID]
		if m.ID == s.Self.ID {
			heard = "asked here: " + serving(s)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", terminal.Printable(m.ID), terminal.Printable(m.Addr), roleOf(s.Status, m), heard, terminal.Printable(trouble[m.Addr]))
	}
	if !s.View.Has(s.Self) {
		fmt.Fprintf(table, "%s\t%s\t%s\tasked here: %s\t\n", terminal.Printable(s.Self.ID), terminal.Printable(s.Self.Addr), s.Role, serving(s))
	}
	for _, id := range s.Joining {
		fmt.Fprintf(table, "%s\t\tjoining\t\t\n", terminal.Printable(id))
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("print the nodes: %w", err)
	}
	if s.RegisterSilent > 0 {
		fmt.Fprintf(out, "the register of the nodes, in %s, has not answered this node for %s: until it does, no node can take the place of another one, join or start, and a leader without it stops after a minute\n",
			terminal.Printable(s.Register), s.RegisterSilent.Round(time.Second))
	}
	for _, note := range s.Notes {
		fmt.Fprintf(out, "%s  %s\n", note.At.UTC().Format(time.RFC3339), terminal.Printable(note.Text))
	}
	return nil
}

// roleOf is what a member is.
func roleOf(s replica.Status, m replica.Member) string {
	if m.ID == s.View.Leader {
		return "leader"
	}
	return "follower"
}

// serving says what the node that was asked may do.
func serving(s nodeStatus) string {
	switch {
	case s.SetBack:
		return "it answers nothing: ClickHouse was set back to an earlier state; restart all nodes"
	case s.Committing:
		return "it answers, and takes changes"
	case s.Serving:
		return "it answers"
	}
	return "it may not answer at present"
}
