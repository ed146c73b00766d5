package bench

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
)

const (
	sessionsPage    = 1000
	bisections      = 5
	roomAtPeak      = 0.7 // of what was measured: what to plan with
	manyConnections = 4   // times as many, to see whether connections are what is short
)

// runTarget measures a deployment that somebody else runs, with the keys that it was given, and says
// how to size it.
func (s *suite) runTarget(ctx context.Context) error {
	on, err := s.deployment(ctx)
	if err != nil {
		return err
	}
	o := s.outcome(scenario{name: "target", summary: "what " + on.host + " can do"})
	o.Settings = append(o.Settings, fmt.Sprintf("%d connections, %d keys, %s sessions, Zipf exponent %v", s.config.Connections, len(s.config.Keys), thousands(float64(on.catalogue.sessions())), s.config.Zipf))
	if err := s.size(ctx, on, o); err != nil {
		return err
	}
	if err := s.report(o); err != nil {
		return err
	}
	if s.config.Record != "" {
		return recordIn(s.config.Record, []*Outcome{o})
	}
	return nil
}

// deployment finds out which sessions the keys may see.
func (s *suite) deployment(ctx context.Context) (*service, error) {
	address, err := url.Parse(s.config.Target)
	if err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https" {
		return nil, fmt.Errorf("the target %q must be an address such as https://host or http://host:8080", s.config.Target)
	}
	if len(s.config.Keys) == 0 {
		return nil, errors.New("a target needs at least one API key: set LASTSEEN_KEY, or name a file with one key a line by --keys-file")
	}
	on := &service{
		name: "target", label: address.Host, host: address.Host, prefix: strings.TrimSuffix(address.Path, "/"),
		target: loadgen.Target{Address: address.Host, Codec: loadgen.HTTP{}}, api: newAPI(strings.TrimSuffix(s.config.Target, "/")),
	}
	if address.Scheme == "https" {
		on.target.TLS = &tls.Config{ServerName: address.Hostname(), MinVersion: tls.VersionTLS12}
	}
	if address.Port() == "" {
		on.target.Address = net.JoinHostPort(address.Hostname(), map[string]string{"http": "80", "https": "443"}[address.Scheme])
	}
	if err := s.listSessions(ctx, on); err != nil {
		return nil, err
	}
	on.source = pollSource(on, poller{refusals: true})
	s.draws, err = zipf(on.catalogue.sessions(), s.config.Zipf, s.config.Seed)
	return on, err
}

// listSessions fills the catalogue with what every key may see; each key counts as an organisation
// of its own.
func (s *suite) listSessions(ctx context.Context, on *service) error {
	lists := make([][]string, len(s.config.Keys))
	total := 0
	for i, key := range s.config.Keys {
		for page := 1; len(lists[i]) < s.config.Sessions; page++ {
			var answer struct {
				Items []struct {
					ID string `json:"_id"`
				} `json:"items"`
			}
			query := url.Values{"page": {fmt.Sprint(page)}, "page_size": {fmt.Sprint(sessionsPage)}, "filter_has_last_seen": {"true"}}
			if err := on.api.call(ctx, "GET", "/tracking/sessions/list/v1", query, key, nil, &answer); err != nil {
				return fmt.Errorf("list the sessions that a key may see: %w", err)
			}
			for _, item := range answer.Items {
				if len(item.ID) == idDigits {
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
	on.catalogue = newCatalogue(total, len(lists))
	for organisation, ids := range lists {
		on.catalogue.keys[organisation] = []string{s.config.Keys[organisation]}
		for _, id := range ids {
			on.catalogue.add([]byte(id), organisation)
		}
	}
	return nil
}

// size finds the most that the deployment can do, and the highest rate at which it refuses nothing and its p99 stays
// within the limit.
func (s *suite) size(ctx context.Context, on *service, o *Outcome) error {
	single := s.load(on)
	single.Connections, single.Workers = 1, 1
	alone, err := single.Run(ctx)
	if err != nil {
		return err
	}
	if alone.Served == 0 {
		return errors.New("every poll over a single connection was refused (429 or 503): the deployment is overloaded, or limits the rate of these keys; try again when it is quiet")
	}
	most, err := s.load(on).Run(ctx)
	if err != nil {
		return err
	}
	wide := s.load(on)
	wide.Connections *= manyConnections
	wider, err := wide.Run(ctx)
	if err != nil {
		return err
	}
	good, atGood, err := s.highestRate(ctx, on, most.Throughput())
	if err != nil {
		return err
	}
	rows := [][]string{
		targetRow("1 connection, closed loop", alone),
		targetRow(fmt.Sprintf("%d connections, closed loop", s.config.Connections), most),
		targetRow(fmt.Sprintf("%d connections, closed loop", wide.Connections), wider),
	}
	if atGood != nil {
		rows = append(rows, targetRow(fmt.Sprintf("open loop at %s requests/s", thousands(good)), atGood))
	}
	o.Tables = append(o.Tables, Table{Title: "What it can do", Header: []string{"", "requests/s", "p50", "p99", "p99.9", "refused"}, Rows: rows})
	o.figure("requests_per_second_at_p99", good)
	o.figure("most_requests_per_second", most.Throughput())
	s.advise(o, alone, most, wider, good)
	return nil
}

func targetRow(label string, m *loadgen.Measurement) []string {
	return []string{label, thousands(m.Throughput()), span(latency(50)(m)), span(latency(99)(m)), span(latency(99.9)(m)), thousands(float64(m.Refused))}
}

// highestRate searches for the highest rate at which none is refused and p99 stays within the limit, 0 when none does.
func (s *suite) highestRate(ctx context.Context, on *service, most float64) (good float64, at *loadgen.Measurement, err error) {
	low, high := 0.0, most
	for range bisections {
		load := s.load(on)
		load.Rate = (low + high) / 2
		m, err := load.Run(ctx)
		if err != nil {
			return 0, nil, err
		}
		s.say("%9.0f requests/s: p99 %s, %d refused", load.Rate, span(latency(99)(m)), m.Refused)
		if m.Refused == 0 && loadgen.Quantile(m.Latency, 99) <= s.config.P99 {
			low, good, at = load.Rate, load.Rate, m
		} else {
			high = load.Rate
		}
	}
	return good, at, nil
}

// advise says what the figures mean for the size of a machine.
func (s *suite) advise(o *Outcome, alone, most, wider *loadgen.Measurement, good float64) {
	if good == 0 {
		o.note(fmt.Sprintf("No rate keeps p99 within %v. One connection alone has a p50 of %s: the network and the machine's idle latency are in that; measure from nearer, or allow for more.", s.config.P99, span(latency(50)(alone))))
	} else {
		o.note(fmt.Sprintf("%s requests/s at a p99 of at most %v. Plan with %s, so that a burst and a restart fit.", thousands(good), s.config.P99, thousands(roomAtPeak*good)))
	}
	switch {
	case most.ClientLimited():
		o.note("This client is the limit, not the service: raise --workers, or run the suite on a larger machine or on several.")
	case wider.Throughput() > 1.2*most.Throughput():
		o.note("More connections bring more: the round trip is the limit, not the service. Raise --connections, and let the integrations keep their connections alive.")
	default:
		o.note("More connections bring no more: the service's processors, or the proxy before it, are busy. Polls scale with the processors of one node; for more, give it more of them, or run several nodes behind a balancer. Polls with If-None-Match send less.")
	}
	if wider.Refused > 0 {
		o.note("With that many connections some polls were refused (429 or 503): more asked at once than the service lets in. Poll over fewer connections, or see --poll-wait, --max-connections and --request-rate of the service.")
	}
	if tail := latency(99.9)(most) / max(latency(50)(most), 1); tail > 50 {
		o.note(fmt.Sprintf("p99.9 is %.0f times p50: something else runs on the machine, or on the way. Look for other processes, small instance types that are throttled, and bulk pulls of histories at the same time.", tail))
	}
	if idle := time.Duration(latency(50)(alone)); idle > s.config.P99/2 {
		o.note(fmt.Sprintf("An unloaded request already takes %v, half of the limit or more: nearly all of it is the way there and back.", idle.Round(time.Microsecond)))
	}
}
