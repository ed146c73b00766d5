package bench

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"lastseen/bench/loadgen"
)

const (
	leastBesideWrites = 0.75 // of the throughput without writes
	mixedBody         = 100  // points a body
	mixedWriters      = 64   // connections: enough for the rate when an acknowledgement takes 320 ms
	revokeEvery       = 250 * time.Millisecond
)

// mixed measures polls alone, polls while points are written, and polls while keys are revoked too. Every
// poll must show what was acknowledged before it was sent.
func mixed(ctx context.Context, s *suite, o *Outcome) error {
	main, err := s.lastseen(ctx)
	if err != nil {
		return err
	}
	s.describeLoad(o)
	o.Settings = append(o.Settings, fmt.Sprintf("%s points/s written in bodies of %d over %d connections; a key made, used, revoked and tried again every %v",
		thousands(float64(s.config.Rate)), mixedBody, mixedWriters, revokeEvery))
	alone := s.lane(main, nil)
	alone.name, alone.label = "alone", "polls alone"
	var writes []*loadgen.Measurement
	writing := []func(context.Context) error{func(ctx context.Context) error {
		m, err := s.writes(main, s.config.WarmUp+s.config.Duration).Run(ctx)
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
	o.Tables = append(o.Tables, loadTable("Closed loop of polls", lanes, all), writesTable(writes, mixedBody))
	o.figures("closed", lanes, all)
	o.limits(lanes, all)
	share := ratio(all[1], all[0], throughput)
	o.verdict(fmt.Sprintf("polls while %s points/s are written, beside polls alone", thousands(float64(s.config.Rate))), "at least "+percent(leastBesideWrites), percent(share), share >= leastBesideWrites)
	written := over(writes, throughput) * mixedBody
	o.verdict("points written meanwhile", "at least "+percent(0.95)+" of the offered", percent(written/float64(s.config.Rate)), written >= 0.95*float64(s.config.Rate))
	o.verdict("stale, foreign or otherwise wrong answers; revoked keys accepted", "0", "0", true)
	o.note(fmt.Sprintf("%d keys were revoked meanwhile, each refused at once. The processor time of the other rows includes the writes, and that of the last one the keys.", revoked.Load()))
	return nil
}

// writes is an open loop of ingest at the configured rate.
func (s *suite) writes(on *service, length time.Duration) loadgen.Load {
	return loadgen.Load{
		Target: on.target, Connections: mixedWriters, Workers: 1, Rate: float64(s.config.Rate) / mixedBody,
		Duration: length, CPUs: s.processors.client, Source: s.ingesters(on, mixedBody, 1, false),
	}
}

// writesTable tabulates loads of ingest.
func writesTable(writes []*loadgen.Measurement, points int) Table {
	return Table{
		Title: "Writes meanwhile", Header: []string{"points/s", "acknowledged p50", "p99"},
		Rows: [][]string{{thousands(over(writes, throughput) * float64(points)), span(over(writes, latency(50))), span(over(writes, latency(99)))}},
	}
}

// revokeAgainAndAgain makes, uses, revokes and tries keys until ctx ends.
func revokeAgainAndAgain(ctx context.Context, on *service, count *atomic.Int64) error {
	tick := time.NewTicker(revokeEvery)
	defer tick.Stop()
	for organisation := 0; ; organisation = (organisation + 1) % len(on.catalogue.keys) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		key, err := on.api.createKey(ctx, organisation)
		if err != nil {
			return fmt.Errorf("make a key: %w", err)
		}
		session := on.catalogue.own[organisation][0]
		if status, err := on.tryKey(ctx, key.Key, session); err != nil || status != http.StatusOK {
			return fmt.Errorf("%w: a new key got status %d, %v", loadgen.ErrWrongAnswer, status, err)
		}
		if err := on.api.revokeKey(ctx, organisation, key.ID); err != nil {
			return fmt.Errorf("revoke a key: %w", err)
		}
		if status, err := on.tryKey(ctx, key.Key, session); err != nil || status != http.StatusUnauthorized {
			return fmt.Errorf("%w: a revoked key got status %d, %v", loadgen.ErrWrongAnswer, status, err)
		}
		count.Add(1)
	}
}

// tryKey polls a session with a key and returns the status.
func (s *service) tryKey(ctx context.Context, key string, session int) (int, error) {
	address := s.api.base + pathLastSeen + "?" + url.Values{"session_id": {string(s.catalogue.id(session))}}.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "Bearer "+key)
	response, err := s.api.client.Do(request)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}
