// Package sizing measures a deployment that somebody else runs, by its address and some API keys, and says
// how to size it. It only reads.
package sizing

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"lastseen/bench/loadgen"
	"lastseen/bench/record"
	"lastseen/bench/rig"
	"lastseen/bench/traffic"
)

const (
	sessionsPage    = 1000
	bisections      = 5
	roomAtPeak      = 0.7 // of what was measured: what to plan with
	manyConnections = 4   // times as many, to see whether connections are what is short
)

// Options say what to measure.
type Options struct {
	// Target is the deployment's address, such as https://host, and Keys are API keys of it.
	Target string
	Keys   []string
	// P99 is the latency that the advice keeps to.
	P99 time.Duration
	// Sessions is the most sessions that are asked for, Zipf the exponent of their popularity, and Seed makes
	// the requests reproducible.
	Sessions int
	Zipf     float64
	Seed     uint64
	// Loads makes the loads; its Draws are set here.
	Loads *rig.Loads
	// Say reports progress.
	Say func(format string, args ...any)
}

// Deployment is what is measured. One goroutine uses it.
type Deployment struct {
	Options
	on *rig.Service
}

// Find finds out which sessions the keys may see.
func Find(ctx context.Context, options Options) (*Deployment, error) {
	d := &Deployment{Options: options}
	address, err := url.Parse(d.Target)
	if err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https" {
		return nil, fmt.Errorf("the target %q must be an address such as https://host or http://host:8080", d.Target)
	}
	if len(d.Keys) == 0 {
		return nil, errors.New("a target needs at least one API key: set LASTSEEN_KEY, or name a file with one key a line by --keys-file")
	}
	on := &rig.Service{
		Name: "target", Label: address.Host, Host: address.Host, Prefix: strings.TrimSuffix(address.Path, "/"),
		Target: loadgen.Target{Address: address.Host, Codec: loadgen.HTTP{}}, API: rig.NewAPI(strings.TrimSuffix(d.Target, "/")),
	}
	if address.Scheme == "https" {
		on.Target.TLS = &tls.Config{ServerName: address.Hostname(), MinVersion: tls.VersionTLS12}
	}
	if address.Port() == "" {
		on.Target.Address = net.JoinHostPort(address.Hostname(), map[string]string{"http": "80", "https": "443"}[address.Scheme])
	}
	d.on = on
	if err := d.listSessions(ctx); err != nil {
		return nil, err
	}
	polls := traffic.NewPolls(on.Catalogue, on.Host, on.Prefix)
	polls.Refusals = true
	on.Polls = polls.Start
	d.Loads.Draws, err = traffic.Zipf(on.Catalogue.Sessions(), d.Zipf, d.Seed)
	return d, err
}

// listSessions fills the catalogue with what every key may see; each key counts as an organisation
// of its own.
func (d *Deployment) listSessions(ctx context.Context) error {
	lists := make([][]string, len(d.Keys))
	total := 0
	for i, key := range d.Keys {
		for page := 1; len(lists[i]) < d.Sessions; page++ {
			var answer struct {
				Items []struct {
					ID string `json:"_id"`
				} `json:"items"`
			}
			query := url.Values{"page": {fmt.Sprint(page)}, "page_size": {fmt.Sprint(sessionsPage)}, "filter_has_last_seen": {"true"}}
			if err := d.on.API.Call(ctx, "GET", "/tracking/sessions/list/v1", query, key, nil, &answer); err != nil {
				return fmt.Errorf("list the sessions that a key may see: %w", err)
			}
			for _, item := range answer.Items {
				if len(item.ID) == traffic.IDDigits {
					lists[i] = append(lists[i], item.ID)
				}
			}
			if len(answer.Items) < sessionsPage {
				break
			}
		}
		total += len(lists[i])
	}
	if total == 0 {
		return errors.New("the keys see no session with a point: write some, or give other keys")
	}
	d.on.Catalogue = traffic.EmptyCatalogue(total, len(lists))
	for organisation, ids := range lists {
		d.on.Catalogue.Keys[organisation] = []string{d.Keys[organisation]}
		for _, id := range ids {
			d.on.Catalogue.Add([]byte(id), organisation)
		}
	}
	return nil
}

// Summary says in a clause what is measured.
func (d *Deployment) Summary() string { return "what " + d.on.Host + " can do" }

// Measure finds the most that the deployment can do, and the highest rate at which it refuses nothing and its p99 stays
// within the limit.
func (d *Deployment) Measure(ctx context.Context, o *record.Outcome) error {
	o.Describe(fmt.Sprintf("%d connections, %d keys, %s sessions, Zipf exponent %v", d.Loads.Connections, len(d.Keys), record.Thousands(float64(d.on.Catalogue.Sessions())), d.Zipf))
	single := d.Loads.Polls(d.on)
	single.Connections, single.Workers = 1, 1
	alone, err := single.Run(ctx)
	if err != nil {
		return err
	}
	if alone.Served == 0 {
		return errors.New("every poll over a single connection was refused (429 or 503): the deployment is overloaded, or limits the rate of these keys; try again when it is quiet")
	}
	most, err := d.Loads.Polls(d.on).Run(ctx)
	if err != nil {
		return err
	}
	wide := d.Loads.Polls(d.on)
	wide.Connections *= manyConnections
	wider, err := wide.Run(ctx)
	if err != nil {
		return err
	}
	good, atGood, err := d.highestRate(ctx, most.Throughput())
	if err != nil {
		return err
	}
	rows := [][]string{
		targetRow("1 connection, closed loop", alone),
		targetRow(fmt.Sprintf("%d connections, closed loop", d.Loads.Connections), most),
		targetRow(fmt.Sprintf("%d connections, closed loop", wide.Connections), wider),
	}
	if atGood != nil {
		rows = append(rows, targetRow(fmt.Sprintf("open loop at %s requests/s", record.Thousands(good)), atGood))
	}
	o.Add(record.Table{Title: "What it can do", Header: []string{"", "requests/s", "p50", "p99", "p99.9", "refused"}, Rows: rows})
	o.Figure("requests_per_second_at_p99", good)
	o.Figure("most_requests_per_second", most.Throughput())
	d.advise(o, alone, most, wider, good)
	return nil
}

// latency is a quantile (percent) of the latency, nanoseconds.
func latency(percent float64, m *loadgen.Measurement) float64 {
	return float64(m.Latency.ValueAtQuantile(percent))
}

func targetRow(label string, m *loadgen.Measurement) []string {
	return []string{label, record.Thousands(m.Throughput()), record.Span(latency(50, m)), record.Span(latency(99, m)), record.Span(latency(99.9, m)), record.Thousands(float64(m.Refused))}
}

// highestRate searches for the highest rate at which none is refused and p99 stays within the limit, 0 when none does.
func (d *Deployment) highestRate(ctx context.Context, most float64) (good float64, at *loadgen.Measurement, err error) {
	low, high := 0.0, most
	for range bisections {
		load := d.Loads.Polls(d.on)
		load.Rate = (low + high) / 2
		m, err := load.Run(ctx)
		if err != nil {
			return 0, nil, err
		}
		d.Say("%9.0f requests/s: p99 %s, %d refused", load.Rate, record.Span(latency(99, m)), m.Refused)
		if m.Refused == 0 && loadgen.Quantile(m.Latency, 99) <= d.P99 {
			low, good, at = load.Rate, load.Rate, m
		} else {
			high = load.Rate
		}
	}
	return good, at, nil
}

// advise says what the figures mean for the size of a machine.
func (d *Deployment) advise(o *record.Outcome, alone, most, wider *loadgen.Measurement, good float64) {
	if good == 0 {
		o.Note(fmt.Sprintf("No rate keeps p99 within %v. One connection alone has a p50 of %s: the network and the machine's idle latency are in that; measure from nearer, or allow for more.", d.P99, record.Span(latency(50, alone))))
	} else {
		o.Note(fmt.Sprintf("%s requests/s at a p99 of at most %v. Plan with %s, so that a burst and a restart fit.", record.Thousands(good), d.P99, record.Thousands(roomAtPeak*good)))
	}
	switch {
	case most.ClientLimited():
		o.Note("This client is the limit, not the service: raise --workers, or run the suite on a larger machine or on several.")
	case wider.Throughput() > 1.2*most.Throughput():
		o.Note("More connections bring more: the round trip is the limit, not the service. Raise --connections, and let the integrations keep their connections alive.")
	default:
		o.Note("More connections bring no more: the service's processors, or the proxy before it, are busy. Polls scale with the processors of one node; for more, give it more of them, or run several nodes behind a balancer. Polls with If-None-Match send less.")
	}
	if wider.Refused > 0 {
		o.Note("With that many connections some polls were refused (429 or 503): more asked at once than the service lets in. Poll over fewer connections, or see --poll-wait, --max-connections and --request-rate of the service.")
	}
	if tail := latency(99.9, most) / max(latency(50, most), 1); tail > 50 {
		o.Note(fmt.Sprintf("p99.9 is %.0f times p50: something else runs on the machine, or on the way. Look for other processes, small instance types that are throttled, and bulk pulls of histories at the same time.", tail))
	}
	if idle := time.Duration(latency(50, alone)); idle > d.P99/2 {
		o.Note(fmt.Sprintf("An unloaded request already takes %v, half of the limit or more: nearly all of it is the way there and back.", idle.Round(time.Microsecond)))
	}
}
