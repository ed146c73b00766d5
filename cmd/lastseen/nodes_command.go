package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
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

const (
	// nodesTimeout bounds the question.
	nodesTimeout = 10 * time.Second
	// maxNodesAnswer bounds the answer, in bytes, to which each node adds some kilobytes.
	maxNodesAnswer = 16 << 20
)

// Run implements the command.
func (c *nodesCommand) Run(ctx context.Context, std streams) error {
	ctx, cancel := context.WithTimeout(ctx, nodesTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(c.Admin, "/")+"/nodes?others=true", nil)
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
	if err := json.NewDecoder(io.LimitReader(response.Body, maxNodesAnswer)).Decode(&status); err != nil {
		return fmt.Errorf("read what %s says of the nodes: %w", c.Admin, err)
	}
	return printNodes(std.out, status)
}

// printNodes prints a table of the nodes, and what has happened lately.
func printNodes(out io.Writer, s nodeStatus) error {
	fmt.Fprintf(out, "epoch %d of the nodes %s: %s\n", s.View.Epoch, s.View.Cluster, terminal.Printable(s.View.Why))
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NODE\tADDRESS\tVERSION\tROLE\tLAST HEARD\tLAG\tSTATE")
	leader := s.of(s.View.Leader)
	for _, m := range s.View.Members {
		heard, lag := "", ""
		switch {
		case m.ID == s.View.Leader && s.Role == replica.Following:
			heard = ago(s.LeaderSilent)
		case leader != nil:
			heard, lag = followerOf(leader, m.ID)
		}
		s.printNode(table, m, roleOf(s.Status, m), heard, lag, s.says(m))
	}
	if !s.View.Has(s.Self) {
		s.printNode(table, s.Self, string(s.Role), "", "", s.says(s.Self))
	}
	if leader != nil {
		for _, j := range leader.Joining {
			s.printNode(table, replica.Member{ID: j.ID, Addr: j.Addr}, "joining", ago(j.Silent), "", fmt.Sprintf("it is given what there is: piece %d", j.Pieces))
		}
	}
	for _, r := range s.removed() {
		s.printNode(table, r.Member, "removed", "", "", fmt.Sprintf("%s, epoch %d: %s", r.At.UTC().Format(time.RFC3339), r.Epoch, r.Why))
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

// printNode prints a row of the table.
func (s *nodeStatus) printNode(table io.Writer, m replica.Member, role, heard, lag, state string) {
	build := ""
	if status := s.of(m.ID); status != nil {
		build = status.Build
	}
	fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", terminal.Printable(m.ID), terminal.Printable(m.Addr), terminal.Printable(build), role, heard, lag, terminal.Printable(state))
}

// ago is how long ago something was, as a table has it.
func ago(d time.Duration) string { return d.Round(time.Millisecond).String() + " ago" }

// followerOf is what a leader knows of a follower: when it was heard, and how far it lags behind.
func followerOf(leader *nodeStatus, id string) (heard, lag string) {
	for _, f := range leader.Followers {
		switch {
		case f.ID != id:
		case f.Behind == 0:
			return ago(f.Silent), "none"
		default:
			return ago(f.Silent), fmt.Sprintf("%d change for %s", f.Behind, f.Lag.Round(time.Millisecond))
		}
	}
	return "", ""
}

// of is what the node of an ID says of itself; nil where it was not asked or has not answered.
func (s *nodeStatus) of(id string) *nodeStatus {
	if id == s.Self.ID {
		return s
	}
	for _, other := range s.Others {
		if other.ID == id {
			return other.Status
		}
	}
	return nil
}

// says is what a node says of itself, or why that is not known, and why it is not sent messages by the node that was asked.
func (s *nodeStatus) says(m replica.Member) string {
	if m.ID == s.Self.ID {
		return "asked here: " + serving(s)
	}
	var says []string
	for _, other := range s.Others {
		switch {
		case other.ID != m.ID:
		case other.Status != nil:
			says = append(says, serving(other.Status))
		default:
			says = append(says, other.Trouble)
		}
	}
	for _, p := range s.Peers {
		if p.Address == m.Addr && p.Trouble != "" && !slices.Contains(says, p.Trouble) {
			says = append(says, p.Trouble)
		}
	}
	return strings.Join(says, "; ")
}

// removed are those whom any node that answered remembers as removed, the last one last, but for who is a member again.
func (s *nodeStatus) removed() []replica.Removal {
	last := map[string]replica.Removal{}
	take := func(of []replica.Removal) {
		for _, r := range of {
			if _, again := s.View.Member(r.ID); !again && r.Epoch > last[r.ID].Epoch {
				last[r.ID] = r
			}
		}
	}
	take(s.Removed)
	for _, other := range s.Others {
		if other.Status != nil {
			take(other.Status.Removed)
		}
	}
	return slices.SortedFunc(maps.Values(last), func(a, b replica.Removal) int {
		return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.ID, b.ID))
	})
}

// roleOf is what a member is.
func roleOf(s replica.Status, m replica.Member) string {
	if m.ID == s.View.Leader {
		return "leader"
	}
	return "follower"
}

// serving says what the node that was asked may do.
func serving(s *nodeStatus) string {
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
