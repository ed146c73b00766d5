package scenario

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"lastseen/bench/baseline"
	"lastseen/bench/loadgen"
	"lastseen/bench/record"
	"lastseen/bench/rig"
	"lastseen/bench/traffic"
)

// What is promised of many newest points in one request.
const (
	leastOfMGET         = 1.0  // sessions a second, of Redis' MGET with as many keys
	leastOfSingle       = 8.0  // sessions a second, of the route of one
	mostBesideBatches   = 1.5  // p99 of polls, of that without batches
	batchesOfProcessors = 0.5  // that the service spends on batches then
	mostInAll           = 0.9  // of the processors that polls, batches and the clients of both spend, where they share these
	pollsBesideBatches  = 0.03 // the rate of these polls, of the most that there can be: they are to leave room for the batches
	batchConnections    = 16   // of the batches beside polls
)

var batchSizes = []int{100, 1000}

// batch compares many newest points in one request with as many requests and with Redis, and measures what it costs those
// who poll meanwhile.
type batch struct {
	*Stage
	o *record.Outcome
}

// Run implements Runner.
func (s *batch) Run(ctx context.Context) (err error) {
	main, err := s.Lastseen(ctx)
	if err != nil {
		return err
	}
	s.describeLoad(s.o)
	single := s.lane(main, nil)
	single.name, single.label = "single", "`last_seen`, one session a request"
	lanes, per := []lane{single}, []int{1}
	for _, size := range batchSizes {
		lanes, per = append(lanes, s.batches(main, size, nil)), append(per, size)
	}
	redis, absent, err := s.rig.StartBaseline(ctx, baseline.Redis, s.spec, main)
	if err != nil {
		return err
	}
	if redis == nil {
		s.o.Note(fmt.Sprintf("Left out: redis (%s).", absent))
	} else {
		defer func() { err = errors.Join(err, redis.Stop()) }()
		addVersion(s.o, redis.Version)
		s.o.Describe("Redis holds the finished answers and checks no key, both in its favour")
		for _, size := range batchSizes {
			lanes, per = append(lanes, s.mgets(redis, size)), append(per, size)
		}
	}
	all, err := s.rounds(ctx, lanes)
	if err != nil {
		return err
	}
	s.report(lanes, per, all)
	return s.beside(ctx, main, all)
}

// batches is a closed loop of requests for so many sessions; adjust may be nil.
func (s *batch) batches(on *rig.Service, size int, adjust func(*loadgen.Load)) lane {
	return lane{name: fmt.Sprintf("batch of %d", size), label: fmt.Sprintf("`last_seen_batch`, %d sessions a request", size), load: func() loadgen.Load {
		load := s.loads.Polls(on)
		load.Source = s.loads.Sources(traffic.Batches(on.Catalogue, on.Host, size))
		if adjust != nil {
			adjust(&load)
		}
		return load
	}}
}

func (s *batch) mgets(on *rig.Service, size int) lane {
	return lane{name: fmt.Sprintf("MGET of %d", size), label: fmt.Sprintf("redis-server `MGET`, %d keys a request", size), load: func() loadgen.Load {
		load := s.loads.Polls(on)
		load.Source = s.loads.Sources(traffic.RedisMGets(on.Catalogue, size))
		return load
	}}
}

func (s *batch) report(lanes []lane, per []int, all [][]*loadgen.Measurement) {
	t := record.Table{Title: "Closed loop: every connection asks again as soon as it is answered",
		Header: []string{"", "sessions/s", "of the first row", "p50", "p99", "server CPU a session", "client CPU a session"}}
	for i, l := range lanes {
		n := float64(per[i])
		t.Rows = append(t.Rows, []string{
			l.label, record.Thousands(n * over(all[i], throughput)), record.Times(n * ratio(all[i], all[0], throughput)),
			record.Span(over(all[i], latency(50))), record.Span(over(all[i], latency(99))),
			record.Micros(over(all[i], serverMicros) / n), record.Micros(over(all[i], clientMicros) / n),
		})
		s.o.Figure("closed/"+l.name+"/sessions_per_second", n*over(all[i], throughput))
	}
	s.o.Add(t)
	limits(s.o, lanes, all)
	for i, size := range batchSizes {
		gain := float64(size) * ratio(all[1+i], all[0], throughput)
		if size == batchSizes[len(batchSizes)-1] {
			s.o.Judge(fmt.Sprintf("sessions a second in batches of %d beside the single route", size), "at least "+record.Times(leastOfSingle)+" ×", record.Times(gain)+" ×", gain >= leastOfSingle)
		}
		if mget := 1 + len(batchSizes) + i; mget < len(all) {
			share := ratio(all[1+i], all[mget], throughput)
			s.o.Judge(fmt.Sprintf("sessions a second in batches of %d beside MGET of as many keys", size), "at least "+record.Times(leastOfMGET)+" ×", record.Times(share)+" ×", share >= leastOfMGET)
		}
	}
}

// beside measures polls at a steady rate alone and while the service spends a part of the processors on batches of the largest size.
func (s *batch) beside(ctx context.Context, main *rig.Service, all [][]*loadgen.Measurement) error {
	size := batchSizes[len(batchSizes)-1]
	rate := pollsBesideBatches * over(all[0], throughput)
	processors := len(s.rig.ServerCPUs)
	if processors == 0 {
		processors = runtime.NumCPU()
	}
	polls := func(load *loadgen.Load) { load.Rate = rate }
	alone, beside := s.lane(main, polls), s.lane(main, polls)
	alone.name, alone.label = "polls alone", "polls alone"
	cost := over(all[len(batchSizes)], serverMicros)
	batchRate := batchesOfProcessors * float64(processors) * 1e6 / cost
	if len(s.rig.ServerCPUs) == 0 { // the clients share the processors, and what nobody could serve would say nothing
		m, err := alone.load().Run(ctx)
		if err != nil {
			return err
		}
		left := mostInAll*float64(processors)*1e6 - rate*(serverMicros(m)+clientMicros(m))
		batchRate = min(batchRate, max(left, 0)/(cost+over(all[len(batchSizes)], clientMicros)))
		batchRate = max(batchRate, 1) // 0 would stand for as many as possible
	}
	spent := record.Percent(batchRate * cost / 1e6 / float64(processors))
	beside.name, beside.label = "polls beside batches", fmt.Sprintf("polls beside %s batches of %d a second", record.Thousands(batchRate), size)
	var batches []*loadgen.Measurement
	beside.beside = []func(context.Context) error{func(ctx context.Context) error {
		m, err := s.batches(main, size, func(load *loadgen.Load) {
			load.Rate, load.Connections, load.Workers, load.ServerCPU, load.Yields = batchRate, batchConnections, 1, nil, true
		}).load().Run(ctx)
		batches = append(batches, m) // read only when nothing has failed
		return err
	}}
	lanes := []lane{alone, beside}
	measured, err := s.rounds(ctx, lanes)
	if err != nil {
		return err
	}
	s.o.Add(loadTable(fmt.Sprintf("Open loop of polls at %s requests/s, %s of the most", record.Thousands(rate), record.Percent(pollsBesideBatches)), lanes, measured))
	figures(s.o, "open", lanes, measured)
	limits(s.o, lanes, measured)
	tail := ratio(measured[1], measured[0], latency(99))
	s.o.Judge(fmt.Sprintf("p99 of polls while the service spends %s of the processors on batches of %d, beside polls alone", spent, size), "at most "+record.Times(mostBesideBatches)+" ×", record.Times(tail)+" ×", tail <= mostBesideBatches)
	s.o.Note("Beside polls, the client of the batches yields the processors to whoever else needs them: what it takes to make batches and to check their answers, which clients elsewhere would do, is in nobody's way, and what the service takes is.")
	served := over(batches, throughput)
	s.o.Judge("batches served meanwhile", "at least "+record.Percent(0.95)+" of the offered", record.Percent(served/batchRate), served >= 0.95*batchRate)
	return nil
}
