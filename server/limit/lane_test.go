package limit_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"lastseen/server/limit"
)

func TestLane(t *testing.T) {
	t.Parallel()
	t.Run("does as much at a time as it has threads", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			lane := limit.NewLane(2)
			defer lane.Stop()
			goOn := make(chan struct{})
			var at, done atomic.Int32
			var all sync.WaitGroup
			for range 5 {
				all.Go(func() {
					lane.Do(limit.NewWork(func() {
						at.Add(1)
						<-goOn
						at.Add(-1)
						done.Add(1)
					}))
				})
			}
			synctest.Wait()
			if n := at.Load(); n != 2 {
				t.Errorf("it is at %d pieces of work, want 2", n)
			}
			close(goOn)
			all.Wait()
			if n := done.Load(); n != 5 {
				t.Errorf("it has done %d pieces of work, want 5", n)
			}
		})
	})
	t.Run("has who asked for work panic as the work does, and goes on", func(t *testing.T) {
		lane := limit.NewLane(1)
		defer lane.Stop()
		func() {
			defer func() {
				if fault := recover(); fault != "a fault" {
					t.Errorf("who asked got %v", fault)
				}
			}()
			lane.Do(limit.NewWork(func() { panic("a fault") }))
		}()
		ran := false
		lane.Do(limit.NewWork(func() { ran = true }))
		if !ran {
			t.Error("it does nothing after a fault")
		}
	})
	t.Run("ends when the work that it is at has, and then has work done by who asks", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			lane := limit.NewLane(1)
			goOn, stopped := make(chan struct{}), make(chan struct{})
			done := 0
			work := limit.NewWork(func() { <-goOn; done++ })
			var all sync.WaitGroup
			all.Go(func() { lane.Do(work) })
			synctest.Wait()
			all.Go(func() { lane.Stop(); close(stopped) })
			synctest.Wait()
			select {
			case <-stopped:
				t.Error("it has ended during work")
			default:
			}
			close(goOn)
			all.Wait()
			lane.Do(work)
			lane.Stop()
			if done != 2 {
				t.Errorf("work was done %d times, want 2", done)
			}
		})
	})
	t.Run("begins no thread for nothing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { limit.NewLane(4).Stop() })
	})
}
