package schema_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lastseen/schema"
	"lastseen/schema/lease"
	"lastseen/schema/schematest"
)

func writerRegister(t *testing.T, db *schema.DB) *schema.WriterRegister {
	t.Helper()
	register, err := db.OpenWriterRegister(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := register.Close(); err != nil {
			t.Error(err)
		}
	})
	return register
}

func TestTheRegisterOfWhoWritesKeepsAHolderAndAnEpoch(t *testing.T) {
	t.Parallel()
	register := writerRegister(t, schematest.Open(t))
	view, err := register.Look(t.Context())
	if err != nil || view != (lease.View{}) {
		t.Fatalf("a new register says %+v: %v", view, err)
	}
	holder := lease.Holder{Node: "n", Claim: "a", Host: `O'Neill\'s "host"`, Dir: "/da`ta/ü", PID: 7, Since: 1, Length: 15000, Beat: 1}
	if err := register.Swap(t.Context(), 0, "a"); err != nil {
		t.Fatal(err)
	}
	if err := register.Beat(t.Context(), 1, holder); err != nil {
		t.Fatal(err)
	}
	want := lease.View{Epoch: 1, Holder: holder}
	if view, err = register.Look(t.Context()); err != nil || view != want {
		t.Fatalf("the register says %+v, want %+v: %v", view, want, err)
	}
	if err := register.Swap(t.Context(), 1, "b"); err != nil {
		t.Fatal(err)
	}
	want.Epoch = 2 // whose holder is the old one until the first Beat
	if view, err = register.Look(t.Context()); err != nil || view != want {
		t.Errorf("after a swap the register says %+v, want %+v: %v", view, want, err)
	}
	for name, err := range map[string]error{
		"a beat of an epoch that is over": register.Beat(t.Context(), 1, holder), "a swap of one": register.Swap(t.Context(), 1, "c"),
	} {
		if !errors.Is(err, lease.ErrMoved) {
			t.Errorf("%s: %v, want %v", name, err, lease.ErrMoved)
		}
	}
	if view, err = register.Look(t.Context()); err != nil || view != want {
		t.Errorf("what failed has changed the register to %+v: %v", view, err)
	}
}

// TestOfThoseWhoClaimAnEpochOneSucceedsAtMost races claims, with the beats of the holder among them. A beat that succeeded is
// seen by whoever looks after its own claim has.
func TestOfThoseWhoClaimAnEpochOneSucceedsAtMost(t *testing.T) {
	t.Parallel()
	register := writerRegister(t, schematest.Open(t))
	if err := register.Beat(t.Context(), 0, lease.Holder{Node: "0", Claim: "0"}); err != nil {
		t.Fatal(err)
	}
	taken := 0
	for round := range 20 {
		before, err := register.Look(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var won, succeeded atomic.Int64
		var racing sync.WaitGroup
		for i := range 1 + round%3 {
			racing.Go(func() {
				claim := fmt.Sprint(round, " ", i)
				switch err := register.Swap(t.Context(), before.Epoch, claim); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, lease.ErrMoved):
					t.Error(err)
				}
			})
		}
		racing.Go(func() {
			holder := before.Holder
			for holder.Beat++; register.Beat(t.Context(), before.Epoch, holder) == nil; holder.Beat++ {
				succeeded.Store(int64(holder.Beat))
			}
		})
		racing.Wait()
		after, err := register.Look(t.Context())
		if err != nil || won.Load() > 1 || after.Epoch != before.Epoch+1 || int64(after.Holder.Beat) < succeeded.Load() {
			t.Fatalf("%d of %d claims succeeded, beat %d did, and the register says %+v: %v", won.Load(), 1+round%3, succeeded.Load(), after, err)
		}
		taken += int(won.Load())
	}
	if taken < 7 {
		t.Errorf("%d of 20 epochs were taken, want those at least which only one claimed", taken)
	}
}

// TestWhatIsWrittenPastTheLeaseIsNotAcknowledged: a statement that was under way when the lease ended may count after another
// process has begun to write, which does not know of it.
func TestWhatIsWrittenPastTheLeaseIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	var asked atomic.Int64 // held when a statement begins, and no more when it ends
	db.GuardWrites(func() error {
		if asked.Add(1)%2 == 1 {
			return nil
		}
		return lease.ErrLost
	})
	for name, write := range map[string]func() error{
		"a point":      func() error { return db.InsertDataPoints(t.Context(), []schema.OwnedPoint{{}}) },
		"a revocation": func() error { return db.RevokeAPIKey(t.Context(), schema.KeyHash{}, time.Now(), "user_a") },
	} {
		err := schema.Failure(write())
		if said, is := errors.AsType[*schema.Error](err); !is || said.Code != schema.Unavailable || !errors.Is(err, lease.ErrLost) {
			t.Errorf("%s, written when the lease had ended, is answered %v", name, err)
		}
		if schema.NeverBegun(err) {
			t.Errorf("%s, written when the lease had ended, counts as never begun", name)
		}
	}
}

func TestWhoMayNotWriteWritesNothing(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	may := error(nil)
	db.GuardWrites(func() error { return may })
	token := []schema.SpentToken{{ID: "one"}}
	if err := db.InsertSpentTokens(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	may = lease.ErrLapsed
	err := schema.Failure(db.InsertSpentTokens(t.Context(), token))
	said, is := errors.AsType[*schema.Error](err)
	if !is || said.Code != schema.Unavailable || said.Sentence == "" || !errors.Is(err, lease.ErrLapsed) {
		t.Errorf("an insert without the lease is answered %v", err)
	}
	if err := db.InsertDataPoints(t.Context(), []schema.OwnedPoint{{}}); !errors.Is(err, lease.ErrLapsed) {
		t.Errorf("an insert of points without the lease is answered %v", err)
	}
	if err := db.RevokeAPIKey(t.Context(), schema.KeyHash{}, time.Now(), "user_a"); !errors.Is(err, lease.ErrLapsed) {
		t.Errorf("a revocation without the lease is answered %v", err)
	}
	if err := db.Ping(t.Context()); err != nil {
		t.Errorf("a sign of life without the lease: %v", err)
	}
}
