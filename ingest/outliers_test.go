package ingest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"lastseen/ingest/registry"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

// flags returns what is stored of a session's points in the order of their time, a letter each: . for one that counts,
// S, N and A for the reasons of the service, U for a person's mark.
func (s *service) flags(session schema.ID) string {
	var flags []byte
	for _, p := range s.history(session) {
		flags = append(flags, ".USNA"[p.Outlier])
	}
	return string(flags)
}

// wantFlags checks what is stored and that the newest point that counts is the one on show.
func (s *service) wantFlags(what string, session schema.ID, want string) {
	s.tb.Helper()
	if got := s.flags(session); got != want {
		s.tb.Errorf("%s: stored are %s, want %s", what, got, want)
	}
	var newest int64
	for _, p := range s.history(session) {
		if p.Outlier == schema.NotOutlier {
			newest = max(newest, p.Timestamp)
		}
	}
	if got := s.reader.shownTimestamp(session); got != newest {
		s.tb.Errorf("%s: the point at %d is on show, want the one at %d", what, got, newest)
	}
}

func TestAPointThatCannotBeTrueIsFlaggedInItsOnlyInsert(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{FlagOutliers: true})
	_, session := s.session(ours, "van-1")
	s.send(fix{session, 1, 10})
	s.send(fix{session, 5, 10})
	s.faults.log = nil
	s.send(fix{session, 10, 13})
	if got := fmt.Sprint(s.faults.log); got != "[insert]" {
		t.Errorf("to flag a point took %v, want one insert", got)
	}
	s.wantFlags("300 km in five seconds", session, "..S")
	if p := s.history(session)[2]; p.Version != 0 {
		t.Errorf("it has the version %d, want 0", p.Version)
	}
	s.send(fix{session, 15, 10})
	s.wantFlags("and back", session, "..S.")
	s.send(fix{session, 20, 0}) // with the longitude 7 of all
	_, other := s.session(ours, "van-2")
	s.send(fix{other, 1, 10}, fix{other, 2, 13}, fix{other, 3, 10})
	s.wantFlags("in one batch", other, ".S.")
}

func TestWhatAgreesBecomesTheTruth(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{FlagOutliers: true})
	_, session := s.session(ours, "van-1")
	s.send(fix{session, 1, 10}, fix{session, 11, 10})
	for i := range 3 {
		s.send(fix{session, 21 + 10*i, 48})
		if i < 2 {
			s.wantFlags("not yet", session, []string{"..S", "..SS"}[i])
		}
	}
	s.wantFlags("three that agree", session, ".....")
	before := s.history(session)
	s.send(fix{session, 21, 48}, fix{session, 41, 48}, fix{session, 11, 10})
	if after := s.history(session); !slices.EqualFunc(before, after, func(x, y schema.DataPoint) bool { return x.Version == y.Version && x.ReceivedAt == y.ReceivedAt }) {
		t.Errorf("repeats changed %+v to %+v", before, after)
	}
	s.restart()
	s.wantFlags("after a restart", session, ".....")
}

func TestDoubtsSurviveARestart(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{FlagOutliers: true})
	_, session := s.session(ours, "van-1")
	s.send(fix{session, 1, 10}, fix{session, 11, 10}, fix{session, 21, 48}, fix{session, 31, 48})
	s.wantFlags("two that agree", session, "..SS")
	s.writer.Close()
	s.boot(WriterOptions{FlagOutliers: true})
	s.send(fix{session, 41, 48})
	s.wantFlags("the third after a restart", session, ".....")
}

func TestLatePointsAreJudgedWithTheirNeighbours(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{FlagOutliers: true})
	_, session := s.session(ours, "van-1")
	s.send(fix{session, 1, 10}, fix{session, 2, 10}, fix{session, 600, 11}) // 111 km in ten minutes
	s.wantFlags("at first", session, "...")
	s.send(fix{session, 300, 60})
	s.wantFlags("a late one that is wrong", session, "..S.")
	s.send(fix{session, 590, 10}, fix{session, 580, 10})
	s.wantFlags("late ones that prove a newer one wrong", session, "..S..S")
	if s.reader.begun[session] {
		t.Error("last_seen was left in doubt")
	}
	s.send(fix{session, 610, 11}, fix{session, 620, 11})
	s.wantFlags("which others then confirm", session, "..S.....")
}

func TestAPersonsMarkStands(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{FlagOutliers: true})
	_, session := s.session(ours, "van-1")
	wrong, right := fix{session, 10, 13}, fix{session, 20, 10}
	s.send(fix{session, 1, 10}, wrong, right)
	s.wantFlags("judged", session, ".S.")
	s.mark(false, 1, 0, wrong.id())
	s.mark(true, 1, 0, right.id())
	s.wantFlags("a person says otherwise", session, "..U")
	s.send(wrong, right, fix{session, 15, 13})         // late, beside both
	s.send(fix{session, 10, 14}, fix{session, 20, 12}) // other values
	s.send(fix{session, 30, 14}, fix{session, 9, 10})  // newer, and late again
	for _, p := range s.history(session) {
		switch p.Timestamp {
		case wrong.timestamp():
			if p.Outlier != schema.NotOutlier {
				t.Error("what a person called true is flagged")
			}
		case right.timestamp():
			if p.Outlier != schema.OutlierByUser {
				t.Error("what a person marked is not any more")
			}
		}
	}
	s.mark(true, 1, 0, wrong.id())
	s.mark(false, 1, 0, right.id())
	if got := s.flags(session); got[2] != 'U' {
		t.Errorf("stored are %s, want the person's second thoughts", got)
	}
}

func TestZerosBeforeAndAfterGoodPoints(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{FlagOutliers: true})
	_, session := s.session(ours, "van-1")
	zero := func(second int) string {
		return fmt.Sprintf(`{"session_id":"%s","timestamp":"%s","latitude":0,"longitude":0}`+"\n",
			session, time.UnixMilli(fix{session, second, 0}.timestamp()).UTC().Format(time.RFC3339))
	}
	send := func(body string) {
		t.Helper()
		if result, err := s.try(t.Context(), registry.Caller{OrgID: ours}, body); err != nil || len(result.Rejected) > 0 {
			t.Fatalf("%+v, %v", result, err)
		}
	}
	for i := range 8 {
		send(zero(1 + i))
	}
	s.wantFlags("nothing else is known", session, "........")
	s.send(fix{session, 20, 50})
	s.wantFlags("the first good one", session, "NNNNNNNN.")
	send(zero(30) + zero(31) + zero(3000))
	s.wantFlags("afterwards", session, "NNNNNNNN.NNN")
}

func TestFlagsAreOffWhereTheyAreNotWanted(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	_, session := s.session(ours, "van-1")
	s.send(fix{session, 1, 10}, fix{session, 2, 50}, fix{session, 3, 10})
	s.wantFlags("off", session, "...")
}

func TestASessionSaysOtherwise(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{schema.WordFlagOutliers: ".S.", schema.WordLeaveOutliers: "..."} {
		s := newService(t, WriterOptions{FlagOutliers: word == schema.WordLeaveOutliers})
		_, session := s.session(ours, "van-1")
		update := registry.SessionUpdate{NewSession: registry.NewSession{Outliers: &word}}
		if err := s.registry.UpdateSession(t.Context(), ours, session, update); err != nil {
			t.Fatal(err)
		}
		s.send(fix{session, 1, 10}, fix{session, 2, 50}, fix{session, 3, 10})
		s.wantFlags(word, session, want)
		s.writer.Close()
		s.boot(WriterOptions{FlagOutliers: word == schema.WordLeaveOutliers})
		s.send(fix{session, 11, 10}, fix{session, 12, 50}, fix{session, 13, 10})
		s.wantFlags(word+" after a restart", session, want+want)
		back := registry.SessionUpdate{ClearOutliers: true}
		if err := s.registry.UpdateSession(t.Context(), ours, session, back); err != nil {
			t.Fatal(err)
		}
		wrong := "sometimes"
		err := s.registry.UpdateSession(t.Context(), ours, session, registry.SessionUpdate{NewSession: registry.NewSession{Outliers: &wrong}})
		if schematest.InvalidField(err) != "outliers" {
			t.Errorf("a word that is none: %v", err)
		}
	}
}

func TestAFailedInsertJudgesNothing(t *testing.T) {
	t.Parallel()
	for name, outcome := range map[string]fault{"that was executed": executed, "that was not executed": notExecuted} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, WriterOptions{FlagOutliers: true})
			_, session := s.session(ours, "van-1")
			s.send(fix{session, 1, 10}, fix{session, 11, 10}, fix{session, 21, 48}, fix{session, 31, 48})
			s.faults.next(nil, outcome)
			if _, err := s.try(t.Context(), registry.Caller{OrgID: ours}, lines(fix{session, 41, 48})); !errors.Is(err, schema.Unavailable) {
				t.Fatalf("err = %v, want schema.Unavailable", err)
			}
			s.faults.next(nil, nil)
			s.send(fix{session, 41, 48})
			s.wantFlags("sent again", session, ".....")
		})
	}
}

// TestJudgedInAnyPieces: however a track is cut into batches, and whichever are sent twice, the newest good point is on
// show after each, and nothing is judged anew because it came again.
func TestJudgedInAnyPieces(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		s := newService(t, WriterOptions{FlagOutliers: true})
		random := rand.New(rand.NewPCG(seed, 9))
		_, session := s.session(ours, "van-1")
		var all []fix
		place := 10
		for i := range 60 {
			if random.IntN(15) == 0 {
				place = 10 + random.IntN(60)
			}
			f := fix{session, 10 * i, place}
			if random.IntN(8) == 0 {
				f.latitude = 10 + random.IntN(60)
			}
			all = append(all, f)
		}
		for len(all) > 0 {
			n := min(1+random.IntN(6), len(all))
			batch := slices.Clone(all[:n])
			all = all[n:]
			random.Shuffle(n, func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
			s.send(batch...)
			before := s.flags(session)
			s.send(batch[:1+random.IntN(n)]...)
			s.wantFlags("after a repeat", session, before)
			if random.IntN(10) == 0 {
				s.writer.Close()
				s.boot(WriterOptions{FlagOutliers: true})
				s.wantFlags("after a restart", session, before)
			}
		}
	}
}

// TestPointsThatJumpAreJudgedInSlices: an organisation's late points, whose neighbours are read to judge them, hold up
// nobody else, and however many they are, all are judged.
func TestPointsThatJumpAreJudgedInSlices(t *testing.T) {
	t.Parallel()
	const many = schema.MostAround + 4
	s := newService(t, WriterOptions{FlagOutliers: true})
	var jumping []schema.ID
	var good []fix
	for i := range many {
		_, session := s.session(theirs, fmt.Sprint("them-", i))
		jumping = append(jumping, session)
		good = append(good, fix{session, 1, 10}, fix{session, 100, 10}, fix{session, 1000, 10})
	}
	_, mine := s.session(ours, "van-1")
	s.sendFrom(theirs, good...)
	late := func(second int) (fixes []fix) {
		for _, session := range jumping {
			fixes = append(fixes, fix{session, second, 60})
		}
		return fixes
	}
	s.sendFrom(theirs, late(200)...)
	for i := 0; i < many; i += 7 { // with the last one
		s.wantFlags("alone", jumping[i], "..S.")
	}
	s.send(fix{mine, 0, 1}) // so that nobody is alone
	s.faults.around = nil
	attack := s.from(theirs, late(300)...)
	for i := range 10 {
		point := fix{mine, 1 + i, 1}
		answer := s.from(ours, point)
		o, answered := s.arrived(ours, answer)
		begun, _ := s.reader.publishes(point)
		if !answered {
			o = <-answer
		}
		if o.err != nil {
			t.Error(o.err)
		}
		if _, at := s.reader.publishes(point); at >= begun+3 {
			t.Errorf("point %d is in the step %d, and %d were begun when it came", i, at, begun)
		}
	}
	if o := <-attack; o.err != nil {
		t.Error(o.err)
	}
	for i := 0; i < many; i += 7 {
		s.wantFlags("beside others", jumping[i], "..SS.")
	}
	// How many fit in a slice depends on what they take on this machine.
	if most := slices.Max(s.faults.around); most > schema.MostAround {
		t.Errorf("a step looked at %d sessions of another organisation of %d, want %d at most", most, many, schema.MostAround)
	}
}

// TestFlagsOfOlderPointsLeaveTheNewestAlone: what is on show is not looked for where late points change flags of stored
// ones that are older than it.
func TestFlagsOfOlderPointsLeaveTheNewestAlone(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{FlagOutliers: true})
	_, session := s.session(ours, "van-1")
	s.send(fix{session, 1, 10}, fix{session, 2, 10}, fix{session, 310, 60}, fix{session, 320, 60})
	s.send(fix{session, 600, 10}, fix{session, 610, 10}, fix{session, 620, 10})
	s.wantFlags("two that agree with nobody else", session, "..SS...")
	s.reader.endErr = errors.New("last_seen was told")
	s.send(fix{session, 300, 60})
	s.wantFlags("a late one that agrees with both", session, "........")
	s.restart()
	s.wantFlags("after a restart", session, "........")
}

// TestMarksOfOlderPointsLeaveTheNewestAlone: what is on show is not looked for where a mark cannot change it.
func TestMarksOfOlderPointsLeaveTheNewestAlone(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	_, session := s.session(ours, "van-1")
	s.send(inARow(session, 0, 3)...)
	s.reader.endErr = errors.New("last_seen was told")
	s.mark(true, 2, 0, fix{session, 0, 0}.id(), fix{session, 1, 0}.id())
	s.mark(false, 1, 0, fix{session, 0, 0}.id())
	s.reader.endErr = nil
	s.wantFlags("older ones", session, ".U.")
	s.mark(true, 1, 0, fix{session, 2, 0}.id())
	s.wantFlags("the newest", session, ".UU")
	s.mark(false, 1, 0, fix{session, 1, 0}.id())
	s.wantFlags("one that is newer than what is on show", session, "..U")
}
