package loadgen

import (
	"context"
	"errors"
	"testing"
	"time"
)

// simulation is a server in made-up time: it answers one request after another, each in its service
// time, and stands still during a stall.
type simulation struct {
	now                  time.Duration
	service              time.Duration
	stallFrom, stallTo   time.Duration
	freeAt               time.Duration // when the server has answered all that it has
	pending              []pendingAnswer
	status               int
	breakAt              int // the number of the request whose connection breaks, 0 for none
	requests, reconnects int
}

type pendingAnswer struct {
	c  int
	at time.Duration
}

func (s *simulation) clock() time.Duration { return s.now }

func (s *simulation) send(c int, _ []byte) error {
	s.requests++
	begin := max(s.now, s.freeAt)
	if begin >= s.stallFrom && begin < s.stallTo {
		begin = s.stallTo
	}
	s.freeAt = begin + s.service
	s.pending = append(s.pending, pendingAnswer{c, s.freeAt})
	return nil
}

func (s *simulation) wait(timeout time.Duration, answered func(int, *Answer, error)) error {
	until := s.now + timeout
	if len(s.pending) == 0 || s.pending[0].at > until {
		s.now = until
		return nil
	}
	first := s.pending[0]
	s.pending = s.pending[1:]
	s.now = max(s.now, first.at)
	if s.breakAt != 0 && s.requests >= s.breakAt {
		s.breakAt = 0
		answered(first.c, nil, errors.New("reset by peer"))
		return nil
	}
	answered(first.c, &Answer{Status: s.status}, nil)
	return nil
}

func (s *simulation) reconnect(int) error { s.reconnects++; return nil }

// acceptAll is a source whose every answer of 200 is right, and of 503 allowed.
type acceptAll struct{ left int }

func (a *acceptAll) Prepare(*Exchange) bool { a.left--; return a.left >= 0 }

func (a *acceptAll) Check(_ *Exchange, answer *Answer) (Outcome, error) {
	switch answer.Status {
	case 200:
		return Served, nil
	case 503:
		return Refused, nil
	}
	return 0, errors.New("the status is neither 200 nor 503")
}

// simulate runs a loop for ten made-up seconds.
func simulate(s *simulation, connections int, rate float64, adjust func(*loop)) (*loop, error) {
	l := &loop{
		net: s, clock: s.clock, source: &acceptAll{left: 1 << 30}, rec: newRecorder(0, 10*time.Second),
		end: 10 * time.Second, timeout: 5 * time.Second, exchanges: make([]Exchange, connections),
	}
	if s.status == 0 {
		s.status = 200
	}
	if rate > 0 {
		l.schedule = newSchedule(rate, 0, 1)
	}
	if adjust != nil {
		adjust(l)
	}
	return l, l.run(context.Background())
}

func TestAStallOfTheServerShowsInEveryRequestThatWasDueMeanwhile(t *testing.T) {
	t.Parallel()
	s := &simulation{service: time.Millisecond, stallFrom: 4 * time.Second, stallTo: 5 * time.Second}
	open, err := simulate(s, 1, 100, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := open.rec.served; got < 995 || got > 1001 {
		t.Errorf("%d requests were served in 10 s at 100 a second", got)
	}
	// A hundred arrivals fall into the second of the stall; those of its first half wait over 0.5 s.
	late := countAbove(open, 500*time.Millisecond)
	if late < 45 || late > 60 {
		t.Errorf("%d requests took over half a second, want about 50", late)
	}

	// What a closed loop sees of the same stall: one slow request. That is the omission.
	s = &simulation{service: time.Millisecond, stallFrom: 4 * time.Second, stallTo: 5 * time.Second}
	closed, err := simulate(s, 1, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if late := countAbove(closed, 500*time.Millisecond); late != 1 {
		t.Errorf("the closed loop saw %d slow requests, want 1", late)
	}
}

func countAbove(l *loop, limit time.Duration) (n int64) {
	for _, bar := range l.rec.latency.Distribution() {
		if bar.From >= int64(limit) {
			n += bar.Count
		}
	}
	return n
}

func TestLatencyInAnUnloadedOpenLoopIsTheServiceTime(t *testing.T) {
	t.Parallel()
	l, err := simulate(&simulation{service: 2 * time.Millisecond}, 4, 50, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, percent := range []float64{0, 50, 100} {
		got := Quantile(l.rec.latency, percent)
		if got < 1990*time.Microsecond || got > 2010*time.Microsecond {
			t.Errorf("p%v is %v, want 2 ms", percent, got)
		}
	}
	if late := l.rec.lateness.Max(); late > int64(time.Microsecond) {
		t.Errorf("a request left %v late although connections were free", time.Duration(late))
	}
}

func TestAnOverloadedOpenLoop(t *testing.T) {
	t.Parallel()
	// The server can do 1,000 requests a second and is asked for 2,000.
	t.Run("keeps what is due, so that latency grows with the queue", func(t *testing.T) {
		t.Parallel()
		l, err := simulate(&simulation{service: time.Millisecond}, 2, 2000, nil)
		if err != nil {
			t.Fatal(err)
		}
		if worst := Quantile(l.rec.latency, 100); worst < 4900*time.Millisecond {
			t.Errorf("the slowest request took %v, want about 5 s", worst)
		}
	})
	t.Run("sheds what finds no free connection, when asked to, and counts it", func(t *testing.T) {
		t.Parallel()
		l, err := simulate(&simulation{service: time.Millisecond}, 2, 2000, func(l *loop) { l.shed = true })
		if err != nil {
			t.Fatal(err)
		}
		if worst := Quantile(l.rec.latency, 100); worst > 3*time.Millisecond {
			t.Errorf("the slowest request took %v, want at most 3 ms", worst)
		}
		if l.rec.unsent < 9900 || l.rec.unsent > 10100 {
			t.Errorf("%d arrivals were shed, want about 10,000", l.rec.unsent)
		}
	})
}

func TestAllConnectionsOfAnOpenLoopAreUsedInTurn(t *testing.T) {
	t.Parallel()
	used := make([]int, 8)
	s := &simulation{service: time.Microsecond}
	_, err := simulate(s, 8, 800, func(l *loop) { l.net = spy{s, func(c int) { used[c]++ }} })
	if err != nil {
		t.Fatal(err)
	}
	for c, n := range used {
		if n < 999 || n > 1001 {
			t.Errorf("connection %d carried %d of 8,000 requests, want 1,000", c, n)
		}
	}
}

// spy tells which connection is used.
type spy struct {
	*simulation
	sent func(c int)
}

func (s spy) send(c int, request []byte) error {
	s.sent(c)
	return s.simulation.send(c, request)
}

func TestTheWarmUpIsNotRecorded(t *testing.T) {
	t.Parallel()
	l, err := simulate(&simulation{service: time.Millisecond}, 1, 100, func(l *loop) {
		l.rec = newRecorder(9*time.Second, 10*time.Second)
	})
	if err != nil {
		t.Fatal(err)
	}
	if l.rec.served < 99 || l.rec.served > 101 {
		t.Errorf("%d requests were recorded, want the last second's 100", l.rec.served)
	}
}

func TestWrongAnswersAndBrokenConnections(t *testing.T) {
	t.Parallel()
	t.Run("a wrong answer ends the run", func(t *testing.T) {
		t.Parallel()
		s := &simulation{service: time.Millisecond, status: 418}
		if _, err := simulate(s, 1, 100, nil); !errors.Is(err, ErrWrongAnswer) {
			t.Errorf("the run ended with %v", err)
		}
		if s.requests != 1 {
			t.Errorf("%d requests were sent, want 1", s.requests)
		}
	})
	t.Run("refusals are counted apart", func(t *testing.T) {
		t.Parallel()
		l, err := simulate(&simulation{service: time.Millisecond, status: 503}, 1, 100, nil)
		if err != nil {
			t.Fatal(err)
		}
		if l.rec.served != 0 || l.rec.refused < 999 || l.rec.statuses[503] != l.rec.refused {
			t.Errorf("served %d, refused %d, statuses %v", l.rec.served, l.rec.refused, l.rec.statuses)
		}
	})
	t.Run("a broken connection ends the run", func(t *testing.T) {
		t.Parallel()
		if _, err := simulate(&simulation{service: time.Millisecond, breakAt: 5}, 1, 100, nil); err == nil {
			t.Error("the run ended well")
		}
	})
	t.Run("unless it is tolerated", func(t *testing.T) {
		t.Parallel()
		s := &simulation{service: time.Millisecond, breakAt: 5}
		l, err := simulate(s, 1, 0, func(l *loop) { l.tolerant = true })
		if err != nil {
			t.Fatal(err)
		}
		if l.rec.failed != 1 || s.reconnects != 1 || l.failure == nil || l.rec.served < 9990 {
			t.Errorf("failed %d, reconnects %d, served %d", l.rec.failed, s.reconnects, l.rec.served)
		}
	})
	t.Run("a request without an answer times out", func(t *testing.T) {
		t.Parallel()
		s := &simulation{service: time.Hour}
		l, err := simulate(s, 1, 0, func(l *loop) { l.tolerant = true })
		if err != nil {
			t.Fatal(err)
		}
		if l.rec.failed < 2 || s.reconnects == 0 {
			t.Errorf("failed %d, reconnects %d", l.rec.failed, s.reconnects)
		}
	})
}

func TestASourceThatRunsOutEndsTheRun(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{0, 100} {
		s := &simulation{service: time.Millisecond}
		l, err := simulate(s, 3, rate, func(l *loop) { l.source = &acceptAll{left: 50} })
		if err != nil {
			t.Fatal(err)
		}
		if l.rec.served != 50 || s.now > 2*time.Second {
			t.Errorf("at rate %v: served %d by %v", rate, l.rec.served, s.now)
		}
	}
}

func TestTheSchedulesOfSeveralWorkersInterleave(t *testing.T) {
	t.Parallel()
	first, second := newSchedule(1000, 0, 2), newSchedule(1000, 1, 2)
	for i := range 1000 {
		s := []*schedule{first, second}[i%2]
		if want := time.Duration(i) * time.Millisecond; s.due() != want {
			t.Fatalf("arrival %d is due at %v, want %v", i, s.due(), want)
		}
		s.advance()
	}
}
