package scenario

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"lastseen/bench/loadgen"
	"lastseen/bench/record"
	"lastseen/bench/rig"
	"lastseen/bench/traffic"
)

const (
	mostMedianBeside = 2.0
	mostP99Beside    = 3.0

	tenantSessions = 4_000 // at most: the scenario is about who waits for whom
	tenantPoints   = 200   // at least, in a session's history
	residentPolls  = 190   // a second: not in step with the service, which does some things a hundred times a second
	ownCalls       = 8     // connections of calls that are no loads

	resident, intruder = 0, 1 // the organisations
)

// tenants measures what one organisation, the resident, notices of another that does its worst, the intruder.
type tenants struct {
	*Stage
	o *record.Outcome
}

// Run implements Runner.
func (s *tenants) Run(ctx context.Context) (err error) {
	spec := s.spec
	spec.Sessions, spec.PointsPerSession, spec.Merged = min(spec.Sessions, tenantSessions), max(spec.PointsPerSession, tenantPoints), true
	on, err := s.rig.StartLastseen(ctx, "lastseen-tenants", spec)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, on.Stop()) }()
	o := s.o
	o.Describe(fmt.Sprintf("one organisation, over connections of its own: %d polls/s, points written one at a time in a closed loop, and keys made and revoked every %v; beside it another, from another address", residentPolls, revokeEvery),
		fmt.Sprintf("%s sessions of %d points, of %d organisations; %d rounds, in each %v alone and %v beside each attack, after %v of warm-up; the samples of all rounds together",
			record.Thousands(float64(spec.Sessions)), spec.PointsPerSession, spec.Organisations, s.Rounds, s.loads.Duration, s.loads.Duration, s.loads.WarmUp),
		"an attack has opened its connections before")
	quiet := on.Sockets()
	in := &intrusion{
		on: on, cpus: s.loads.CPUs, sessions: on.Catalogue.Own[intruder], key: on.Catalogue.Keys[intruder][0], newest: on.Catalogue.Newest(on.Catalogue.Own[intruder][0]),
		stored: min(s.HistoryPoints, mostStored), waiters: min(s.Waiters, mostLongPolls), silent: min(s.Waiters, mostSilent),
	}
	if err := in.prepare(ctx); err != nil {
		return err
	}
	attacks, err := in.chosen(s.Attacks)
	if err != nil {
		return err
	}
	attacks = append([]attack{{name: "alone"}}, attacks...)
	felt := make([]*experience, len(attacks))
	for i := range felt {
		felt[i] = newExperience()
	}
	for round := range s.Rounds {
		if err := s.pause(); err != nil {
			return err
		}
		for i, a := range attacks {
			if err := errors.Join(awaitClosing(ctx, on, quiet+ownCalls), in.recover(ctx), s.beside(ctx, in, a, felt[i])); err != nil {
				return fmt.Errorf("%s: %w", a.name, err)
			}
			s.rig.Say("round %d: %-24s polls p50 %v p99 %v, writes p50 %v p99 %v, revocations p50 %v p99 %v (so far), %d refused", round+1, a.name,
				felt[i].polls.at(50), felt[i].polls.at(99), felt[i].writes.at(50), felt[i].writes.at(99), felt[i].revocations.at(50), felt[i].revocations.at(99), felt[i].refused)
		}
	}
	s.report(attacks, felt)
	return nil
}

// beside has the resident at work beside an attack that has opened its connections, and adds what it felt.
func (s *tenants) beside(ctx context.Context, in *intrusion, a attack, felt *experience) (err error) {
	on := in.on
	if a.run != nil {
		attacking, end := context.WithCancel(ctx)
		ended := make(chan error, 1)
		in.connected.Store(0)
		go func() { ended <- a.run(attacking) }()
		defer func() {
			end()
			err = errors.Join(err, <-ended)
		}()
		if err := in.awaitConnected(ctx, a); err != nil {
			return err
		}
	}
	r := &residence{on: on, felt: felt, warm: time.Now().Add(s.loads.WarmUp), until: time.Now().Add(s.loads.WarmUp + s.loads.Duration)}
	turn := lane{name: a.name, load: func() loadgen.Load { return s.residentPolls(on) }, beside: []func(context.Context) error{r.write, r.revoke}}
	m, err := turn.run(ctx)
	if err != nil {
		return err
	}
	felt.polls.histogram.Merge(m.Latency)
	felt.refused += m.Refused + m.Failed + r.refused.Load()
	felt.service, felt.clients, felt.took = felt.service+m.ServerCPU, felt.clients+m.ClientCPU, felt.took+s.loads.Duration
	return nil
}

// residentPolls is an open loop of polls of the resident's sessions.
func (s *tenants) residentPolls(on *rig.Service) loadgen.Load {
	polls := traffic.NewPolls(on.Catalogue, on.Host, on.Prefix)
	polls.Refusals = true
	load := s.loads.Polls(on)
	load.Connections, load.Workers, load.Rate, load.Tolerant = 4, 1, residentPolls, true
	var draws traffic.Draws
	for _, session := range on.Catalogue.Own[resident] {
		draws = append(draws, uint32(session))
	}
	load.Source = func(int) loadgen.Source { return polls.Start(draws, 0) }
	return load
}

// experience is what the resident felt.
type experience struct {
	polls, writes, revocations samples
	refused                    int64

	service, clients, took time.Duration // processor time of the service and of all clients, the other's too, in how long
}

// processors writes a processor time as how many processors were busy with it.
func (e *experience) processors(spent time.Duration) string {
	return fmt.Sprintf("%.2f", spent.Seconds()/max(e.took.Seconds(), 1e-9))
}

func newExperience() *experience {
	return &experience{polls: newSamples(), writes: newSamples(), revocations: newSamples()}
}

// samples are times.
type samples struct{ histogram *hdrhistogram.Histogram }

func newSamples() samples { return samples{hdrhistogram.New(1_000, int64(10*time.Minute), 3)} }

func (s samples) add(d time.Duration) { _ = s.histogram.RecordValue(int64(d)) } // calls end long before its highest

// at returns a quantile (percent).
func (s samples) at(percent float64) time.Duration { return loadgen.Quantile(s.histogram, percent) }

// report tabulates and judges.
func (s *tenants) report(attacks []attack, felt []*experience) {
	o, alone := s.o, felt[0]
	t := record.Table{Title: "What the one organisation feels", Header: []string{"the other", "polls p50", "p99", "writes p50", "p99", "revocations p50", "p99", "worst p50", "worst p99", "refused", "processors of the service", "of the clients"}}
	for i, a := range attacks {
		f := felt[i]
		row, median, tail := []string{a.name}, 0.0, 0.0
		for _, kind := range []struct {
			name      string
			own, base samples
		}{{"polls", f.polls, alone.polls}, {"writes", f.writes, alone.writes}, {"revocations", f.revocations, alone.revocations}} {
			p50, p99 := float64(kind.own.at(50)), float64(kind.own.at(99))
			row = append(row, record.Span(p50), record.Span(p99))
			median, tail = max(median, p50/max(float64(kind.base.at(50)), 1)), max(tail, p99/max(float64(kind.base.at(99)), 1))
			o.Figure(a.name+"/"+kind.name+"/p50", p50)
			o.Figure(a.name+"/"+kind.name+"/p99", p99)
		}
		t.Rows = append(t.Rows, append(row, record.Times(median)+" ×", record.Times(tail)+" ×", fmt.Sprint(f.refused), f.processors(f.service), f.processors(f.clients)))
		if i > 0 {
			o.Judge("beside "+a.name+": the worst of the medians and of the p99s, beside those alone, and what is refused",
				fmt.Sprintf("at most %s ×, %s × and 0", record.Times(mostMedianBeside), record.Times(mostP99Beside)),
				fmt.Sprintf("%s ×, %s × and %d", record.Times(median), record.Times(tail), f.refused),
				median <= mostMedianBeside && tail <= mostP99Beside && f.refused == 0)
		}
	}
	o.Add(t)
	var what []string
	for _, a := range attacks[1:] {
		what = append(what, a.name+": "+a.what)
	}
	o.Note("The attacks. " + strings.Join(what, "; ") + ".")
	o.Note(fmt.Sprintf("Each p99 of writes rests on at least %s of them, and each of revocations on %s: with fewer than some hundred it is the longest of them.",
		record.Thousands(float64(fewest(felt, func(e *experience) samples { return e.writes }))), record.Thousands(float64(fewest(felt, func(e *experience) samples { return e.revocations })))))
	o.Note("Service, resident and intruder share this machine's processors, but an intruder would have a machine of its own. So its clients yield: they run only where neither the service nor the resident has use for a processor, and what is felt of them is what the service does for them. Where those two leave nothing idle the attack is weaker than one from elsewhere could be. The last columns say how many processors the service kept busy, and how many all clients.")
}

// fewest is how many samples of a kind there are of what was felt, where there are fewest.
func fewest(felt []*experience, kind func(*experience) samples) int64 {
	count := kind(felt[0]).histogram.TotalCount()
	for _, f := range felt[1:] {
		count = min(count, kind(f).histogram.TotalCount())
	}
	return count
}

// awaitClosing waits until a service has no more sockets open than when it was quiet.
func awaitClosing(ctx context.Context, on *rig.Service, quiet int) error {
	return await(ctx, longestClosing, func() error {
		if open := on.Sockets(); open > quiet+closingSlack {
			return fmt.Errorf("the service has %d sockets open, and had %d before the loads", open, quiet)
		}
		return nil
	})
}

// await looks again and again until nothing is missing any more, and fails with what is missing after the longest time.
func await(ctx context.Context, longest time.Duration, missing func() error) error {
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for began := time.Now(); ; {
		err := missing()
		if err == nil || time.Since(began) > longest {
			return err
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
