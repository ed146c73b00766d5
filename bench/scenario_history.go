package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"lastseen/bench/dataset"
)

const (
	leastOfJSONEachRow = 3.0      // rows a second, of what ClickHouse's own JSON brings
	leastWithGzip      = 1.0      // the same, compressed
	mostOfBareQuery    = 1.3      // latency of the last hour, of the bare query's
	mostPullMemory     = 64 << 20 // bytes that one pull adds, whatever the format
	shortPulls         = 100      // a round
)

// longSpec is a few sessions with a long history, a point a second.
func (s *suite) longSpec() dataset.Spec {
	long := s.spec
	long.Merged = true
	long.Sessions, long.Organisations, long.PointsPerSession, long.Interval = 4, 2, s.config.HistoryPoints, 1000
	return long
}

// history compares whole histories and the last hour with what ClickHouse itself and the usual Go
// code do.
func history(ctx context.Context, s *suite, o *Outcome) (err error) {
	spec := s.longSpec()
	on, err := s.startLastseen(ctx, "history", spec)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, on.stop()) }()
	engine, err := s.startNaive(ctx, "history-yardstick", spec, on)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.stop()) }()
	o.Versions = append(o.Versions, engine.version)
	o.Settings = append(o.Settings, fmt.Sprintf("sessions of %s points, every column filled, merged once loaded; one pull at a time over loopback to a client that discards; %d rounds in turn, medians",
		thousands(float64(spec.PointsPerSession)), s.config.Rounds))
	if err := s.longPulls(ctx, o, spec, on, engine); err != nil {
		return err
	}
	return s.shortPulls(ctx, o, spec, on, engine)
}

// pullLane is one way to get a history.
type pullLane struct {
	name, label    string
	address, key   string
	path, encoding string
	count          bool // its points, in the first round
}

func pullLanes(spec dataset.Spec, on, engine *service) []pullLane {
	start, end := spec.NewestTimestamp(0)-int64(spec.PointsPerSession)*spec.Interval, spec.NewestTimestamp(0)+1
	key := on.catalogue.keys[0][0]
	yardstick := url.Values{"session": {spec.SessionID(0).String()}, "start": {fmt.Sprint(start)}, "end": {fmt.Sprint(end)}}.Encode()
	whole := historyPath(on.catalogue.id(0), start, end)
	return []pullLane{
		{"JSONEachRow", "ClickHouse's own JSONEachRow", engine.host, "", "/json_each_row?" + yardstick, "identity", false},
		{"lastseen", "**lastseen** data_points", on.host, key, whole, "identity", true},
		{"lastseen gzip", "**lastseen** data_points, gzip", on.host, key, whole, "gzip", false},
		{"lastseen Parquet", "**lastseen** data_points, Parquet", on.host, key, asParquet(whole), "identity", false},
		{"encoding/json", "Rows.Scan and encoding/json", engine.host, "", "/scan?" + yardstick, "identity", true},
	}
}

// laneFound is what the rounds of a lane found.
type laneFound struct {
	rates []float64 // points a second
	grown []int64   // bytes of the service's memory
	last  pulled
}

// longPulls measures whole histories.
func (s *suite) longPulls(ctx context.Context, o *Outcome, spec dataset.Spec, on, engine *service) error {
	lanes := pullLanes(spec, on, engine)
	found := make([]laneFound, len(lanes))
	for round := range s.config.Rounds {
		for i, l := range lanes {
			if err := s.onePull(ctx, on, l, l.count && round == 0, spec.PointsPerSession, &found[i]); err != nil {
				return fmt.Errorf("pull %s: %w", l.name, err)
			}
			s.say("round %d: %-16s %.2f M points/s, first byte after %v", round+1, l.name, found[i].rates[round]/1e6, found[i].last.firstByte.Round(time.Microsecond))
		}
	}
	t := Table{Title: fmt.Sprintf("A whole history of %s points", thousands(float64(spec.PointsPerSession))), Header: []string{"", "points/s", "of ClickHouse's own", "MB on the wire", "first byte"}}
	for i, l := range lanes {
		f := found[i]
		shares := make([]float64, len(f.rates))
		for round := range shares {
			shares[round] = f.rates[round] / found[0].rates[round]
		}
		t.Rows = append(t.Rows, []string{l.label, thousands(median(f.rates)), times(median(shares)), fmt.Sprintf("%.1f", float64(f.last.bytes)/1e6), span(float64(f.last.firstByte))})
		o.figure(l.name+"/points_per_second", median(f.rates))
		switch l.name {
		case "lastseen":
			o.verdict("points a second beside ClickHouse's JSONEachRow", "at least "+times(leastOfJSONEachRow)+" ×", times(median(shares))+" ×", median(shares) >= leastOfJSONEachRow)
			o.judgeMemory("one pull of JSON", "pull_memory_bytes", 1, slices.Max(f.grown))
		case "lastseen gzip":
			if f.last.encoding != "gzip" {
				o.note("gzip was asked for and not given; its row is uncompressed.")
			}
			o.verdict("the same with gzip", "at least "+times(leastWithGzip)+" ×", times(median(shares))+" ×", median(shares) >= leastWithGzip && f.last.encoding == "gzip")
		case "lastseen Parquet":
			o.judgeMemory("one pull of Parquet", "pull_parquet_memory_bytes", 1, slices.Max(f.grown))
		}
	}
	o.Tables = append(o.Tables, t)
	return nil
}

// judgeMemory judges the memory that some pulls at once added.
func (o *Outcome) judgeMemory(what, figure string, pulls int, grown int64) {
	most := int64(pulls) * mostPullMemory
	o.verdict("resident memory added by "+what, "at most "+mebibytes(most), mebibytes(grown), grown <= most)
	o.figure(figure, float64(grown))
}

// onePull pulls a history of so many points once and watches the service's memory meanwhile.
func (s *suite) onePull(ctx context.Context, on *service, l pullLane, count bool, points int, found *laneFound) error {
	p, err := newPuller(ctx, l.address, l.key)
	if err != nil {
		return err
	}
	defer p.close()
	var got pulled
	grown, err := memoryAdded(ctx, on, func() (err error) {
		got, err = p.pull(ctx, l.path, l.encoding, count)
		return err
	})
	if err != nil {
		return err
	}
	found.rates = append(found.rates, float64(points)/got.took.Seconds())
	found.grown = append(found.grown, grown)
	found.last = got
	if l.name == "lastseen Parquet" {
		return got.checkParquet(points)
	}
	if count {
		return got.checkPoints(points)
	}
	return nil
}

// memoryAdded returns how much memory a service had more, at most, while something was done.
func memoryAdded(ctx context.Context, on *service, do func() error) (int64, error) {
	before, err := on.resident()
	if err != nil {
		return 0, err
	}
	var most atomic.Int64
	watching, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		watchMemory(watching, on, &most)
	}()
	err = do()
	stop()
	<-watched
	return max(most.Load()-before, 0), err
}

// watchMemory keeps the most memory that a service has had in most.
func watchMemory(ctx context.Context, on *service, most *atomic.Int64) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if now, err := on.resident(); err == nil && now > most.Load() {
			most.Store(now)
		}
	}
}

// shortPulls measures the last hour, in turn with the bare query for the same rows.
func (s *suite) shortPulls(ctx context.Context, o *Outcome, spec dataset.Spec, on, engine *service) error {
	p, err := newPuller(ctx, on.host, on.catalogue.keys[0][0])
	if err != nil {
		return err
	}
	defer p.close()
	end := spec.NewestTimestamp(0) + 1
	start := end - time.Hour.Milliseconds()
	path := historyPath(on.catalogue.id(0), start, end)
	bareURL := fmt.Sprintf("http://%s/bare_query?session=%s&start=%d&end=%d", engine.host, spec.SessionID(0), start, end)
	var service, bare []float64
	for range s.config.Rounds * shortPulls {
		got, err := p.pull(ctx, path, "identity", true)
		if err != nil {
			return fmt.Errorf("pull the last hour: %w", err)
		}
		if err := got.checkPoints(min(3600, spec.PointsPerSession)); err != nil {
			return fmt.Errorf("pull the last hour: %w", err)
		}
		service = append(service, float64(got.took))
		took, err := bareQuery(ctx, bareURL)
		if err != nil {
			return err
		}
		bare = append(bare, float64(took))
	}
	slower := median(service) / median(bare)
	o.Tables = append(o.Tables, Table{Title: "The last hour of a session, 3,600 points", Header: []string{"", "median"}, Rows: [][]string{
		{"the bare ClickHouse query, inside its process", span(median(bare))},
		{"**lastseen** data_points, over HTTP", span(median(service))},
	}})
	o.figure("last_hour/lastseen_p50", median(service))
	o.figure("last_hour/bare_query_p50", median(bare))
	o.verdict("latency of the last hour beside the bare query's", "at most "+times(mostOfBareQuery)+" ×", times(slower)+" ×", slower <= mostOfBareQuery)
	return nil
}

// bareQuery returns how long the engine took, by its own process's clock.
func bareQuery(ctx context.Context, address string) (time.Duration, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	var took struct{ Nanoseconds int64 }
	if err := json.Unmarshal(text, &took); err != nil || response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("the bare query answered %s: %.300s", response.Status, text)
	}
	return time.Duration(took.Nanoseconds), nil
}
