package ingest

import (
	"context"
	"math"
	"slices"
	"testing"
	"time"

	"lastseen/ingest/decode"
	"lastseen/ingest/registry"
	"lastseen/schema"
)

// ruled are lanes whose steps write nowhere, to look at what they decide.
type ruled struct {
	lanes
	reader   *reader
	setting  schema.OutlierSetting // of the sessions
	inserts  [][]schema.OwnedPoint
	insertIs error
	answered []*request
}

func newRuled() *ruled {
	r := &ruled{reader: newReader(), setting: schema.LeaveOutliers}
	c := newCommitter(store{
		find: func(context.Context, []schema.PointKey) (map[schema.PointKey]schema.DataPoint, error) {
			return nil, nil
		},
		insert: func(_ context.Context, rows []schema.OwnedPoint) error {
			r.inserts = append(r.inserts, slices.Clone(rows))
			return r.insertIs
		},
		around: func(context.Context, []schema.Around, int, int) (map[schema.ID][]schema.DataPoint, error) {
			return nil, nil
		},
	}, r.reader, r.reader, func() time.Time { return start }, true)
	r.lanes = newLanes(&c, newQueue(1_000_000, time.Now), defaultLimits, DefaultInterval, func(of *request, _ error) { r.answered = append(r.answered, of) })
	for number := range byte(5) {
		r.stored(r.session(number), -4*aMonth) // of which nothing is known, all would be looked up
	}
	return r
}

// session is one of these tests'.
func (r *ruled) session(number byte) schema.ID { return schema.ID{1, number} }

// stored makes it known that a session's newest point lies at a second of the tests' time.
func (r *ruled) stored(session schema.ID, second int) {
	f := fix{session, second, 1}
	if err := r.reader.Publish([]schema.OwnedPoint{{DataPoint: schema.DataPoint{SessionID: session, Timestamp: f.timestamp()}}}); err != nil {
		panic(err)
	}
}

// comes has a request of an organisation arrive, with so many points of a session, a second each from one on.
func (r *ruled) comes(org string, session schema.ID, from, points int) *request {
	b := &decode.Batch{Targets: []registry.Target{{Owner: registry.Owner{Session: session, EndedAt: math.MaxInt64, Outliers: r.setting}}}}
	for _, f := range inARow(session, from, points) {
		b.Points = append(b.Points, decode.Point{DataPoint: schema.DataPoint{SessionID: session, Timestamp: f.timestamp()}})
	}
	return r.bring(&request{ctx: context.Background(), orgID: org, batch: b, rest: b.Points, done: make(chan error, 1)})
}

func (r *ruled) bring(of *request) *request {
	if len(of.rest) > 0 && of.mayBeCostly(usualFrom(start.UnixMilli())) {
		of.arrange(usualFrom(start.UnixMilli()))
	}
	if !r.queue.add(of, len(of.rest)) {
		panic("the queue is full")
	}
	r.look()
	return of
}

func (r *ruled) wantAnswered(t *testing.T, of *request, want bool) {
	t.Helper()
	if slices.Contains(r.answered, of) != want {
		t.Errorf("the request of %s is answered: %v, want %v", of.orgID, !want, want)
	}
}

// TestAGroupHasOfEachOrganisationItsShare, of what came in one request and in several, and the rest goes in slices.
func TestAGroupHasOfEachOrganisationItsShare(t *testing.T) {
	t.Parallel()
	most := int(defaultLimits.share / pointCost)
	r := newRuled()
	mine := r.comes(ours, r.session(1), 0, 1)
	large := r.comes(theirs, r.session(2), 0, most+1)
	if len(r.usual) != 1 || len(r.turns) != 1 {
		t.Errorf("%d requests are usual and %d organisations have slices, want one each", len(r.usual), len(r.turns))
	}
	half, another := r.comes("org_b", r.session(3), 0, most*2/3), r.comes("org_b", r.session(4), 0, most*2/3)
	r.group()
	for of, want := range map[*request]bool{mine: true, half: true, large: false, another: false} {
		r.wantAnswered(t, of, want)
	}
}

// TestAPastMonthIsNoUsualOne: a part of another month is synced by itself, and everybody of the group would wait for it.
func TestAPastMonthIsNoUsualOne(t *testing.T) {
	t.Parallel()
	r := newRuled()
	r.comes(ours, r.session(1), 0, 1)
	r.comes(theirs, r.session(2), -2*aMonth, 1)
	if len(r.usual) != 1 || len(r.turns) != 1 {
		t.Errorf("%d requests are usual and %d organisations have slices, want one each", len(r.usual), len(r.turns))
	}
}

// TestWhatBecameCostlyWhileItWaitedGoesInSlices: its session has newer points by now, so that all of it is looked up.
func TestWhatBecameCostlyWhileItWaitedGoesInSlices(t *testing.T) {
	t.Parallel()
	r := newRuled()
	r.comes(ours, r.session(1), 0, 1)
	late := r.comes(theirs, r.session(2), 0, 1+int(defaultLimits.share/findCost))
	if len(r.usual) != 2 {
		t.Fatalf("%d requests are usual, want both", len(r.usual))
	}
	r.stored(r.session(2), 10_000)
	r.committer.steps++
	r.group()
	r.wantAnswered(t, late, false)
	if len(r.turns) != 1 {
		t.Errorf("%d organisations have slices, want one", len(r.turns))
	}
}

// TestASliceFollowsAGroup where both are due, and a group a slice; and slices rest twice as long as they took.
func TestASliceFollowsAGroup(t *testing.T) {
	t.Parallel()
	r := newRuled()
	r.comes(ours, r.session(1), 0, 1)
	r.comes(theirs, r.session(2), 0, 20_000)
	r.closed = true // all is due
	for _, test := range []struct {
		grouped bool
		want    step
	}{{false, aGroup}, {true, aSlice}} {
		r.grouped = test.grouped
		if got, _ := r.next(time.Now()); got != test.want {
			t.Errorf("the last step was a group: %v; the next is %d, want %d", test.grouped, got, test.want)
		}
	}
	r.closed = false
	now := time.Now()
	r.groups.ended, r.slices.began, r.slices.ended = now, now.Add(-25*time.Millisecond), now.Add(-5*time.Millisecond)
	if got, want := r.sliceDue(now), 35*time.Millisecond; got != want {
		t.Errorf("a slice that took 20 ms and ended 5 ms ago rests for another %v, want %v", got, want)
	}
	r.groups.ended = now.Add(-2 * fewTime)
	if got := r.sliceDue(now); got > 0 {
		t.Errorf("without groups a slice rests for %v", got)
	}
}

// TestASliceCountsWhatIsLookedUp: points that may be stored cost a look-up each, and new ones next to nothing.
func TestASliceCountsWhatIsLookedUp(t *testing.T) {
	t.Parallel()
	r := newRuled()
	r.stored(r.session(1), 1000)
	take := func(from int) int {
		of := r.comes(theirs, r.session(1), from, 300)
		s := slicer{committer: r.committer, month: monthCost, find: findCost, left: 10 * findCost, months: make(map[month]struct{})}
		return s.take(of)
	}
	if got := take(0); got > 10 {
		t.Errorf("a slice of ten look-ups has %d points that may be stored", got)
	}
	if got := take(2000); got != 300 {
		t.Errorf("a slice has %d of 300 new points, want all", got)
	}
}

// TestReviewsCountAsWhatTheyTake: the neighbours of late points are read, of so many sessions at a time.
func TestReviewsCountAsWhatTheyTake(t *testing.T) {
	t.Parallel()
	r := newRuled()
	r.setting = schema.FlagOutliers
	var late []*request
	for number := range byte(schema.MostAround + 8) {
		session := r.session(10 + number)
		r.stored(session, 1000)
		of := r.comes(theirs, session, 0, 1)
		if least := leastReview + reviewCost; of.reviews != 1 || of.cost < least {
			t.Fatalf("a late point counts for %v and %d reviews, want %v at least and 1", of.cost, of.reviews, least)
		}
		late = append(late, of)
	}
	r.group()
	for i, of := range late {
		r.wantAnswered(t, of, i < schema.MostAround)
	}
	r.comes(ours, r.session(1), 0, 1) // so that nobody is alone
	r.group()
	if len(r.turns) != 1 {
		t.Fatalf("%d organisations have slices, want one", len(r.turns))
	}
	of := r.turns[0]
	r.slice()
	if of.review >= reviewCost {
		t.Errorf("a review is taken to take %v after some that took nothing", of.review)
	}
}

// TestSlicesOfASlowMachineAreLonger, but four times as long at most.
func TestSlicesOfASlowMachineAreLonger(t *testing.T) {
	t.Parallel()
	r := newRuled()
	r.comes(ours, r.session(1), 0, 1) // so that nobody is alone
	r.comes(theirs, r.session(2), 0, 20_000)
	for _, test := range []struct{ insert, want time.Duration }{
		{monthCost, defaultLimits.slice}, {2 * monthCost, 2 * defaultLimits.slice}, {time.Hour, slowestMonth * defaultLimits.slice},
	} {
		for range 60 {
			r.learnMonth(test.insert, 1)
		}
		if got := r.budget(r.turns[0]); got < test.want*99/100 || got > test.want {
			t.Errorf("where an insert takes %v a slice may take %v, want %v", test.insert, got, test.want)
		}
	}
}

// TestARequestEndsWithTheSliceThatFailed: were its rest written, it would be answered as if all of it were.
func TestARequestEndsWithTheSliceThatFailed(t *testing.T) {
	t.Parallel()
	r := newRuled()
	r.comes(ours, r.session(1), 0, 1)
	of := r.comes(theirs, r.session(2), 0, 20_000)
	r.insertIs = schema.Unavailable
	r.slice()
	r.wantAnswered(t, of, true)
	if len(of.rest) == 0 || len(r.turns) != 0 {
		t.Errorf("%d points of the request are left, and %d organisations have slices, want some and none", len(of.rest), len(r.turns))
	}
}
