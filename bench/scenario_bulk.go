package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"lastseen/bench/dataset"
)

const (
	leastBesidePulls = 0.50 // of the polls' throughput alone
	manyPulls        = 10
)

// bulk measures the memory of one pull and of many at once, and polls while whole histories are pulled
// on every processor.
func bulk(ctx context.Context, s *suite, o *Outcome) (err error) {
	spec := s.longSpec()
	spec.Merged = false                               // each part of a history that is read takes memory
	histories := 2 * max(manyPulls, runtime.NumCPU()) // an organisation has half of them
	on, err := s.startLastseen(ctx, "bulk", spec, "--histories", fmt.Sprint(histories))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, on.stop()) }()
	pulls := runtime.NumCPU()
	o.Settings = append(o.Settings,
		"histories are in the parts that loading left, not merged afterwards as those of the history scenario are",
		fmt.Sprintf("beside polls, %d pulls of %s points at a time, one for each processor, without a pause, by one organisation; polls by both; the service is started with --histories high enough for all", pulls, thousands(float64(spec.PointsPerSession))),
		fmt.Sprintf("%d connections of polls; %d rounds of %v, in turn", s.config.Connections, s.config.Rounds, s.config.Duration))
	if err := s.pullMemory(ctx, o, spec, on); err != nil { // first, while the parts are many
		return err
	}
	few := s.draws
	if s.draws, err = zipf(spec.Sessions, s.config.Zipf, s.config.Seed); err != nil {
		return err
	}
	defer func() { s.draws = few }()

	alone := s.lane(on, nil)
	alone.name, alone.label = "alone", "polls alone"
	beside := s.lane(on, nil)
	beside.name, beside.label = "beside pulls", "polls beside pulls on every processor"
	var points atomic.Int64
	for i := range pulls {
		beside.background = append(beside.background, func(ctx context.Context) error { return pullAgainAndAgain(ctx, spec, on, i, &points) })
	}
	lanes := []lane{alone, beside}
	all, err := s.rounds(ctx, lanes)
	if err != nil {
		return err
	}
	o.Tables = append(o.Tables, loadTable("Closed loop of polls", lanes, all))
	o.figures("closed", lanes, all)
	o.limits(lanes, all)
	share := ratio(all[1], all[0], throughput)
	o.verdict("polls while histories are pulled on every processor, beside polls alone", "at least "+percent(leastBesidePulls), percent(share), share >= leastBesidePulls)
	seconds := float64(s.config.Rounds) * (s.config.WarmUp + s.config.Duration).Seconds()
	o.note(fmt.Sprintf("Meanwhile %s points a second were pulled.", thousands(float64(points.Load())/seconds)))
	return nil
}

// pullAgainAndAgain pulls the whole history of one of the first organisation's sessions until ctx ends.
func pullAgainAndAgain(ctx context.Context, spec dataset.Spec, on *service, which int, points *atomic.Int64) error {
	own := on.catalogue.own[0]
	path := wholePath(spec, on, own[which%len(own)])
	p, err := newPuller(ctx, on.host, on.catalogue.keys[0][0])
	if err != nil {
		return err
	}
	defer p.close()
	for ctx.Err() == nil {
		got, err := p.pull(ctx, path, "identity", true)
		points.Add(got.points)
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

func wholePath(spec dataset.Spec, on *service, session int) string {
	end := spec.NewestTimestamp(session) + 1
	return historyPath(on.catalogue.id(session), end-int64(spec.PointsPerSession+1)*spec.Interval, end)
}

// pullMemory pulls one history and many at once, in two formats, and looks at the service's memory.
func (s *suite) pullMemory(ctx context.Context, o *Outcome, spec dataset.Spec, on *service) error {
	t := Table{Title: "Pulls at once", Header: []string{"", "points/s in all", "refused with 503", "resident memory added"}}
	for _, c := range []struct {
		label, figure string
		pulls         int
		parquet       bool
	}{
		{"one pull of JSON", "one_pull", 1, false},
		{"one pull of Parquet", "one_parquet_pull", 1, true},
		{fmt.Sprintf("%d pulls of JSON", manyPulls), "many_pulls", manyPulls, false},
		{fmt.Sprintf("%d pulls of Parquet", manyPulls), "many_parquet_pulls", manyPulls, true},
	} {
		var points, refused int64
		began := time.Now()
		grown, err := memoryAdded(ctx, on, func() (err error) {
			points, refused, err = s.pullAtOnce(ctx, spec, on, c.pulls, c.parquet)
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", c.label, err)
		}
		rate := float64(points) / time.Since(began).Seconds()
		s.say("%s: %.2f M points/s, %s added", c.label, rate/1e6, mebibytes(grown))
		t.Rows = append(t.Rows, []string{c.label, thousands(rate), fmt.Sprint(refused), mebibytes(grown)})
		o.figure(c.figure+"/points_per_second", rate)
		o.judgeMemory(c.label, c.figure+"/memory_bytes", c.pulls, grown)
	}
	o.Tables = append(o.Tables, t)
	return nil
}

// pullAtOnce runs the pulls. The service may refuse some of them, since it bounds how many it streams.
func (s *suite) pullAtOnce(ctx context.Context, spec dataset.Spec, on *service, pulls int, parquet bool) (points, refused int64, err error) {
	results := make(chan error, pulls)
	for i := range pulls {
		go func() { results <- pullOnce(ctx, spec, on, i%spec.Sessions, parquet) }()
	}
	for range pulls {
		failed := <-results
		switch {
		case errors.Is(failed, errBusy):
			refused++
		case failed != nil:
			err = errors.Join(err, failed)
		default:
			points += int64(spec.PointsPerSession)
		}
	}
	return points, refused, err
}

// pullOnce pulls the whole history of a session over a connection of its own and checks that it is whole.
func pullOnce(ctx context.Context, spec dataset.Spec, on *service, session int, parquet bool) error {
	p, err := newPuller(ctx, on.host, on.catalogue.keys[on.catalogue.orgs[session]][0])
	if err != nil {
		return err
	}
	defer p.close()
	path := wholePath(spec, on, session)
	if parquet {
		got, err := p.pull(ctx, asParquet(path), "identity", false)
		if err != nil {
			return err
		}
		return got.checkParquet(spec.PointsPerSession)
	}
	got, err := p.pull(ctx, path, "identity", true)
	if err != nil {
		return err
	}
	return got.checkPoints(spec.PointsPerSession)
}
