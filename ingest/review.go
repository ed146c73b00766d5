package ingest

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"lastseen/ingest/judge"
	"lastseen/schema"
)

// How far around late points their neighbours are looked for, in milliseconds, and how many rows are read there of each
// session. What lies further away does not matter: a device gets nearly everywhere in that time, or too much lies between.
const (
	lookBack    = 6 * 3_600_000
	lookAhead   = 15 * 60_000
	rowsBefore  = 64
	rowsBetween = 10_000
)

// reviewed is a session some of whose points come before others that were judged.
type reviewed struct {
	place       int32 // in the group's states
	rows        []int // of the fresh ones, by ascending time
	first, last int64 // their times
}

// review judges the sessions of a group whose points come before others, together with their stored neighbours, and
// returns the neighbours that are judged otherwise now. The lanes see to it that these are few. Past schema.MostAround
// sessions a group, late points are taken as they are.
func (c *committer) review(g *group, fresh []schema.OwnedPoint) (changed []schema.OwnedPoint, err error) {
	sessions := c.toReview(g, fresh)
	if len(sessions) == 0 {
		return nil, nil
	}
	neighbours, err := c.neighbours(g, sessions)
	if err != nil {
		return nil, err
	}
	for i := range sessions {
		r := &sessions[i]
		s := &g.states[r.place]
		stored := neighbours[s.id]
		points, places := merge(fresh, r.rows, stored)
		track := judge.Review(points)
		for j := range points {
			p := &points[j]
			switch {
			case p.Is == p.Was:
			case places[j] < 0: // a stored one
				changed = appendChange(changed, stored[-1-places[j]], &fresh[r.rows[0]], p.Is)
			default:
				fresh[places[j]].Outlier = outlierOf(p.Is)
			}
		}
		if len(stored) < rowsBetween && (!s.known || s.newest <= r.last+lookAhead) {
			s.keep(&track)
		}
	}
	return changed, nil
}

// toReview finds the sessions to review among a group's fresh rows.
func (c *committer) toReview(g *group, fresh []schema.OwnedPoint) (sessions []reviewed) {
	byPlace := make(map[int32]int)
	stored := 0
	for i := range fresh {
		place := g.of[i]
		s := &g.states[place]
		if !s.review || !c.outliers.judged(s) {
			continue
		}
		at, there := byPlace[place]
		if !there {
			if s.known {
				stored++
			}
			if stored > schema.MostAround {
				s.setting = schema.LeaveOutliers
				continue
			}
			at = len(sessions)
			byPlace[place] = at
			sessions = append(sessions, reviewed{place: place, first: math.MaxInt64, last: math.MinInt64})
		}
		r := &sessions[at]
		r.rows = append(r.rows, i)
		r.first, r.last = min(r.first, fresh[i].Timestamp), max(r.last, fresh[i].Timestamp)
	}
	for i := range sessions {
		slices.SortFunc(sessions[i].rows, func(x, y int) int { return cmp.Compare(fresh[x].Timestamp, fresh[y].Timestamp) })
	}
	return sessions
}

// neighbours reads the stored points around those of each session.
func (c *committer) neighbours(g *group, sessions []reviewed) (map[schema.ID][]schema.DataPoint, error) {
	var times []schema.Around
	for i := range sessions {
		r := &sessions[i]
		if s := &g.states[r.place]; s.known {
			times = append(times, schema.Around{Session: s.id, From: r.first - lookBack, At: r.first, Through: r.last + lookAhead})
		}
	}
	if len(times) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), statementTimeout)
	defer cancel()
	began := time.Now()
	points, err := c.store.around(ctx, times, rowsBefore, rowsBetween)
	c.took.review, c.took.reviews = c.took.review+time.Since(began), len(times)
	return points, err
}

// merge puts fresh rows and the stored points of their session in one order. Each point's place is that of its row, or
// -1 less the place among the stored ones. A fresh row takes the place of a stored point with its time.
func merge(fresh []schema.OwnedPoint, rows []int, stored []schema.DataPoint) (points []judge.Point, places []int) {
	points, places = make([]judge.Point, 0, len(rows)+len(stored)), make([]int, 0, len(rows)+len(stored))
	next := 0
	for i := range stored {
		for next < len(rows) && fresh[rows[next]].Timestamp < stored[i].Timestamp {
			points, places = append(points, pointOf(&fresh[rows[next]].DataPoint, true)), append(places, rows[next])
			next++
		}
		if next < len(rows) && fresh[rows[next]].Timestamp == stored[i].Timestamp {
			continue
		}
		points, places = append(points, pointOf(&stored[i], false)), append(places, -1-i)
	}
	for ; next < len(rows); next++ {
		points, places = append(points, pointOf(&fresh[rows[next]].DataPoint, true)), append(places, rows[next])
	}
	return points, places
}

// pointOf returns a point as it is judged among its neighbours.
func pointOf(p *schema.DataPoint, isNew bool) judge.Point {
	point := judge.Point{Fix: fixOf(p), New: isNew, Was: reasonOf(p.Outlier)}
	if p.DecidedByPerson() {
		point.New, point.Decided = false, judge.SaidTrue
		if p.Outlier != schema.NotOutlier {
			point.Decided = judge.SaidOutlier
		}
	}
	return point
}
