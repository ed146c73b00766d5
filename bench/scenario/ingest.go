package scenario

import (
	"context"
	"errors"
	"fmt"

	"lastseen/bench/baseline"
	"lastseen/bench/loadgen"
	"lastseen/bench/record"
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
type ingest struct {
	*Stage
	o *record.Outcome

	service []*loadgen.Measurement // by round
	plain   [][]baseline.Inserted  // by size and round
}

// Run implements Runner.
func (s *ingest) Run(ctx context.Context) (err error) {
	o := s.o
	main, err := s.Lastseen(ctx)
	if err != nil {
		return err
	}
	engine, err := s.rig.StartNaive(ctx, "ingest-yardstick", s.spec, main)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Stop()) }()
	addVersion(o, engine.Version)
	where := "inside the process that holds the engine, no HTTP"
	if s.rig.Server != nil {
		where = "over HTTP to the same server"
	}
	o.Describe(fmt.Sprintf("NDJSON bodies of %d points over %d connections; every column filled; every point new; fsync after each insert on both sides", ingestBody, ingestWriters),
		"the yardstick is clickhouse-go's PrepareBatch, Append, Send in a loop, "+where,
		fmt.Sprintf("%d rounds of %v, in turn", s.Rounds, s.loads.Duration))

	l := s.lane(main, func(l *loadgen.Load) {
		l.Connections, l.Workers, l.Source = ingestWriters, 1, ingesters(main, ingestBody, 1, false)
	})
	s.plain = make([][]baseline.Inserted, len(insertSizes))
	first := s.spec.PointsPerSession
	for round := range s.Rounds {
		if err := s.pause(); err != nil {
			return err
		}
		m, err := l.run(ctx)
		if err != nil {
			return fmt.Errorf("write through the service: %w", err)
		}
		s.service = append(s.service, m)
		s.rig.Say("round %d: lastseen %s points/s", round+1, record.Thousands(m.Throughput()*ingestBody))
		for i, size := range insertSizes {
			inserted, err := engine.Insert(ctx, size, s.loads.Duration, first)
			if err != nil {
				return err
			}
			first += inserted.Rows/s.spec.Sessions + 2 // the next points of every session are new again
			s.plain[i] = append(s.plain[i], inserted)
			s.rig.Say("round %d: plain inserts of %d: %s points/s", round+1, size, record.Thousands(float64(inserted.Rows)/inserted.Seconds))
		}
	}
	s.report()
	limits(o, []lane{l}, [][]*loadgen.Measurement{s.service})
	return nil
}

// report tabulates and judges.
func (s *ingest) report() {
	o, service, plain := s.o, s.service, s.plain
	rows := over(service, throughput) * ingestBody
	t := record.Table{Title: "Rows a second", Header: []string{"", "points/s", "one insert or acknowledgement p50", "p99"}}
	t.Rows = append(t.Rows, []string{fmt.Sprintf("**lastseen**, %d writers with %d points each", ingestWriters, ingestBody),
		record.Thousands(rows), record.Span(over(service, latency(50))), record.Span(over(service, latency(99)))})
	o.Figure("lastseen/points_per_second", rows)
	o.Figure("lastseen/acknowledgement_p99", over(service, latency(99)))
	for i, size := range insertSizes {
		var rates, p50, p99 []float64
		for _, inserted := range plain[i] {
			rates = append(rates, float64(inserted.Rows)/inserted.Seconds)
			p50, p99 = append(p50, float64(inserted.P50)), append(p99, float64(inserted.P99))
		}
		t.Rows = append(t.Rows, []string{fmt.Sprintf("plain inserts of %s rows", record.Thousands(float64(size))), record.Thousands(median(rates)), record.Span(median(p50)), record.Span(median(p99))})
		o.Figure(fmt.Sprintf("plain_%d/points_per_second", size), median(rates))
		if size != referenceInserted {
			continue
		}
		shares, slower := make([]float64, len(service)), make([]float64, len(service))
		for round, m := range service {
			shares[round] = m.Throughput() * ingestBody / rates[round]
			slower[round] = latency(99)(m) / p50[round]
		}
		o.Judge(fmt.Sprintf("points a second beside plain inserts of %s rows, as many as are in flight", record.Thousands(float64(size))),
			"at least "+record.Percent(leastOfInserts), record.Percent(median(shares)), median(shares) >= leastOfInserts)
		o.Judge("p99 of the acknowledgement beside the time of one such insert", "at most "+record.Times(mostOfInsert)+" ×", record.Times(median(slower))+" ×", median(slower) <= mostOfInsert)
	}
	o.Add(t)
	o.Add(record.Table{Title: "Processor time a point", Header: []string{"server", "client"},
		Rows: [][]string{{record.Micros(over(service, serverMicros) / ingestBody), record.Micros(over(service, clientMicros) / ingestBody)}}})
}
