package ingest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"lastseen/ingest/decode"
	"lastseen/ingest/registry"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

// putInto puts requests of an organisation into a queue, so many points each, until one is refused.
func putInto(q *queue, orgID string, points int) (taken int) {
	batch := &decode.Batch{Points: make([]decode.Point, points)}
	for q.add(&request{orgID: orgID, batch: batch}, points) {
		taken++
	}
	return taken
}

// pass takes all that waits out of a queue, and returns how many requests that was.
func pass(q *queue) int {
	arrived, _, _ := q.take(nil)
	q.leave(arrived...)
	return len(arrived)
}

func TestQueueIsBoundedUnderOverload(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		since  time.Duration // the last calm
		points int           // of each request
		want   int           // requests that are taken
	}{
		"a burst after calm, up to a group":          {0, 500, 150},
		"a burst that lasts":                         {burstTime - 1, 500, 150},
		"overload":                                   {burstTime, 500, 15},
		"overload by single points":                  {burstTime, 1, 7500},
		"overload by large bodies, each an eighth":   {burstTime, decode.MaxPoints, 6},
		"a burst of large bodies, each for the same": {0, decode.MaxPoints, 60},
	} {
		t.Run(name, func(t *testing.T) {
			c := schematest.NewClock(start)
			q := newQueue(10_000, c.Now)
			c.Advance(tt.since)
			if got := putInto(q, ours, tt.points); got != tt.want {
				t.Errorf("%d requests of %d points were taken, want %d", got, tt.points, tt.want)
			}
			if q.open(ours) {
				t.Error("it says that it would take more")
			}
		})
	}
}

func TestQueueKeepsAPartForOtherOrganisations(t *testing.T) {
	t.Parallel()
	c := schematest.NewClock(start)
	q := newQueue(8_000, c.Now)
	c.Advance(time.Minute)
	if got := putInto(q, ours, 500); got != 12 {
		t.Errorf("one organisation got %d requests of 500 points in, want 12 of 16", got)
	}
	if !q.open(theirs) {
		t.Error("it is full for an organisation that has nothing in it")
	}
	if got := putInto(q, theirs, 500); got != 2 {
		t.Errorf("another got %d requests in, want 2, which is an eighth", got)
	}
	if got := putInto(q, "org_third", 500); got != 2 {
		t.Errorf("a third got %d requests in, want the last 2", got)
	}
	if _, load, refused := q.stats(); load != 8_000 || refused != 3 {
		t.Errorf("load %d, %d refused, want 8000 and 3", load, refused)
	}
}

func TestQueueTakesABurstAgainOnceItIsCalm(t *testing.T) {
	t.Parallel()
	c := schematest.NewClock(start)
	q := newQueue(10_000, c.Now)
	for range 20 { // the committer finds it full again and again
		putInto(q, ours, 500)
		c.Advance(50 * time.Millisecond)
		pass(q)
	}
	if got := putInto(q, ours, 500); got != 15 {
		t.Errorf("under lasting overload %d requests were taken, want 15", got)
	}
	pass(q)
	if left := pass(q); left != 0 {
		t.Fatalf("%d requests are left", left)
	}
	c.Advance(time.Hour) // nothing happens
	if got := putInto(q, ours, 500); got != 150 {
		t.Errorf("after a calm hour %d requests were taken, want 150", got)
	}
}

func TestQueueTakesAnythingWhenEmpty(t *testing.T) {
	t.Parallel()
	c := schematest.NewClock(start)
	q := newQueue(1, c.Now)
	large := &decode.Batch{Points: make([]decode.Point, decode.MaxPoints)}
	for range 3 {
		c.Advance(time.Hour)
		if !q.open(ours) || !q.add(&request{orgID: ours, batch: large}, decode.MaxPoints) {
			t.Fatal("an empty queue refused a body of the greatest size")
		}
		pass(q) // not calm: it is past half the limit
	}
	q.close()
	if q.open(ours) || putInto(q, ours, 1) != 0 {
		t.Error("a closed queue takes requests")
	}
}

// While an insert is held up the queue fills to its bound; what is past it is refused at once and
// changes nothing, what was taken is kept, and afterwards everything is taken again.
func TestIngestRefusesPastItsQueueAndKeepsWhatItTook(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{Queue: 16})
	_, session := s.session(ours, "van-1")
	entered, proceed := s.reader.hold()
	answers := []<-chan outcome{s.ingest(t.Context(), lines(fix{session, 0, 1}))}
	<-entered
	s.clock.Advance(burstTime) // since the queue was empty: no burst any more
	body := func(i int) string { return lines(fix{session, 10 * i, 1}, fix{session, 10*i + 1, 1}) }
	taken := 6 // twelve points, three quarters of sixteen
	for i := range taken {
		answers = append(answers, s.ingest(t.Context(), body(1+i)))
		s.queued(1 + i)
	}
	if s.writer.Accepts(ours) {
		t.Error("Accepts is true of a full queue")
	}
	for range 3 { // the insert is still held up, so that these answers waited for nothing
		if _, err := s.try(t.Context(), registry.Caller{OrgID: ours}, body(100)); !errors.Is(err, schema.Busy) {
			t.Errorf("err = %v, want ErrBusy", err)
		}
	}
	if stats := s.writer.Stats(); stats.QueueRefused != 4 || stats.QueueInUse != 12 || stats.QueueLimit != 16 || stats.Waiting != taken {
		t.Errorf("stats = %d refused, %d of %d in use, %d waiting", stats.QueueRefused, stats.QueueInUse, stats.QueueLimit, stats.Waiting)
	}
	proceed <- struct{}{}
	<-entered
	proceed <- struct{}{}
	for _, answer := range answers {
		if o := <-answer; o.err != nil {
			t.Errorf("what was taken: %v", o.err)
		}
	}
	if got := len(s.history(session)); got != 1+2*taken {
		t.Errorf("%d points are stored, want %d", got, 1+2*taken)
	}
	if n := s.writer.Budget().InUse(); n != 0 {
		t.Errorf("%d bytes of the budget are lost", n)
	}
	s.reader.entered = nil
	var many []fix
	for i := range 2000 {
		many = append(many, fix{session, 1000 + i, 2})
	}
	s.send(many...) // more than the queue's limit, on an idle service
	if got := s.reader.shownTimestamp(session); got != (fix{second: 2999}).timestamp() {
		t.Errorf("shown is %d after the overload", got)
	}
}

func BenchmarkQueue(b *testing.B) {
	for _, organisations := range []int{1, 16} {
		b.Run(fmt.Sprint(organisations, " organisations"), func(b *testing.B) {
			q := newQueue(0, time.Now)
			names := make([]string, organisations)
			for i := range names {
				names[i] = schema.NewID().String()
			}
			r := &request{batch: &decode.Batch{}}
			var group []*request
			for i := range b.N {
				r.orgID = names[i%organisations]
				q.add(r, 500)
				group, _, _ = q.take(group[:0])
				q.leave(group...)
			}
		})
	}
}

func TestABodyCountsAsReadUntilTheCommitterSeesItOrAGroupEnds(t *testing.T) {
	t.Parallel()
	q := newQueue(10_000, time.Now)
	read := func() *request {
		batch, err := decode.Body(strings.NewReader(lines(fix{})), decode.NDJSON, decode.Identity, decode.Limits{Underway: q.reading()})
		if err != nil {
			t.Fatal(err)
		}
		return &request{orgID: ours, batch: batch}
	}
	expect := func(arrived, reading int) {
		t.Helper()
		if taken, underway, _ := q.take(nil); len(taken) != arrived || underway != reading {
			t.Errorf("%d have arrived and %d are being read, want %d and %d", len(taken), underway, arrived, reading)
		}
	}
	first, slow := read(), read()
	expect(0, 2)
	q.add(first, 1)
	expect(1, 1)
	q.grouped()
	expect(0, 0)
	next := read()
	expect(0, 1)
	q.add(slow, 1)
	expect(1, 1)
	q.add(next, 1)
	expect(1, 0)
}
