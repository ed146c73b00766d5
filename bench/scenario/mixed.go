package scenario

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"lastseen/bench/loadgen"
	"lastseen/bench/record"
	"lastseen/bench/rig"
	"lastseen/bench/traffic"
)

const (
	leastBesideWrites = 0.75 // of the throughput without writes
	mixedBody         = 100  // points a body
	mixedWriters      = 64   // connections: enough for the rate when an acknowledgement takes 320 ms
	revokeEvery       = 250 * time.Millisecond
)

// mixed measures polls alone, polls while points are written, and polls while keys are revoked too. Every
// poll must show what was acknowledged before it was sent.
type mixed struct {
	*Stage
	o *record.Outcome
}

// Run implements Runner.
func (s *mixed) Run(ctx context.Context) error {
	main, err := s.Lastseen(ctx)
	if err != nil {
		return err
	}
	o := s.o
	s.describeLoad(o)
	o.Describe(fmt.Sprintf("%s points/s written in bodies of %d over %d connections; a key made, used, revoked and tried again every %v",
		record.Thousands(float64(s.Rate)), mixedBody, mixedWriters, revokeEvery))
	alone := s.lane(main, nil)
	alone.name, alone.label = "alone", "polls alone"
	var writes []*loadgen.Measurement
	writing := []func(context.Context) error{func(ctx context.Context) error {
		m, err := s.writes(main, s.loads.WarmUp+s.loads.Duration).Run(ctx)
		writes = append(writes, m) // read only when nothing has failed
		return err
	}}
	beside := s.lane(main, nil)
	beside.name, beside.label, beside.beside = "beside writes", "polls beside writes", writing
	revoked := new(atomic.Int64)
	changes := s.lane(main, nil)
	changes.name, changes.label, changes.beside = "beside all", "polls beside writes and revocations", writing
	changes.background = []func(context.Context) error{func(ctx context.Context) error { return revokeAgainAndAgain(ctx, main, revoked) }}
	lanes := []lane{alone, beside, changes}
	all, err := s.rounds(ctx, lanes)
	if err != nil {
		return err
	}
	o.Add(loadTable("Closed loop of polls", lanes, all), writesTable(writes, mixedBody))
	figures(o, "closed", lanes, all)
	limits(o, lanes, all)
	share := ratio(all[1], all[0], throughput)
	o.Judge(fmt.Sprintf("polls while %s points/s are written, beside polls alone", record.Thousands(float64(s.Rate))), "at least "+record.Percent(leastBesideWrites), record.Percent(share), share >= leastBesideWrites)
	written := over(writes, throughput) * mixedBody
	o.Judge("points written meanwhile", "at least "+record.Percent(0.95)+" of the offered", record.Percent(written/float64(s.Rate)), written >= 0.95*float64(s.Rate))
	o.Judge("stale, foreign or otherwise wrong answers; revoked keys accepted", "0", "0", true)
	o.Note(fmt.Sprintf("%d keys were revoked meanwhile, each refused at once. The processor time of the other rows includes the writes, and that of the last one the keys.", revoked.Load()))
	return nil
}

// writes is an open loop of ingest at the configured rate.
func (s *Stage) writes(on *rig.Service, length time.Duration) loadgen.Load {
	return loadgen.Load{
		Target: on.Target, Connections: mixedWriters, Workers: 1, Rate: float64(s.Rate) / mixedBody,
		Duration: length, CPUs: s.loads.CPUs, Source: ingesters(on, mixedBody, 1, false),
	}
}

// writesTable tabulates loads of ingest.
func writesTable(writes []*loadgen.Measurement, points int) record.Table {
	return record.Table{
		Title: "Writes meanwhile", Header: []string{"points/s", "acknowledged p50", "p99"},
		Rows: [][]string{{record.Thousands(over(writes, throughput) * float64(points)), record.Span(over(writes, latency(50))), record.Span(over(writes, latency(99)))}},
	}
}

// revokeAgainAndAgain makes, uses, revokes and tries keys until ctx ends.
func revokeAgainAndAgain(ctx context.Context, on *rig.Service, count *atomic.Int64) error {
	tick := time.NewTicker(revokeEvery)
	defer tick.Stop()
	for organisation := 0; ; organisation = (organisation + 1) % len(on.Catalogue.Keys) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		key, err := on.API.CreateKey(ctx, organisation)
		if err != nil {
			return fmt.Errorf("make a key: %w", err)
		}
		session := on.Catalogue.Own[organisation][0]
		if status, err := statusOf(ctx, on, key.Key, session); err != nil || status != http.StatusOK {
			return fmt.Errorf("%w: a new key got status %d, %v", loadgen.ErrWrongAnswer, status, err)
		}
		if err := on.API.RevokeKey(ctx, organisation, key.ID); err != nil {
			return fmt.Errorf("revoke a key: %w", err)
		}
		if status, err := statusOf(ctx, on, key.Key, session); err != nil || status != http.StatusUnauthorized {
			return fmt.Errorf("%w: a revoked key got status %d, %v", loadgen.ErrWrongAnswer, status, err)
		}
		count.Add(1)
	}
}

// statusOf polls a session with a key and returns the status.
func statusOf(ctx context.Context, on *rig.Service, key string, session int) (int, error) {
	response, err := on.PollOnce(ctx, key, session)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

// ingesters makes sources that write bodies of so many points to a service.
func ingesters(on *rig.Service, points, workers int, refusals bool) func(worker int) loadgen.Source {
	return traffic.Ingest(on.Catalogue, on.Host, on.Prefix, points, workers, refusals)
}
