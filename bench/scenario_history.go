package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"lastseen/bench/dataset"
	"lastseen/bench/loadgen"
)

const (
	leastOfJSONEachRow = 3.0      // rows a second, of what ClickHouse's own JSON brings
	leastWithGzip      = 1.0      // the same, compressed
	mostOfBareQuery    = 1.3      // latency of the last hour, of the bare query's
	mostPullMemory     = 64 << 20 // bytes that one pull adds
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
	o.Settings = append(o.Settings, fmt.Sprintf("sessions of %s points, every column filled; one pull at a time over loopback to a client that discards; %d rounds in turn, medians",
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
	verify         bool
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
		{"encoding/json", "Rows.Scan and encoding/json", engine.host, "", "/scan?" + yardstick, "identity", true},
	}
}

// longPulls measures whole histories.
func (s *suite) longPulls(ctx context.Context, o *Outcome, spec dataset.Spec, on, engine *service) error {
	lanes := pullLanes(spec, on, engine)
	rows := make([][]float64, len(lanes))
	last := make([]pulled, len(lanes))
	var grown int64
	for round := range s.config.Rounds {
		for i, l := range lanes {
			grew, got, err := s.onePull(ctx, on, l, round == 0 && l.verify)
			if err != nil {
				return fmt.Errorf("pull %s: %w", l.name, err)
			}
			if round == 0 && l.verify && got.points != int64(spec.PointsPerSession) {
				return fmt.Errorf("%w: a history of %d points came with %d", loadgen.ErrWrongAnswer, spec.PointsPerSession, got.points)
			}
			if l.encoding == "gzip" && got.encoding != "gzip" {
				o.note("gzip was asked for and not given; its row is uncompressed.")
			}
			if l.name == "lastseen" && round > 0 {
				grown = max(grown, grew)
			}
			rows[i] = append(rows[i], float64(spec.PointsPerSession)/got.took.Seconds())
			last[i] = got
			s.say("round %d: %-14s %.2f M points/s, first byte after %v", round+1, l.name, rows[i][round]/1e6, got.firstByte.Round(time.Microsecond))
		}
	}
	t := Table{Title: fmt.Sprintf("A whole history of %s points", thousands(float64(spec.PointsPerSession))), Header: []string{"", "points/s", "of ClickHouse's own", "MB on the wire", "first byte"}}
	for i, l := range lanes {
		shares := make([]float64, len(rows[i]))
		for round := range shares {
			shares[round] = rows[i][round] / rows[0][round]
		}
		t.Rows = append(t.Rows, []string{l.label, thousands(median(rows[i])), times(median(shares)), fmt.Sprintf("%.1f", float64(last[i].bytes)/1e6), span(float64(last[i].firstByte))})
		o.figure(l.name+"/points_per_second", median(rows[i]))
		switch l.name {
		case "lastseen":
			o.verdict("points a second beside ClickHouse's JSONEachRow", "at least "+times(leastOfJSONEachRow)+" ×", times(median(shares))+" ×", median(shares) >= leastOfJSONEachRow)
		case "lastseen gzip":
			o.verdict("the same with gzip", "at least "+times(leastWithGzip)+" ×", times(median(shares))+" ×", median(shares) >= leastWithGzip && last[i].encoding == "gzip")
		}
	}
	o.Tables = append(o.Tables, t)
	o.verdict("resident memory that a pull adds", "at most "+mebibytes(mostPullMemory), mebibytes(grown), grown <= mostPullMemory)
	o.figure("pull_memory_bytes", float64(grown))
	return nil
}

// onePull pulls once and watches the service's memory meanwhile.
func (s *suite) onePull(ctx context.Context, on *service, l pullLane, count bool) (grew int64, got pulled, err error) {
	p, err := newPuller(ctx, l.address, l.key)
	if err != nil {
		return 0, got, err
	}
	defer p.close()
	before, err := on.resident()
	if err != nil {
		return 0, got, err
	}
	var most atomic.Int64
	watching, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		watchMemory(watching, on, &most)
	}()
	got, err = p.pull(ctx, l.path, l.encoding, count, nil)
	stop()
	<-watched
	return max(most.Load()-before, 0), got, err
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
		got, err := p.pull(ctx, path, "identity", true, nil)
		if err != nil {
			return fmt.Errorf("pull the last hour: %w", err)
		}
		if want := min(3600, int64(spec.PointsPerSession)); got.points != want {
			return fmt.Errorf("%w: the last hour has %d points and came with %d", loadgen.ErrWrongAnswer, want, got.points)
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
