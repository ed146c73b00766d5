package loadgen

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// timelineStep is the length of one window of a timeline.
const timelineStep = 100 * time.Millisecond

// highest is the longest time that a histogram tells apart; anything longer counts as this.
const highest = 10 * time.Minute

// Window is what completed in one tenth of a second of a run.
type Window struct {
	Served, Refused int64
	Slowest         time.Duration // the longest latency of a served request
}

// recorder is one worker's record. One goroutine uses it.
type recorder struct {
	from, to                   time.Duration // what completes outside is not recorded
	latency, service, lateness *hdrhistogram.Histogram
	refusal                    *hdrhistogram.Histogram
	served, refused, failed    int64
	unsent                     int64
	statuses                   map[int]int64
	timeline                   []Window // covers the warm-up, too
}

// newHistogram counts nanoseconds to three significant digits.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(100, int64(highest), 3)
}

func newRecorder(from, to time.Duration) *recorder {
	return &recorder{
		from: from, to: to,
		latency: newHistogram(), service: newHistogram(), lateness: newHistogram(), refusal: newHistogram(),
		statuses: make(map[int]int64),
		timeline: make([]Window, to/timelineStep+1),
	}
}

func record(h *hdrhistogram.Histogram, d time.Duration) {
	// The value is in range by the min, which is the only error there is.
	_ = h.RecordValue(int64(min(max(d, 0), highest)))
}

// answered notes an answer that came at now.
func (r *recorder) answered(x *Exchange, outcome Outcome, status int, now time.Duration) {
	latency := now - x.due
	if i := int(now / timelineStep); i < len(r.timeline) {
		w := &r.timeline[i]
		if outcome == Served {
			w.Served++
			w.Slowest = max(w.Slowest, latency)
		} else {
			w.Refused++
		}
	}
	if now < r.from || now >= r.to {
		return
	}
	r.statuses[status]++
	if outcome == Refused {
		r.refused++
		record(r.refusal, now-x.sent)
		return
	}
	r.served++
	record(r.latency, latency)
	record(r.service, now-x.sent)
}

// Measurement is the record of one run. The histograms count nanoseconds.
type Measurement struct {
	// Elapsed is the length of the measured part, without the warm-up.
	Elapsed time.Duration
	// Offered is the rate of the open loop, requests a second; 0 in a closed loop.
	Offered float64
	// Served counts the requests that were answered as they should, Refused those turned away by a
	// status that the Source allows for, Failed those whose connection broke or that timed out, and
	// Unsent the arrivals that a run with Shed found no free connection for.
	Served, Refused, Failed, Unsent int64
	// Statuses counts the answers by status.
	Statuses map[int]int64
	// Latency is from when a request was due to its answer, Service from when it was sent, Refusal
	// likewise for refused ones. Lateness is how long after it was due a request was sent although
	// a connection was free: the client's own fault.
	Latency, Service, Refusal, Lateness *hdrhistogram.Histogram
	// Timeline is what completed in each tenth of a second since the start, the warm-up included.
	Timeline []Window
	// ClientCPU and ServerCPU are the processor time that each side spent in the measured part;
	// ServerCPU is 0 where Run was given no meter.
	ClientCPU, ServerCPU time.Duration
	// Busiest is the highest share (0 to 1) of its time that a worker's thread spent on a processor.
	Busiest float64
	// FirstFailure is the first of the failures, nil when there were none.
	FirstFailure error
}

func newMeasurement(l *Load) *Measurement {
	return &Measurement{
		Elapsed: l.Duration, Offered: l.Rate, Statuses: make(map[int]int64),
		Latency: newHistogram(), Service: newHistogram(), Refusal: newHistogram(), Lateness: newHistogram(),
	}
}

// add joins one worker's record.
func (m *Measurement) add(r *recorder) {
	m.Served += r.served
	m.Refused += r.refused
	m.Failed += r.failed
	m.Unsent += r.unsent
	for status, n := range r.statuses {
		m.Statuses[status] += n
	}
	m.Latency.Merge(r.latency)
	m.Service.Merge(r.service)
	m.Refusal.Merge(r.refusal)
	m.Lateness.Merge(r.lateness)
	for i, w := range r.timeline {
		if i == len(m.Timeline) {
			m.Timeline = append(m.Timeline, Window{})
		}
		t := &m.Timeline[i]
		t.Served += w.Served
		t.Refused += w.Refused
		t.Slowest = max(t.Slowest, w.Slowest)
	}
}

// Throughput is the number of requests served a second.
func (m *Measurement) Throughput() float64 {
	return float64(m.Served) / m.Elapsed.Seconds()
}

// BusyWorker is the share of its time on a processor from which on a worker counts as the limit.
const BusyWorker = 0.9

// ClientLimited says that the client rather than the server held the run back: a worker had no
// time to spare, or requests left late although connections were free.
func (m *Measurement) ClientLimited() bool {
	return m.Busiest > BusyWorker || m.Offered > 0 && m.Lateness.ValueAtQuantile(99) > int64(time.Millisecond)
}

// Quantile returns a quantile (percent, 0 to 100) of a histogram as a duration.
func Quantile(h *hdrhistogram.Histogram, percent float64) time.Duration {
	return time.Duration(h.ValueAtQuantile(percent))
}
