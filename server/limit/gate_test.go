package limit_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lastseen/server/limit"
)

func enter(t *testing.T, g *limit.Gate, r limit.Request) *limit.Pass {
	t.Helper()
	p, err := g.TryEnter(r)
	if err != nil {
		t.Fatalf("%+v is refused: %v", r, err)
	}
	return &p
}

func refused(t *testing.T, g *limit.Gate, r limit.Request, want error) {
	t.Helper()
	if _, err := g.TryEnter(r); !errors.Is(err, want) {
		t.Errorf("%+v: %v, want %v", r, err, want)
	}
}

func TestGate(t *testing.T) {
	t.Parallel()
	t.Run("gives an owner its share and the others the rest", func(t *testing.T) {
		g := limit.NewGate(limit.GateConfig{Capacity: 8})
		for range 4 {
			enter(t, g, limit.Request{Owner: "org_a", Weight: 1})
		}
		refused(t, g, limit.Request{Owner: "org_a", Weight: 1}, limit.ErrShare)
		for range 2 {
			enter(t, g, limit.Request{Owner: limit.Public, Weight: 1})
		}
		refused(t, g, limit.Request{Owner: limit.Public, Weight: 1}, limit.ErrShare)
		enter(t, g, limit.Request{Owner: "org_b", Weight: 2})
		refused(t, g, limit.Request{Owner: "org_c", Weight: 1}, limit.ErrBusy)
		if got, want := g.Stats("g"), (limit.Stats{Name: "g", Capacity: 8, InUse: 8, Refused: 3}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	})
	t.Run("gives those of the public from one place their part of its share, and the others the rest", func(t *testing.T) {
		g := limit.NewGate(limit.GateConfig{Capacity: 32, FromShare: 4})
		here, there := limit.Request{From: "192.0.2.1/32", Weight: 1}, limit.Request{From: "192.0.2.2/32", Weight: 1}
		places := []*limit.Pass{enter(t, g, here), enter(t, g, here), enter(t, g, here), enter(t, g, here)}
		refused(t, g, here, limit.ErrShare)
		for range 4 {
			enter(t, g, there)
		}
		refused(t, g, limit.Request{From: "192.0.2.3/32", Weight: 1}, limit.ErrShare) // the public's share is a quarter
		enter(t, g, limit.Request{Owner: "org_a", Weight: 1})
		places[0].Leave()
		enter(t, g, limit.Request{From: "192.0.2.3/32", Weight: 1})
	})
	t.Run("lets those of the public in by turns, whoever of them came first", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := limit.NewGate(limit.GateConfig{Capacity: 8, Waiting: 16, Wait: time.Minute})
			here, there := limit.Request{From: "192.0.2.1/32", Weight: 1}, limit.Request{From: "192.0.2.2/32", Weight: 1}
			places := []*limit.Pass{enter(t, g, here), enter(t, g, here)}
			var entered []string
			wait := func(r limit.Request) {
				go func() {
					if _, err := g.Enter(t.Context(), r); err == nil {
						entered = append(entered, r.From)
					}
				}()
				synctest.Wait()
			}
			for range 4 {
				wait(here)
			}
			if _, err := g.Enter(t.Context(), here); !errors.Is(err, limit.ErrShare) {
				t.Errorf("a fifth of one place, of the eight of the public that may wait: %v, want ErrShare", err)
			}
			wait(there)
			places[0].Leave()
			synctest.Wait()
			if want := []string{there.From}; !slices.Equal(entered, want) {
				t.Errorf("%v entered first, want %v", entered, want)
			}
			places[1].Leave()
			synctest.Wait()
			if want := []string{there.From, here.From}; !slices.Equal(entered, want) {
				t.Errorf("%v entered, want %v", entered, want)
			}
		})
	})
	t.Run("lets what is heavier than a share in when its owner has nothing inside, and what is heavier than all alone", func(t *testing.T) {
		g := limit.NewGate(limit.GateConfig{Capacity: 8})
		heavy := enter(t, g, limit.Request{Owner: "org_a", Weight: 6})
		refused(t, g, limit.Request{Owner: "org_a", Weight: 1}, limit.ErrShare)
		enter(t, g, limit.Request{Owner: "org_b", Weight: 1}).Leave()
		heavy.Leave()
		alone := enter(t, g, limit.Request{Owner: "org_a", Weight: 20})
		refused(t, g, limit.Request{Owner: "org_b", Weight: 1}, limit.ErrBusy)
		alone.Leave()
		enter(t, g, limit.Request{Owner: "org_b", Weight: 1})
	})
	t.Run("keeps a reserve for what is urgent", func(t *testing.T) {
		g := limit.NewGate(limit.GateConfig{Capacity: 1, Reserved: 1})
		enter(t, g, limit.Request{Owner: "org_a", Weight: 1})
		urgent := enter(t, g, limit.Request{Owner: "org_b", Weight: 1, Urgent: true})
		refused(t, g, limit.Request{Owner: "org_b", Weight: 1, Urgent: true}, limit.ErrBusy)
		urgent.Leave()
		urgent.Leave() // changes nothing
		enter(t, g, limit.Request{Owner: "org_c", Weight: 1, Urgent: true})
		refused(t, g, limit.Request{Owner: "org_b", Weight: 1}, limit.ErrBusy)
	})
	t.Run("keeps half of the reserve for others than the one who uses it", func(t *testing.T) {
		g := limit.NewGate(limit.GateConfig{Capacity: 1, Reserved: 2})
		enter(t, g, limit.Request{Owner: "org_a", Weight: 1})
		enter(t, g, limit.Request{Owner: "org_b", Weight: 1, Urgent: true})
		refused(t, g, limit.Request{Owner: "org_b", Weight: 1, Urgent: true}, limit.ErrBusy)
		enter(t, g, limit.Request{Owner: "org_c", Weight: 1, Urgent: true})
	})
}

func TestGateWaits(t *testing.T) {
	t.Parallel()
	t.Run("for its turn, which the owner with least inside has first", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := limit.NewGate(limit.GateConfig{Capacity: 4, OwnerShare: 4, Waiting: 10, Wait: time.Minute})
			var inside []*limit.Pass
			for range 3 {
				inside = append(inside, enter(t, g, limit.Request{Owner: "org_a", Weight: 1}))
			}
			inside = append(inside, enter(t, g, limit.Request{Owner: "org_b", Weight: 1}))
			order := make(chan string, 3)
			var all sync.WaitGroup
			for _, name := range []string{"org_a", "org_b", "org_c"} {
				all.Go(func() {
					p, err := g.Enter(t.Context(), limit.Request{Owner: name, Weight: 1})
					if err != nil {
						t.Error(err)
					}
					order <- name
					defer p.Leave()
					<-t.Context().Done()
				})
				synctest.Wait()
			}
			var got []string
			for range 3 {
				inside[0].Leave()
				inside = inside[1:]
				got = append(got, <-order)
			}
			if want := []string{"org_c", "org_a", "org_b"}; !slices.Equal(got, want) {
				t.Errorf("they entered in the order %v, want %v", got, want)
			}
			if g.Stats("g").Waiting != 0 {
				t.Errorf("%+v", g.Stats("g"))
			}
		})
	})
	t.Run("for its turn, which of owners with as much inside each has before any has another", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := limit.NewGate(limit.GateConfig{Capacity: 1, Waiting: 100, Wait: time.Minute})
			first := enter(t, g, limit.Request{Owner: "org_0", Weight: 1})
			var entered []string // by whoever is inside
			var all sync.WaitGroup
			waits := func(name string) {
				all.Go(func() {
					p, err := g.Enter(t.Context(), limit.Request{Owner: name, Weight: 1})
					if err != nil {
						t.Error(err)
					}
					entered = append(entered, name)
					p.Leave()
				})
				synctest.Wait()
			}
			var want []string
			for range 3 {
				for owner := range 20 {
					name := "org_" + strconv.Itoa(owner)
					waits(name)
					want = append(want, name)
				}
			}
			waits("org_late")
			want = slices.Insert(want, 20, "org_late")
			first.Leave()
			all.Wait()
			if !slices.Equal(entered, want) {
				t.Errorf("they entered in the order %v, want %v", entered, want)
			}
		})
	})
	t.Run("as long as it may, and of one owner as many as may", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := limit.NewGate(limit.GateConfig{Capacity: 1, Waiting: 4, Wait: time.Second})
			enter(t, g, limit.Request{Owner: "org_a", Weight: 1})
			began := time.Now()
			var all sync.WaitGroup
			for range 2 {
				all.Go(func() {
					_, err := g.Enter(t.Context(), limit.Request{Owner: "org_a", Weight: 1})
					if !errors.Is(err, limit.ErrShare) || time.Since(began) != time.Second {
						t.Errorf("after %v: %v", time.Since(began), err)
					}
				})
			}
			synctest.Wait()
			if _, err := g.Enter(t.Context(), limit.Request{Owner: "org_a", Weight: 1}); !errors.Is(err, limit.ErrShare) || time.Since(began) != 0 {
				t.Errorf("a third one waits, and then: %v", err)
			}
			all.Go(func() {
				if _, err := g.Enter(t.Context(), limit.Request{Owner: "org_b", Weight: 1}); !errors.Is(err, limit.ErrBusy) {
					t.Error(err)
				}
			})
			all.Wait()
			if got := g.Stats("g"); got.Waiting != 0 || got.Refused != 4 {
				t.Errorf("%+v", got)
			}
		})
	})
	t.Run("for the reserve, when what is urgent fills it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := limit.NewGate(limit.GateConfig{Capacity: 1, Reserved: 1, Waiting: 4, Wait: time.Minute})
			enter(t, g, limit.Request{Owner: "org_a", Weight: 1})
			urgent := enter(t, g, limit.Request{Owner: "org_b", Weight: 1, Urgent: true})
			var all sync.WaitGroup
			for range 2 {
				all.Go(func() {
					p, err := g.Enter(t.Context(), limit.Request{Owner: "org_c", Weight: 1, Urgent: true})
					if err != nil {
						t.Error(err)
					}
					p.Leave()
				})
			}
			synctest.Wait()
			urgent.Leave()
			all.Wait()
			if got := g.Stats("g"); got.Waiting != 0 || got.InUse != 1 || got.Refused != 0 {
				t.Errorf("%+v", got)
			}
		})
	})
	t.Run("whoever else asks for what is urgent without end", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			const takes = 5 * time.Millisecond
			g := limit.NewGate(limit.GateConfig{Capacity: 8, OwnerShare: 2, Reserved: 2, Waiting: 80, Wait: time.Second})
			ctx, stop := context.WithCancel(t.Context())
			var all sync.WaitGroup
			for range 200 {
				all.Go(func() {
					for ctx.Err() == nil {
						p, err := g.Enter(ctx, limit.Request{Owner: "org_many", Weight: 1, Urgent: true})
						time.Sleep(takes)
						if err == nil {
							p.Leave()
						}
					}
				})
			}
			for _, others := range []string{"org_b", "org_c", "org_d"} { // which fill the rest
				for range 2 {
					enter(t, g, limit.Request{Owner: others, Weight: 1})
				}
			}
			for range 50 {
				time.Sleep(takes + time.Microsecond)
				began := time.Now()
				p, err := g.Enter(t.Context(), limit.Request{Owner: "org_a", Weight: 1, Urgent: true})
				if took := time.Since(began); err != nil || took > takes {
					t.Errorf("what is urgent of another waited %v (%v)", took, err)
				}
				p.Leave()
			}
			stop()
			all.Wait()
			if got := g.Stats("g"); got.Waiting != 0 || got.InUse != 6 {
				t.Errorf("at the end: %+v", got)
			}
		})
	})
	t.Run("with what is urgent of others, though one owner and what is not urgent fill all places to wait", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := limit.NewGate(limit.GateConfig{Capacity: 1, Reserved: 1, Waiting: 4, Wait: time.Minute})
			enter(t, g, limit.Request{Owner: "org_a", Weight: 1})
			urgent := enter(t, g, limit.Request{Owner: "org_b", Weight: 1, Urgent: true})
			ctx, stop := context.WithCancel(t.Context())
			var all sync.WaitGroup
			for i := range 8 {
				for _, isUrgent := range []bool{false, true} {
					all.Go(func() {
						owner := "org_many"
						if !isUrgent {
							owner += strconv.Itoa(i % 2)
						}
						if p, err := g.Enter(ctx, limit.Request{Owner: owner, Weight: 1, Urgent: isUrgent}); err == nil {
							defer p.Leave()
						}
					})
				}
			}
			synctest.Wait()
			all.Go(func() {
				p, err := g.Enter(t.Context(), limit.Request{Owner: "org_c", Weight: 1, Urgent: true})
				if err != nil {
					t.Errorf("what is urgent of another is refused: %v", err)
				}
				p.Leave()
			})
			synctest.Wait()
			urgent.Leave()
			synctest.Wait()
			stop()
			all.Wait()
		})
	})
	t.Run("until its context ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := limit.NewGate(limit.GateConfig{Capacity: 1, Waiting: 4, Wait: time.Minute})
			p := enter(t, g, limit.Request{Owner: "org_a", Weight: 1})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := g.Enter(ctx, limit.Request{Owner: "org_b", Weight: 1}); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			p.Leave()
			enter(t, g, limit.Request{Owner: "org_b", Weight: 1})
		})
	})
}

func TestGateNeverHoldsMoreThanItMay(t *testing.T) {
	t.Parallel()
	const capacity = 5
	g := limit.NewGate(limit.GateConfig{Capacity: capacity, Waiting: 20, Wait: time.Millisecond})
	var inside atomic.Int64
	var byOwner [4]atomic.Int64
	var all sync.WaitGroup
	for worker := range 16 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(worker)))
			for range 500 {
				owner, weight := random.IntN(len(byOwner)), random.Int64N(2)+1
				p, err := g.Enter(t.Context(), limit.Request{Owner: "org_" + strconv.Itoa(owner), Weight: weight})
				if err != nil {
					continue
				}
				if all, own := inside.Add(weight), byOwner[owner].Add(weight); all > capacity || own > (capacity+1)/2 {
					t.Errorf("%d are inside, %d of one owner", all, own)
				}
				inside.Add(-weight)
				byOwner[owner].Add(-weight)
				p.Leave()
			}
		})
	}
	all.Wait()
	if got := g.Stats("g"); got.InUse != 0 || got.Waiting != 0 {
		t.Errorf("at the end: %+v", got)
	}
}
