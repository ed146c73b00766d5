package scenario

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"lastseen/bench/baseline"
	"lastseen/bench/dataset"
	"lastseen/bench/record"
	"lastseen/bench/rig"
	"lastseen/bench/traffic"
)

const (
	leastOfJSONEachRow = 3.0 // rows a second, of what ClickHouse's own JSON brings in one process
	leastOfServersJSON = 2.5 // and of what a server's brings over HTTP
	leastWithGzip      = 1.0 // the same, compressed
	mostOfBareQuery    = 1.3 // latency of the last hour, of the bare query's
	shortPulls         = 100 // a round
)

// history compares whole histories and the last hour with what ClickHouse itself and the usual Go
// code do.
type history struct {
	*Stage
	o *record.Outcome

	long   dataset.Spec
	on     *rig.Service // lastseen
	engine *rig.Service // ClickHouse itself
}

// Run implements Runner.
func (s *history) Run(ctx context.Context) (err error) {
	s.long = s.longSpec()
	s.on, err = s.rig.StartLastseen(ctx, "history", s.long)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.on.Stop()) }()
	if s.engine, err = s.startEngine(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.engine.Stop()) }()
	addVersion(s.o, s.engine.Version)
	s.o.Describe(fmt.Sprintf("sessions of %s points, every column filled, merged once loaded; one pull at a time over loopback to a client that discards; %d rounds in turn, medians",
		record.Thousands(float64(s.long.PointsPerSession)), s.Rounds))
	if err := s.longPulls(ctx); err != nil {
		return err
	}
	return s.shortPulls(ctx)
}

// startEngine starts the plain ways to ask ClickHouse: in the process of an engine with the same data, or on
// the server that lastseen keeps its data in.
func (s *history) startEngine(ctx context.Context) (*rig.Service, error) {
	if s.rig.Server != nil {
		return s.rig.StartNaiveOn(ctx, "history-yardstick", "history", s.long, s.on)
	}
	return s.rig.StartNaive(ctx, "history-yardstick", s.long, s.on)
}

// pullLane is one way to get a history.
type pullLane struct {
	name, label            string
	address, authorization string
	path, encoding         string
	count                  bool                 // its points, in the first round
	cpu                    func() time.Duration // that its servers have spent
}

func (s *history) pullLanes() []pullLane {
	spec, on, engine := &s.long, s.on, s.engine
	start, end := spec.NewestTimestamp(0)-int64(spec.PointsPerSession)*spec.Interval, spec.NewestTimestamp(0)+1
	key := traffic.Bearer(on.Catalogue.Keys[0][0])
	yardstick := url.Values{"session": {spec.SessionID(0).String()}, "start": {fmt.Sprint(start)}, "end": {fmt.Sprint(end)}}.Encode()
	own := pullLane{"JSONEachRow", "ClickHouse's own JSONEachRow", engine.Host, "", "/json_each_row?" + yardstick, "identity", false, engine.CPU}
	direct, possible := s.rig.Server.Select("history", baseline.SelectRange+" FORMAT JSONEachRow",
		map[string]string{"session": spec.SessionID(0).String(), "start": fmt.Sprint(start), "end": fmt.Sprint(end)})
	if possible {
		own.address, own.authorization, own.path, own.cpu = direct.Address, direct.Authorization, direct.Path, s.rig.Server.CPU
	}
	whole := traffic.HistoryPath(on.Catalogue.ID(0), start, end)
	return []pullLane{
		own,
		{"lastseen", "**lastseen** data_points", on.Host, key, whole, "identity", true, on.CPU},
		{"lastseen gzip", "**lastseen** data_points, gzip", on.Host, key, whole, "gzip", false, on.CPU},
		{"lastseen Parquet", "**lastseen** data_points, Parquet", on.Host, key, traffic.AsParquet(whole), "identity", false, on.CPU},
		{"encoding/json", "Rows.Scan and encoding/json", engine.Host, "", "/scan?" + yardstick, "identity", true, engine.CPU},
	}
}

// laneFound is what the rounds of a lane found.
type laneFound struct {
	rates []float64 // points a second
	cpu   []float64 // processor time of the servers a point, nanoseconds
	grown []int64   // bytes of the service's memory
	last  traffic.Pulled
}

// longPulls measures whole histories.
func (s *history) longPulls(ctx context.Context) error {
	lanes := s.pullLanes()
	found := make([]laneFound, len(lanes))
	for round := range s.Rounds {
		if err := s.pause(); err != nil {
			return err
		}
		for i, l := range lanes {
			if err := s.onePull(ctx, l, l.count && round == 0, &found[i]); err != nil {
				return fmt.Errorf("pull %s: %w", l.name, err)
			}
			s.rig.Say("round %d: %-16s %.2f M points/s, first byte after %v", round+1, l.name, found[i].rates[round]/1e6, found[i].last.FirstByte.Round(time.Microsecond))
		}
	}
	s.reportLong(lanes, found)
	return nil
}

// reportLong tabulates and judges whole histories.
func (s *history) reportLong(lanes []pullLane, found []laneFound) {
	o, least := s.o, leastOfJSONEachRow
	if s.rig.Server != nil {
		least = leastOfServersJSON
		o.Note("A server writes JSONEachRow on all processors at once, unlike the engine in a process; lastseen uses one for each answer, and another one to read ahead. Server CPU a point says what each way costs.")
	}
	t := record.Table{Title: fmt.Sprintf("A whole history of %s points", record.Thousands(float64(s.long.PointsPerSession))), Header: []string{"", "points/s", "of ClickHouse's own", "MB on the wire", "first byte", "server CPU a point"}}
	for i, l := range lanes {
		f := found[i]
		shares := make([]float64, len(f.rates))
		for round := range shares {
			shares[round] = f.rates[round] / found[0].rates[round]
		}
		t.Rows = append(t.Rows, []string{l.label, record.Thousands(median(f.rates)), record.Times(median(shares)), fmt.Sprintf("%.1f", float64(f.last.Bytes)/1e6), record.Span(float64(f.last.FirstByte)), record.Nanos(median(f.cpu))})
		o.Figure(l.name+"/points_per_second", median(f.rates))
		o.Figure(l.name+"/server_cpu_per_point", median(f.cpu))
		switch l.name {
		case "lastseen":
			o.Judge("points a second beside ClickHouse's JSONEachRow", "at least "+record.Times(least)+" ×", record.Times(median(shares))+" ×", median(shares) >= least)
			judgeMemory(o, "one pull of JSON", "pull_memory_bytes", 1, slices.Max(f.grown))
		case "lastseen gzip":
			if f.last.Encoding != "gzip" {
				o.Note("gzip was asked for and not given; its row is uncompressed.")
			}
			o.Judge("the same with gzip", "at least "+record.Times(leastWithGzip)+" ×", record.Times(median(shares))+" ×", median(shares) >= leastWithGzip && f.last.Encoding == "gzip")
		case "lastseen Parquet":
			judgeMemory(o, "one pull of Parquet", "pull_parquet_memory_bytes", 1, slices.Max(f.grown))
		}
	}
	o.Add(t)
}

// onePull pulls a history once and watches the service's memory meanwhile.
func (s *history) onePull(ctx context.Context, l pullLane, count bool, found *laneFound) error {
	p, err := traffic.NewPuller(ctx, l.address, l.authorization)
	if err != nil {
		return err
	}
	defer p.Close()
	var got traffic.Pulled
	spent := l.cpu()
	grown, err := memoryAdded(ctx, s.on, func() (err error) {
		got, err = p.Pull(ctx, l.path, l.encoding, count)
		return err
	})
	if err != nil {
		return err
	}
	spent = l.cpu() - spent
	points := s.long.PointsPerSession
	found.cpu = append(found.cpu, float64(spent)/float64(points))
	found.rates = append(found.rates, float64(points)/got.Took.Seconds())
	found.grown = append(found.grown, grown)
	found.last = got
	if l.name == "lastseen Parquet" {
		return got.CheckParquet(points)
	}
	if count {
		return got.CheckPoints(points)
	}
	return nil
}
