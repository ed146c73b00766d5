package server

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp/fasthttputil"

	"lastseen/schema"
)

// BenchmarkLongPolls keeps 50,000 polls waiting over connections in memory, since few machines let a process
// open so many files, and times a point until the 100 that wait for its session, and no others, are answered.
func BenchmarkLongPolls(b *testing.B) {
	const sessions, each = 500, 100
	s := start(b, func(with *setup) { with.config.AccessLog = LogErrors })
	key, _ := s.key("org_a", schema.KindAPIKey)
	listener := fasthttputil.NewInmemoryListener()
	config := s.Server.config
	config.MaxConnections, config.LongPolls = sessions*each, sessions*each
	waiting := New(config, s.Server.services)
	var serving, clients sync.WaitGroup
	serving.Go(func() {
		if err := waiting.Serve(listener); err != nil {
			b.Error(err)
		}
	})
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := waiting.Shutdown(ctx); err != nil {
			b.Error(err)
		}
		serving.Wait()
		clients.Wait()
	})
	ids, answers := make([]string, sessions), make([]atomic.Int64, sessions)
	for i := range ids {
		ids[i] = s.session("org_a", fmt.Sprintf("00:00:00:01:%02x:%02x", i>>8, i&255))
		s.ingest("org_a", point(ids[i], 0))
	}
	before := heap()
	for i, id := range ids {
		tag := s.get(pathLastSeen+"?session_id="+id, key, 200).Header.Get("ETag")
		for range each {
			conn, err := listener.Dial()
			if err != nil {
				b.Fatal(err)
			}
			clients.Go(func() { pollOn(b, conn, id, key, tag, &answers[i]) })
		}
	}
	inUse := func() int { return waiting.waiting.Stats("").InUse }
	await(func() bool { return inUse() == sessions*each })
	memory := float64(heap()-before) / (sessions * each)
	var waking time.Duration
	b.ResetTimer()
	b.ReportMetric(memory, "B/poll") // the clients' and the connections' memory included
	for n := range b.N {
		i := n % sessions
		want := answers[i].Load() + each
		s.ingest("org_a", point(ids[i], 1+n/sessions))
		acknowledged := time.Now()
		await(func() bool { return answers[i].Load() >= want })
		waking += time.Since(acknowledged)
		await(func() bool { return inUse() == sessions*each })
	}
	b.StopTimer()
	b.ReportMetric(float64(waking.Microseconds())/float64(b.N), "µs-to-wake-100")
	var all int64
	for i := range answers {
		all += answers[i].Load()
	}
	if all != int64(b.N)*each {
		b.Errorf("%d polls were answered, want %d for each of %d points", all, each, b.N)
	}
}

// pollOn polls on a connection until the service ends it, each time for something newer.
func pollOn(b *testing.B, conn net.Conn, id, key, tag string, answers *atomic.Int64) {
	defer conn.Close()
	reader := bufio.NewReaderSize(conn, 1<<10)
	for {
		if _, err := fmt.Fprintf(conn, "GET %s?session_id=%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nIf-None-Match: %s\r\nPrefer: wait=300\r\n\r\n",
			pathLastSeen, id, key, tag); err != nil {
			return
		}
		answer, err := http.ReadResponse(reader, nil)
		if err != nil {
			return
		}
		if _, err := reader.Discard(int(answer.ContentLength)); err != nil || answer.StatusCode != http.StatusOK {
			return
		}
		tag = answer.Header.Get("ETag")
		answers.Add(1)
	}
}

// await looks again and again without taking a processor.
func await(happened func() bool) {
	for !happened() {
		time.Sleep(100 * time.Microsecond)
	}
}

// heap returns what is in use after a collection, stacks included.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
