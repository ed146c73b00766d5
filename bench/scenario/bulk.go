package scenario

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"lastseen/bench/dataset"
	"lastseen/bench/record"
	"lastseen/bench/rig"
	"lastseen/bench/traffic"
)

const (
	leastBesidePulls = 0.50 // of the polls' throughput alone
	manyPulls        = 10
)

// bulk measures the memory of one pull and of many at once, and polls while whole histories are pulled
// on every processor.
type bulk struct {
	*Stage
	o *record.Outcome

	long dataset.Spec
	on   *rig.Service
}

// Run implements Runner.
func (s *bulk) Run(ctx context.Context) (err error) {
	o := s.o
	s.long = s.longSpec()
	s.long.Merged = false                             // each part of a history that is read takes memory
	histories := 2 * max(manyPulls, runtime.NumCPU()) // an organisation has half of them
	s.on, err = s.rig.StartLastseen(ctx, "bulk", s.long, "--histories", fmt.Sprint(histories))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.on.Stop()) }()
	pulls := runtime.NumCPU()
	o.Describe("histories are in the parts that loading left, not merged afterwards as those of the history scenario are",
		fmt.Sprintf("beside polls, %d pulls of %s points at a time, one for each processor, without a pause, by one organisation; polls by both; the service is started with --histories high enough for all", pulls, record.Thousands(float64(s.long.PointsPerSession))),
		fmt.Sprintf("%d connections of polls; %d rounds of %v, in turn", s.loads.Connections, s.Rounds, s.loads.Duration))
	if err := s.pullMemory(ctx); err != nil { // first, while the parts are many
		return err
	}
	few := s.loads.Draws
	if s.loads.Draws, err = traffic.Zipf(s.long.Sessions, s.Zipf, s.Seed); err != nil {
		return err
	}
	defer func() { s.loads.Draws = few }()

	alone := s.lane(s.on, nil)
	alone.name, alone.label = "alone", "polls alone"
	beside := s.lane(s.on, nil)
	beside.name, beside.label = "beside pulls", "polls beside pulls on every processor"
	var points atomic.Int64
	for i := range pulls {
		beside.background = append(beside.background, func(ctx context.Context) error { return s.pullAgainAndAgain(ctx, i, &points) })
	}
	lanes := []lane{alone, beside}
	all, err := s.rounds(ctx, lanes)
	if err != nil {
		return err
	}
	o.Add(loadTable("Closed loop of polls", lanes, all))
	figures(o, "closed", lanes, all)
	limits(o, lanes, all)
	share := ratio(all[1], all[0], throughput)
	o.Judge("polls while histories are pulled on every processor, beside polls alone", "at least "+record.Percent(leastBesidePulls), record.Percent(share), share >= leastBesidePulls)
	seconds := float64(s.Rounds) * (s.loads.WarmUp + s.loads.Duration).Seconds()
	o.Note(fmt.Sprintf("Meanwhile %s points a second were pulled.", record.Thousands(float64(points.Load())/seconds)))
	return nil
}

// pullAgainAndAgain pulls the whole history of one of the first organisation's sessions until ctx ends.
func (s *bulk) pullAgainAndAgain(ctx context.Context, which int, points *atomic.Int64) error {
	on := s.on
	own := on.Catalogue.Own[0]
	path := s.wholePath(own[which%len(own)])
	p, err := traffic.NewPuller(ctx, on.Host, traffic.Bearer(on.Catalogue.Keys[0][0]))
	if err != nil {
		return err
	}
	defer p.Close()
	for ctx.Err() == nil {
		got, err := p.Pull(ctx, path, "identity", true)
		points.Add(got.Points)
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (s *bulk) wholePath(session int) string {
	end := s.long.NewestTimestamp(session) + 1
	return traffic.HistoryPath(s.on.Catalogue.ID(session), end-int64(s.long.PointsPerSession+1)*s.long.Interval, end)
}

// pullMemory pulls one history and many at once, in two formats, and looks at the service's memory.
func (s *bulk) pullMemory(ctx context.Context) error {
	o := s.o
	t := record.Table{Title: "Pulls at once", Header: []string{"", "points/s in all", "refused with 503", "resident memory added"}}
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
		if err := s.pause(); err != nil {
			return err
		}
		var points, refused int64
		began := time.Now()
		grown, err := memoryAdded(ctx, s.on, func() (err error) {
			points, refused, err = s.pullAtOnce(ctx, c.pulls, c.parquet)
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", c.label, err)
		}
		rate := float64(points) / time.Since(began).Seconds()
		s.rig.Say("%s: %.2f M points/s, %s added", c.label, rate/1e6, record.Mebibytes(grown))
		t.Rows = append(t.Rows, []string{c.label, record.Thousands(rate), fmt.Sprint(refused), record.Mebibytes(grown)})
		o.Figure(c.figure+"/points_per_second", rate)
		judgeMemory(o, c.label, c.figure+"/memory_bytes", c.pulls, grown)
	}
	o.Add(t)
	return nil
}

// pullAtOnce runs the pulls. The service may refuse some of them, since it bounds how many it streams.
func (s *bulk) pullAtOnce(ctx context.Context, pulls int, parquet bool) (points, refused int64, err error) {
	results := make(chan error, pulls)
	for i := range pulls {
		go func() { results <- s.pullOnce(ctx, i%s.long.Sessions, parquet) }()
	}
	for range pulls {
		failed := <-results
		switch {
		case errors.Is(failed, traffic.ErrBusy):
			refused++
		case failed != nil:
			err = errors.Join(err, failed)
		default:
			points += int64(s.long.PointsPerSession)
		}
	}
	return points, refused, err
}

// pullOnce pulls the whole history of a session over a connection of its own and checks that it is whole.
func (s *bulk) pullOnce(ctx context.Context, session int, parquet bool) error {
	on := s.on
	p, err := traffic.NewPuller(ctx, on.Host, traffic.Bearer(on.Catalogue.Keys[on.Catalogue.Orgs[session]][0]))
	if err != nil {
		return err
	}
	defer p.Close()
	path := s.wholePath(session)
	if parquet {
		got, err := p.Pull(ctx, traffic.AsParquet(path), "identity", false)
		if err != nil {
			return err
		}
		return got.CheckParquet(s.long.PointsPerSession)
	}
	got, err := p.Pull(ctx, path, "identity", true)
	if err != nil {
		return err
	}
	return got.CheckPoints(s.long.PointsPerSession)
}
