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

// bulk measures polls while whole histories are pulled on every processor, and the memory of many
// pulls at once.
func bulk(ctx context.Context, s *suite, o *Outcome) (err error) {
	spec := s.longSpec()
	on, err := s.startLastseen(ctx, "bulk", spec, "--histories", fmt.Sprint(max(manyPulls, runtime.NumCPU())))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, on.stop()) }()
	pulls := runtime.NumCPU()
	o.Settings = append(o.Settings,
		fmt.Sprintf("%d pulls of %s points at a time, one for each processor, without a pause, by one organisation; polls by both; the service is started with --histories high enough for all", pulls, thousands(float64(spec.PointsPerSession))),
		fmt.Sprintf("%d connections of polls; %d rounds of %v, in turn", s.config.Connections, s.config.Rounds, s.config.Duration))
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
	return s.pullMany(ctx, o, spec, on)
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
		got, err := p.pull(ctx, path, "identity", true, nil)
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

// pullMany pulls many histories at once and looks at the service's memory.
func (s *suite) pullMany(ctx context.Context, o *Outcome, spec dataset.Spec, on *service) error {
	before, err := on.resident()
	if err != nil {
		return err
	}
	var most, points atomic.Int64
	watching, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		watchMemory(watching, on, &most)
	}()
	began := time.Now()
	refused, err := s.pullAtOnce(ctx, spec, on, &points)
	took := time.Since(began)
	stop()
	<-watched
	if err != nil {
		return err
	}
	grown := max(most.Load()-before, 0)
	o.Tables = append(o.Tables, Table{Title: fmt.Sprintf("%d pulls at once", manyPulls), Header: []string{"points/s in all", "refused with 503", "resident memory added"},
		Rows: [][]string{{thousands(float64(points.Load()) / took.Seconds()), fmt.Sprint(refused), mebibytes(grown)}}})
	o.figure("many_pulls/points_per_second", float64(points.Load())/took.Seconds())
	o.figure("many_pulls/memory_bytes", float64(grown))
	o.verdict(fmt.Sprintf("resident memory that %d pulls at once add", manyPulls), "at most "+mebibytes(manyPulls*mostPullMemory), mebibytes(grown), grown <= manyPulls*mostPullMemory)
	return nil
}

// pullAtOnce runs the pulls. The service may refuse some of them, since it bounds how many it streams.
func (s *suite) pullAtOnce(ctx context.Context, spec dataset.Spec, on *service, points *atomic.Int64) (refused int, err error) {
	type result struct {
		got pulled
		err error
	}
	results := make(chan result, manyPulls)
	for i := range manyPulls {
		go func() {
			session := i % spec.Sessions
			p, err := newPuller(ctx, on.host, on.catalogue.keys[on.catalogue.orgs[session]][0])
			if err != nil {
				results <- result{err: err}
				return
			}
			defer p.close()
			got, err := p.pull(ctx, wholePath(spec, on, session), "identity", true, nil)
			results <- result{got, err}
		}()
	}
	for range manyPulls {
		r := <-results
		switch {
		case errors.Is(r.err, errBusy):
			refused++
		case r.err != nil:
			err = errors.Join(err, r.err)
		default:
			points.Add(r.got.points)
		}
	}
	return refused, err
}
