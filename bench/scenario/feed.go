package scenario

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"lastseen/bench/baseline"
	"lastseen/bench/dataset"
	"lastseen/bench/loadgen"
	"lastseen/bench/record"
	"lastseen/bench/rig"
	"lastseen/bench/traffic"
)

const (
	leastOfFeed       = 2.5       // points a second, of what ClickHouse's own JSON brings of the same rows
	feedLength        = 10        // times the points of a long history
	feedPointsPerDay  = 1000      // of a session
	feedPage          = 1_000_000 // points
	fewestFeedPoints  = 100       // of a session, in a small run
	millisecondsOfDay = 86_400_000
)

// feed pulls a day of the points of many sessions by their arrival, page after page, and holds that against what
// ClickHouse itself writes of the same rows in one answer.
type feed struct {
	*Stage
	o *record.Outcome

	day    dataset.Spec
	on     *rig.Service // lastseen
	engine *rig.Service // ClickHouse itself
}

// Run implements Runner.
func (s *feed) Run(ctx context.Context) (err error) {
	s.day = s.spec
	total := feedLength * s.HistoryPoints
	s.day.PointsPerSession = max(min(feedPointsPerDay, total/10), fewestFeedPoints)
	s.day.Organisations, s.day.Sessions = 1, max(total/s.day.PointsPerSession, 1)
	s.day.Interval = int64(millisecondsOfDay / s.day.PointsPerSession)
	s.day.Merged, s.day.ByArrival = true, true
	if s.on, err = s.rig.StartLastseen(ctx, "feed", s.day); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.on.Stop()) }()
	if s.engine, err = s.startEngine(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.engine.Stop()) }()
	addVersion(s.o, s.engine.Version)
	s.o.Describe(fmt.Sprintf("a day of %s points of %s sessions of one organisation, stored as they arrived and merged into one part, which is the worst case for pages; one pull at a time over loopback to a client that discards, the feed in pages of %s points; %d rounds in turn, medians",
		record.Thousands(float64(s.points())), record.Thousands(float64(s.day.Sessions)), record.Thousands(feedPage), s.Rounds))
	lanes := s.lanes()
	rates := make([][]float64, len(lanes))
	cpu := make([][]float64, len(lanes))
	for round := range s.Rounds {
		if err := s.pause(); err != nil {
			return err
		}
		for i, l := range lanes {
			rate, spent, err := s.pull(ctx, l)
			if err != nil {
				return fmt.Errorf("pull %s: %w", l.name, err)
			}
			rates[i], cpu[i] = append(rates[i], rate), append(cpu[i], spent)
			s.rig.Say("round %d: %-24s %.2f M points/s", round+1, l.name, rate/1e6)
		}
	}
	s.report(lanes, rates, cpu)
	return nil
}

func (s *feed) points() int { return s.day.Sessions * s.day.PointsPerSession }

func (s *feed) startEngine(ctx context.Context) (*rig.Service, error) {
	if s.rig.Server != nil {
		return s.rig.StartNaiveOn(ctx, "feed-yardstick", "feed", s.day, s.on)
	}
	return s.rig.StartNaive(ctx, "feed-yardstick", s.day, s.on)
}

// lanes are the ways to get the day; the first one is the yardstick.
func (s *feed) lanes() []pullLane {
	own := func(name, label, order string) pullLane {
		path := "/json_each_row?" + url.Values{"org": {s.day.OrgID(0)}}.Encode()
		if order != "" {
			path += "&by_arrival"
		}
		l := pullLane{name: name, label: label, address: s.engine.Host, path: path, cpu: s.engine.CPU}
		direct, possible := s.rig.Server.Select("feed", baseline.SelectAll+order+" FORMAT JSONEachRow", map[string]string{"org": s.day.OrgID(0)})
		if possible {
			l.address, l.authorization, l.path, l.cpu = direct.Address, direct.Authorization, direct.Path, s.rig.Server.CPU
		}
		return l
	}
	paged := func(name, label, format string) pullLane {
		path := traffic.PathFeed + "?" + url.Values{"limit": {fmt.Sprint(feedPage)}, "format": {format}}.Encode()
		return pullLane{name: name, label: label, address: s.on.Host, authorization: traffic.Bearer(s.on.Catalogue.Keys[0][0]), path: path, count: format == "ndjson", cpu: s.on.CPU}
	}
	return []pullLane{
		own("JSONEachRow", "ClickHouse's own JSONEachRow, one answer, in the order of its key", ""),
		own("JSONEachRow by arrival", "the same by arrival", baseline.ByArrival),
		paged("lastseen", "**lastseen** data_points_feed, NDJSON in pages", "ndjson"),
		paged("lastseen Parquet", "**lastseen** data_points_feed, Parquet in pages", "parquet"),
	}
}

// pull gets the day once, page after page where it comes in pages, and returns points a second, and the servers' processor
// time a point in nanoseconds.
func (s *feed) pull(ctx context.Context, l pullLane) (rate, cpu float64, err error) {
	p, err := traffic.NewPuller(ctx, l.address, l.authorization)
	if err != nil {
		return 0, 0, err
	}
	defer p.Close()
	spent, began := l.cpu(), time.Now()
	var points int64
	for path := l.path; ; {
		got, err := p.Pull(ctx, path, "identity", l.count)
		if err != nil {
			return 0, 0, err
		}
		points += got.Points
		next := l.path + "&" + url.Values{"cursor": {got.Next}}.Encode()
		if got.Next == "" || next == path { // the place stays where it is when nothing arrives
			break
		}
		path = next
	}
	took := time.Since(began)
	if l.count && points != int64(s.points()) {
		return 0, 0, fmt.Errorf("%w: a feed of %d points came with %d", loadgen.ErrWrongAnswer, s.points(), points)
	}
	return float64(s.points()) / took.Seconds(), float64(l.cpu()-spent) / float64(s.points()), nil
}

func (s *feed) report(lanes []pullLane, rates, cpu [][]float64) {
	t := record.Table{Title: fmt.Sprintf("A day of %s points", record.Thousands(float64(s.points()))), Header: []string{"", "points/s", "of ClickHouse's own", "server CPU a point"}}
	for i, l := range lanes {
		shares := make([]float64, len(rates[i]))
		for round := range shares {
			shares[round] = rates[i][round] / rates[0][round]
		}
		t.Rows = append(t.Rows, []string{l.label, record.Thousands(median(rates[i])), record.Times(median(shares)), record.Nanos(median(cpu[i]))})
		s.o.Figure(l.name+"/points_per_second", median(rates[i]))
		s.o.Figure(l.name+"/server_cpu_per_point", median(cpu[i]))
		if l.name == "lastseen" {
			s.o.Judge("points a second of a day's feed beside ClickHouse's JSONEachRow of the same rows", "at least "+record.Times(leastOfFeed)+" ×", record.Times(median(shares))+" ×", median(shares) >= leastOfFeed)
		}
	}
	s.o.Add(t)
}
