package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"lastseen/bench/baseline"
	"lastseen/bench/dataset"
	"lastseen/bench/record"
	"lastseen/bench/rig"
)

const (
	mostOfPostgres = 0.5 // latency of a request about sessions, of PostgreSQL's
	mostOfLastSeen = 1.5 // latency of get, of that of last_seen
)

// Of each question a round. Those that are answered soon are asked more often: five answers would tell how long the first takes, after
// another server had the processors' caches, as much as how long one takes.
const (
	leastCalls = 5
	mostCalls  = 100
	callsFor   = 50 * time.Millisecond // after which there are no more than the least
)

// question is what is asked about sessions.
type question struct {
	name string
	path string // with the query, but for whose sessions are meant
}

// lists measures lists of sessions, or typeahead, beside PostgreSQL with the indexes that one would make: for an
// organisation among others, and for one that has all sessions.
type lists struct {
	*Stage
	o         *record.Outcome
	questions func(*dataset.Spec) []question
	one       bool // get is measured beside last_seen
}

// Run implements Runner.
func (s *lists) Run(ctx context.Context) error {
	s.o.Describe(fmt.Sprintf("%s sessions, each with a reference and comments; one request at a time over one connection, %d rounds of %d of each kind, or up to %d within %d ms, in turn with PostgreSQL; medians",
		record.Thousands(float64(s.Sessions)), s.Rounds, leastCalls, mostCalls, callsFor.Milliseconds()),
		"PostgreSQL with indexes on (org, created_at), (org, last_seen_at), and pg_trgm on the address, the reference and the comments; it counts all that match, as lastseen does")
	for _, organisations := range []int{s.Organisations, 1} {
		if err := s.measure(ctx, organisations); err != nil {
			return err
		}
	}
	return nil
}

// measure measures with the sessions spread over so many organisations.
func (s *lists) measure(ctx context.Context, organisations int) (err error) {
	spec := s.spec
	spec.Described, spec.Organisations, spec.PointsPerSession, spec.Merged = true, organisations, 1, true
	name := fmt.Sprintf("sessions-%d", organisations)
	on, err := s.rig.StartLastseen(ctx, name, spec)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, on.Stop()) }()
	beside, absent, err := s.rig.StartBaseline(ctx, baseline.Postgres, spec, on)
	if err != nil {
		return err
	}
	if absent != "" {
		s.o.Note("Left out: PostgreSQL (" + absent + ").")
	} else {
		defer func() { err = errors.Join(err, beside.Stop()) }()
		addVersion(s.o, beside.Version)
	}
	questions := s.questions(&spec)
	if s.one {
		id := spec.SessionID(0).String()
		questions = append(questions, question{"last_seen", "/tracking/timeseries/session_by_device/last_seen/v1?session_id=" + id},
			question{"get", "/tracking/sessions/get/v1?session_id=" + id})
	}
	ours, theirs := make([][]float64, len(questions)), make([][]float64, len(questions))
	for range s.Rounds {
		if err := s.pause(); err != nil {
			return err
		}
		for i, q := range questions {
			if err := s.ask(ctx, on, q.path, &ours[i]); err != nil {
				return err
			}
			if beside != nil && !strings.Contains(q.path, "?session_id=") { // single ones are not compared with it
				if err := s.ask(ctx, beside, q.path+"&org="+spec.OrgID(0), &theirs[i]); err != nil {
					return err
				}
			}
		}
	}
	s.show(&spec, questions, ours, theirs)
	return nil
}

// ask asks a service some times and notes how long each answer took.
func (s *lists) ask(ctx context.Context, on *rig.Service, path string, took *[]float64) error {
	end := time.Now().Add(callsFor)
	for n := 0; n < leastCalls || n < mostCalls && time.Now().Before(end); n++ {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+on.Host+path, nil)
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+on.Catalogue.Keys[0][0])
		began := time.Now()
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return fmt.Errorf("ask %s: %w", on.Name, err)
		}
		text, err := io.ReadAll(response.Body)
		response.Body.Close() // it has been read
		*took = append(*took, float64(time.Since(began)))
		if err != nil || response.StatusCode != http.StatusOK || !json.Valid(text) {
			return fmt.Errorf("%s answered %s to %s: %.300s: %w", on.Name, response.Status, path, text, err)
		}
	}
	return nil
}

// show tabulates and judges what was measured.
func (s *lists) show(spec *dataset.Spec, questions []question, ours, theirs [][]float64) {
	of := record.Thousands(float64(spec.Sessions/spec.Organisations)) + " of " + record.Thousands(float64(spec.Sessions)) + " sessions"
	table := record.Table{Title: "A caller with " + of, Header: []string{"", "**lastseen**", "PostgreSQL", "of PostgreSQL's"}}
	worst, where, medians := 0.0, "", map[string]float64{}
	for i, q := range questions {
		medians[q.name] = median(ours[i])
		row := []string{q.name, record.Span(median(ours[i])), "", ""}
		figure := fmt.Sprintf("%d/%s/", spec.Organisations, q.name)
		s.o.Figure(figure+"lastseen_p50", median(ours[i]))
		if len(theirs[i]) > 0 {
			ratio := median(ours[i]) / median(theirs[i])
			row[2], row[3] = record.Span(median(theirs[i])), record.Times(ratio)
			s.o.Figure(figure+"postgres_p50", median(theirs[i]))
			if ratio > worst {
				worst, where = ratio, q.name
			}
		}
		table.Rows = append(table.Rows, row)
	}
	s.o.Add(table)
	if where != "" {
		s.o.Judge("latency beside PostgreSQL's, a caller with "+of, "at most "+record.Times(mostOfPostgres)+" ×, each",
			record.Times(worst)+" × at most ("+where+")", worst <= mostOfPostgres)
	}
	if s.one {
		slower := medians["get"] / medians["last_seen"]
		s.o.Judge("latency of get beside last_seen's, a caller with "+of, "at most "+record.Times(mostOfLastSeen)+" ×", record.Times(slower)+" ×", slower <= mostOfLastSeen)
	}
}

// listQuestions ask for lists in every sort, deep pages, with filters and searches.
func listQuestions(spec *dataset.Spec) (all []question) {
	list := func(name string, query url.Values) {
		query.Set("page_size", "50")
		all = append(all, question{name, baseline.PathList + "?" + query.Encode()})
	}
	deep := fmt.Sprint(max(1, min(1000, spec.Sessions/spec.Organisations/50)))
	for _, sort := range []string{"created_at", "last_seen_at", "termination_scheduled_for", "terminated_at"} {
		for _, order := range []string{"desc", "asc"} {
			list("by "+sort+", "+order, url.Values{"sort_by": {sort + "_timestamp"}, "sort_order": {order}})
		}
	}
	list("page "+deep, url.Values{"page": {deep}})
	list("page "+deep+" by last_seen_at", url.Values{"page": {deep}, "sort_by": {"last_seen_at_timestamp"}})
	some := spec.Organisations * (spec.Sessions / spec.Organisations / 2) // of the first organisation
	for _, filter := range [][2]string{
		{"terminated", "true"}, {"public", "true"}, {"has_last_seen", "true"}, {"off_chrt_reference_id", spec.Reference(some)},
		{"device_id", spec.DeviceID(some).String()}, {"created_at_timestamp_gte", spec.Session(some).CreatedAt.Format(time.RFC3339)},
		{"last_seen_at_timestamp_gte", time.UnixMilli(spec.NewestTimestamp(500)).UTC().Format(time.RFC3339)},
	} {
		list("filter "+filter[0], url.Values{"filter_" + filter[0]: {filter[1]}})
	}
	for _, text := range []string{"load", "zürich", "call 0042", spec.Reference(some), spec.MAC(some), "no such text"} {
		list("search "+text, url.Values{"search": {text}})
	}
	return all
}

// typeaheadQuestions ask for suggestions while somebody types a reference, an address, and what is not there.
func typeaheadQuestions(spec *dataset.Spec) (all []question) {
	some := spec.Organisations * (spec.Sessions / spec.Organisations / 2)
	reference, mac := spec.Reference(some), spec.MAC(some)
	for _, text := range []string{reference[:1], reference[:3], reference[:8], reference, reference[9:], mac[:5], mac[9:], mac, "zz", "no such text"} {
		all = append(all, question{fmt.Sprintf("%q", text), baseline.PathTypeahead + "?" + url.Values{"query": {text}, "limit": {"10"}}.Encode()})
	}
	return all
}
