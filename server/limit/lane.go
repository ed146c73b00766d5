package limit

import (
	"runtime"
	"sync"
)

// Lane does heavy work of requests, that of large batches, on threads of its own, which every other thread may interrupt. While work takes
// the thread that its connection happens to be on, whoever else becomes ready there waits for the kernel's next look at what runs, up to
// 4 ms. The threads begin with the first work. A Lane is safe for concurrent use.
type Lane struct {
	threads int
	queue   chan *Work
	over    chan struct{}
	begin   sync.Once
	end     sync.Once
	running sync.WaitGroup
}

// NewLane returns a lane of so many threads. Who has it ends it by Stop.
func NewLane(threads int) *Lane {
	return &Lane{threads: threads, queue: make(chan *Work), over: make(chan struct{})}
}

// Work is a piece of work that is done again and again, one time after the other.
type Work struct {
	run  func()
	done chan any // nil, or why run panicked
}

// NewWork returns work that run does.
func NewWork(run func()) *Work { return &Work{run: run, done: make(chan any, 1)} }

// Do does the work on a thread of the lane, as soon as one is free, and waits for its end; first come, first served. It panics as the work does.
// After Stop the work is done where it is asked for.
func (l *Lane) Do(w *Work) {
	l.begin.Do(func() {
		for range l.threads {
			l.running.Go(l.thread)
		}
	})
	select {
	case l.queue <- w:
		if fault := <-w.done; fault != nil {
			panic(fault)
		}
	case <-l.over:
		w.run()
	}
}

// Stop ends the threads and waits for the work that they are at.
func (l *Lane) Stop() {
	l.begin.Do(func() {}) // none begins from now on
	l.end.Do(func() { close(l.over) })
	l.running.Wait()
}

func (l *Lane) thread() {
	runtime.LockOSThread() // for good: the thread, which nobody else should get, ends with the goroutine
	interruptible()
	for {
		select {
		case w := <-l.queue:
			w.done <- w.try()
		case <-l.over:
			return
		}
	}
}

// try does the work and returns why it panicked.
func (w *Work) try() (fault any) {
	defer func() { fault = recover() }()
	w.run()
	return nil
}
