package bench

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"lastseen/bench/loadgen"
	"lastseen/bench/rival"
)

const (
	ingestBody = 500 // points
	// ingestWriters times ingestBody is how many rows are in flight at a time, which is the size of
	// the plain insert that they are compared with.
	ingestWriters     = 20
	leastOfInserts    = 0.70 // of the plain inserts' rows a second
	mostOfInsert      = 3.0  // p99 of the acknowledgement, of the time of one plain insert
	referenceInserted = ingestBody * ingestWriters
)

// insertSizes are the batches of the plain inserts, rows.
var insertSizes = []int{ingestBody, referenceInserted, 100_000}

// ingest compares writing through the service with a plain loop of batch inserts.
func ingest(ctx context.Context, s *suite, o *Outcome) (err error) {
	main, err := s.lastseen(ctx)
	if err != nil {
		return err
	}
	engine, err := s.startNaive(ctx, "ingest-yardstick", s.spec, main)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.stop()) }()
	o.Versions = append(o.Versions, engine.version)
	o.Settings = append(o.Settings,
		fmt.Sprintf("NDJSON bodies of %d points over %d connections; every column filled; every point new; fsync after each insert on both sides", ingestBody, ingestWriters),
		"the yardstick is clickhouse-go's PrepareBatch, Append, Send in a loop, inside the process that holds the engine, no HTTP",
		fmt.Sprintf("%d rounds of %v, in turn", s.config.Rounds, s.config.Duration))

	l := s.lane(main, func(l *loadgen.Load) {
		l.Connections, l.Workers, l.Source = ingestWriters, 1, s.ingesters(main, ingestBody, 1, false)
	})
	var service []*loadgen.Measurement
	plain := make([][]rival.Inserted, len(insertSizes))
	first := s.spec.PointsPerSession
	for round := range s.config.Rounds {
		m, err := l.run(ctx)
		if err != nil {
			return fmt.Errorf("write through the service: %w", err)
		}
		service = append(service, m)
		s.say("round %d: lastseen %s points/s", round+1, thousands(m.Throughput()*ingestBody))
		for i, size := range insertSizes {
			inserted, err := engine.insert(ctx, size, s.config.Duration, first)
			if err != nil {
				return err
			}
			first += inserted.Rows/s.spec.Sessions + 2 // the next points of every session are new again
			plain[i] = append(plain[i], inserted)
			s.say("round %d: plain inserts of %d: %s points/s", round+1, size, thousands(float64(inserted.Rows)/inserted.Seconds))
		}
	}
	o.reportIngest(service, plain)
	o.limits([]lane{l}, [][]*loadgen.Measurement{service})
	return nil
}

// insert runs the yardstick.
func (s *service) insert(ctx context.Context, batch int, length time.Duration, first int) (inserted rival.Inserted, err error) {
	query := url.Values{"batch": {fmt.Sprint(batch)}, "milliseconds": {fmt.Sprint(length.Milliseconds())}, "first": {fmt.Sprint(first)}}
	yardstick := newAPI("http://" + s.host)
	yardstick.client.Timeout = 0 // bounded by the length and ctx
	if err = yardstick.call(ctx, "POST", "/insert", query, "", nil, &inserted); err != nil {
		return inserted, fmt.Errorf("insert plainly: %w", err)
	}
	return inserted, nil
}

// reportIngest tabulates and judges.
func (o *Outcome) reportIngest(service []*loadgen.Measurement, plain [][]rival.Inserted) {
	rows := over(service, throughput) * ingestBody
	t := Table{Title: "Rows a second", Header: []string{"", "points/s", "one insert or acknowledgement p50", "p99"}}
	t.Rows = append(t.Rows, []string{fmt.Sprintf("**lastseen**, %d writers with %d points each", ingestWriters, ingestBody),
		thousands(rows), span(over(service, latency(50))), span(over(service, latency(99)))})
	o.figure("lastseen/points_per_second", rows)
	o.figure("lastseen/acknowledgement_p99", over(service, latency(99)))
	for i, size := range insertSizes {
		var rates, p50, p99 []float64
		for _, inserted := range plain[i] {
			rates = append(rates, float64(inserted.Rows)/inserted.Seconds)
			p50, p99 = append(p50, float64(inserted.P50)), append(p99, float64(inserted.P99))
		}
		t.Rows = append(t.Rows, []string{fmt.Sprintf("plain inserts of %s rows", thousands(float64(size))), thousands(median(rates)), span(median(p50)), span(median(p99))})
		o.figure(fmt.Sprintf("plain_%d/points_per_second", size), median(rates))
		if size != referenceInserted {
			continue
		}
		shares, slower := make([]float64, len(service)), make([]float64, len(service))
		for round, m := range service {
			shares[round] = m.Throughput() * ingestBody / rates[round]
			slower[round] = latency(99)(m) / p50[round]
		}
		o.verdict(fmt.Sprintf("points a second beside plain inserts of %s rows, as many as are in flight", thousands(float64(size))),
			"at least "+percent(leastOfInserts), percent(median(shares)), median(shares) >= leastOfInserts)
		o.verdict("p99 of the acknowledgement beside the time of one such insert", "at most "+times(mostOfInsert)+" ×", times(median(slower))+" ×", median(slower) <= mostOfInsert)
	}
	o.Tables = append(o.Tables, t)
	o.Tables = append(o.Tables, Table{Title: "Processor time a point", Header: []string{"server", "client"},
		Rows: [][]string{{micros(over(service, serverMicros) / ingestBody), micros(over(service, clientMicros) / ingestBody)}}})
}
