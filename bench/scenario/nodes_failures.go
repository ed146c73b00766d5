package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"lastseen/bench/record"
)

const (
	stoppedFor   = 5 * time.Second // by SIGSTOP
	awayFor      = 3 * time.Second // ClickHouse
	mostFailures = 3               // rounds
	settleWithin = 2 * time.Minute
)

// failure is something that goes wrong, and what docs/nodes.md says that clients of the other nodes notice of it at most.
type failure struct {
	name         string
	leads        bool // whether it is about the leader rather than a follower
	store        bool // or about ClickHouse
	make         func(context.Context, *nodes, int) error
	mend         func(context.Context, *nodes, int) error
	polls, acked time.Duration // 0 for no promise
}

// nodeFailures are all that are measured.
var nodeFailures = []failure{
	{name: "a follower is killed", make: kill, mend: startAgain, polls: 500 * time.Millisecond, acked: 3500 * time.Millisecond},
	{name: "the leader is killed", leads: true, make: kill, mend: startAgain, polls: 500 * time.Millisecond, acked: 7500 * time.Millisecond},
	{name: "a follower is stopped", make: signalled(syscall.SIGSTOP, stoppedFor), mend: signalled(syscall.SIGCONT, 0), polls: 500 * time.Millisecond, acked: 3500 * time.Millisecond},
	{name: "the leader is stopped", leads: true, make: signalled(syscall.SIGSTOP, 2*stoppedFor), mend: signalled(syscall.SIGCONT, 0), polls: 2 * time.Second, acked: 7500 * time.Millisecond},
	{name: "a follower leaves", make: leave, mend: startAgain, polls: 500 * time.Millisecond, acked: time.Second},
	{name: "the leader leaves", leads: true, make: leave, mend: startAgain, polls: 500 * time.Millisecond, acked: time.Second},
	{name: "ClickHouse is killed", store: true, make: killStore, mend: startStore, polls: 500 * time.Millisecond},
}

// FailureNames lists the failures that nodes measures.
func FailureNames() (names []string) {
	for _, f := range nodeFailures {
		names = append(names, f.name)
	}
	return names
}

func kill(ctx context.Context, s *nodes, node int) error { return s.nodes.All[node].Kill() }

func leave(ctx context.Context, s *nodes, node int) error { return s.nodes.All[node].Leave() }

func startAgain(ctx context.Context, s *nodes, node int) error { return s.nodes.Start(node) }

// signalled sends a signal and waits.
func signalled(signal syscall.Signal, length time.Duration) func(context.Context, *nodes, int) error {
	return func(ctx context.Context, s *nodes, node int) error {
		err := s.nodes.All[node].Signal(signal)
		pauseFor(ctx, length)
		return err
	}
}

func killStore(ctx context.Context, s *nodes, _ int) error {
	err := s.on.Server.Kill()
	pauseFor(ctx, awayFor)
	return err
}

func startStore(ctx context.Context, s *nodes, _ int) error { return s.on.Server.Start(ctx) }

// noticed is what clients of nodes that nothing happens to notice: the longest of several times.
type noticed struct {
	quiet, busy, acked             time.Duration // without such an answer
	pollsRefused, writesRefused, n int
	back                           time.Duration // from the node's start to its readiness
}

// add takes what clients of a node saw.
func (n *noticed) add(c *nodeClients) {
	quiet, refused, broken := c.quiet.end()
	n.quiet, n.pollsRefused = max(n.quiet, quiet), n.pollsRefused+refused+broken
	busy, refused, broken := c.busy.end()
	n.busy, n.pollsRefused = max(n.busy, busy), n.pollsRefused+refused+broken
	acked, refused, broken := c.writes.end()
	n.acked, n.writesRefused = max(n.acked, acked), n.writesRefused+refused+broken
}

// failures measures each failure so many rounds, with clients on every node.
func (s *nodes) failures(ctx context.Context) (err error) {
	watching, fail := context.WithCancelCause(ctx)
	clients, wait := watchNodes(watching, s.nodes, fail)
	defer func() {
		if cause := context.Cause(watching); cause != nil && ctx.Err() == nil {
			err = cause // a wrong answer
		}
		fail(nil)
		wait()
	}()
	s.o.Describe(fmt.Sprintf("failures: three clients on each node, each with one request at a time: one polls a session that nobody writes, one that of another node's writer, one writes a point; a node is stopped for %v (the leader for %v), ClickHouse is away for %v; every poll must show what was known before it", stoppedFor, 2*stoppedFor, awayFor))
	during, back := map[string]*noticed{}, &noticed{}
	rounds := min(s.Rounds, mostFailures)
	for round := range rounds {
		for _, f := range nodeFailures {
			if len(s.Failures) > 0 && !slices.Contains(s.Failures, f.name) {
				continue
			}
			if during[f.name] == nil {
				during[f.name] = &noticed{}
			}
			if err := s.fail(watching, f, clients, during[f.name], back); err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
			n := during[f.name]
			s.rig.Say("round %d: %-24s polls %v (of a session that is written %v), acknowledgements %v", round+1, f.name, n.quiet.Round(time.Millisecond), n.busy.Round(time.Millisecond), n.acked.Round(time.Millisecond))
		}
	}
	s.reportFailures(during, back, rounds)
	return nil
}

// fail lets one thing go wrong and mends it.
func (s *nodes) fail(ctx context.Context, f failure, clients []*nodeClients, during, back *noticed) error {
	ctx, cancel := context.WithTimeoutCause(ctx, settleWithin, errors.New("the nodes have not settled within two minutes"))
	defer cancel()
	leader, err := s.nodes.Leader(ctx)
	if err != nil {
		return err
	}
	target := leader
	if !f.leads {
		target = (leader + 1) % len(s.nodes.All)
	}
	others := slices.Clone(clients)
	if !f.store {
		others = slices.Delete(others, target, target+1)
	}
	if err := awaitWell(ctx, clients); err != nil {
		return err
	}
	begin(others)
	if err := f.make(ctx, s, target); err != nil {
		return err
	}
	if !f.store {
		if err := awaitWell(ctx, others); err != nil {
			return err
		}
		note(others, during)
		begin(others)
	}
	began := time.Now()
	if err := f.mend(ctx, s, target); err != nil {
		return err
	}
	if err := s.nodes.AwaitReady(ctx, target); err != nil {
		return err
	}
	during.back = max(during.back, time.Since(began))
	if err := awaitWell(ctx, clients); err != nil {
		return err
	}
	if f.store {
		note(others, during)
	} else {
		note(others, back)
	}
	return nil
}

func begin(clients []*nodeClients) {
	for _, c := range clients {
		c.begin()
	}
}

// note adds what clients have seen.
func note(clients []*nodeClients, to *noticed) {
	for _, c := range clients {
		to.add(c)
	}
	to.n++
}

// awaitWell waits a second and until all clients are answered again.
func awaitWell(ctx context.Context, clients []*nodeClients) error {
	pauseFor(ctx, time.Second)
	for ctx.Err() == nil {
		if !slices.ContainsFunc(clients, func(c *nodeClients) bool { return !c.well() }) {
			return nil
		}
		pauseFor(ctx, 10*time.Millisecond)
	}
	return context.Cause(ctx)
}

// reportFailures tabulates and judges.
func (s *nodes) reportFailures(during map[string]*noticed, back *noticed, rounds int) {
	table := record.Table{
		Title:  fmt.Sprintf("What clients of the other nodes notice, the longest of %d times", rounds),
		Header: []string{"", "without a poll", "without a poll of a session that is written", "without an acknowledgement", "polls refused", "points refused", "ready again after"},
	}
	row := func(name string, n *noticed, again string) {
		table.Rows = append(table.Rows, []string{name, record.Span(float64(n.quiet)), record.Span(float64(n.busy)), record.Span(float64(n.acked)), fmt.Sprint(n.pollsRefused), fmt.Sprint(n.writesRefused), again})
	}
	for _, f := range nodeFailures {
		n := during[f.name]
		if n == nil {
			continue
		}
		row(f.name, n, n.back.Round(10*time.Millisecond).String())
		s.o.Figure("failures/"+f.name+"/polls", float64(n.quiet))
		s.o.Figure("failures/"+f.name+"/acknowledgements", float64(n.acked))
		s.o.Judge("time without a poll elsewhere: "+f.name, "at most "+f.polls.String(), record.Span(float64(n.quiet)), n.quiet <= f.polls)
		if f.acked > 0 {
			s.o.Judge("time without an acknowledgement elsewhere: "+f.name, "at most "+f.acked.String(), record.Span(float64(n.acked)), n.acked <= f.acked)
		}
	}
	if back.n > 0 {
		row("a node comes back", back, "")
	}
	s.o.Add(table)
}

// checkFailures refuses names of none.
func checkFailures(names []string) error {
	for _, name := range names {
		if !slices.Contains(FailureNames(), name) {
			return fmt.Errorf("there is no failure %q: choose from %q", name, FailureNames())
		}
	}
	return nil
}
