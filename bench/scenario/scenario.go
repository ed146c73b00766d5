// Package scenario holds what the load suite measures: one type a scenario, one file a type. What they share
// is the Stage: settings, the rig that starts services, and the service with the data set that most of them
// measure. A scenario runs its lanes in turn, round by round (lanes.go), and tells its outcome.
package scenario

import (
	"context"

	"lastseen/bench/record"
)

// Runner measures one thing, once. An error that matches loadgen.ErrWrongAnswer means that the service said
// something false; a target that was missed is no error.
type Runner interface {
	Run(ctx context.Context) error
}

// Beside is a Runner on a server that judges itself beside the same scenario's on the embedded engine, when
// both have run in turn.
type Beside interface {
	JudgeBeside(embedded Runner)
}

// Scenario is one thing to measure.
type Scenario struct {
	// Name is what it is called on the command line, and Summary one clause that says what it is.
	Name, Summary string
	// Usual scenarios run when none is named.
	Usual bool
	// On makes a runner that measures on a stage and adds to an outcome.
	On func(*Stage, *record.Outcome) Runner
}

// All are all there are, in the order in which they run and are shown.
var All = []Scenario{
	{"last-seen", "the newest point of a session, polled: throughput and latency beside what else one would use", true,
		func(s *Stage, o *record.Outcome) Runner { return &lastSeen{Stage: s, o: o} }},
	{"last-seen-304", "the same with If-None-Match, when nothing has changed", true,
		func(s *Stage, o *record.Outcome) Runner { return &lastSeen304{s, o} }},
	{"batch", "the newest points of up to 1,000 sessions in one request", true,
		func(s *Stage, o *record.Outcome) Runner { return &batch{s, o} }},
	{"mixed", "polls while points are written and keys are revoked", true,
		func(s *Stage, o *record.Outcome) Runner { return &mixed{Stage: s, o: o} }},
	{"long-poll", "requests that wait for a session's next point", true,
		func(s *Stage, o *record.Outcome) Runner { return &longPoll{s, o} }},
	{"changes", "events about whole organisations while points arrive, and polls beside them", true,
		func(s *Stage, o *record.Outcome) Runner { return &changes{Stage: s, o: o} }},
	{"revocation", "how soon a revoked key is refused", true,
		func(s *Stage, o *record.Outcome) Runner { return &revocation{s, o} }},
	{"ingest", "points from the socket to the disk", true,
		func(s *Stage, o *record.Outcome) Runner { return &ingest{Stage: s, o: o} }},
	{"overload", "three times what the service can do", true,
		func(s *Stage, o *record.Outcome) Runner { return &overload{s, o} }},
	{"tenants", "what one organisation notices of another that does its worst", true,
		func(s *Stage, o *record.Outcome) Runner { return &tenants{s, o} }},
	{"cold-start", "a start under full polling load", true,
		func(s *Stage, o *record.Outcome) Runner { return &coldStart{s, o} }},
	{"history", "whole histories and the last hour, streamed", true,
		func(s *Stage, o *record.Outcome) Runner { return &history{Stage: s, o: o} }},
	{"feed", "a day of all sessions' points by arrival, in pages", true,
		func(s *Stage, o *record.Outcome) Runner { return &feed{Stage: s, o: o} }},
	{"bulk", "polls while others pull whole histories", true,
		func(s *Stage, o *record.Outcome) Runner { return &bulk{Stage: s, o: o} }},
	{"sessions", "lists of sessions and single ones, beside PostgreSQL", true,
		func(s *Stage, o *record.Outcome) Runner {
			return &lists{Stage: s, o: o, questions: listQuestions, one: true}
		}},
	{"typeahead", "suggestions while somebody types, beside PostgreSQL", true,
		func(s *Stage, o *record.Outcome) Runner {
			return &lists{Stage: s, o: o, questions: typeaheadQuestions}
		}},
	{"size", "bytes a point on the disk, beside PostgreSQL", true,
		func(s *Stage, o *record.Outcome) Runner { return &size{Stage: s, o: o} }},
	{"nodes", "three nodes beside one that is alone, and what clients notice when something fails", true,
		func(s *Stage, o *record.Outcome) Runner { return &nodes{Stage: s, o: o} }},
	{"soak", "polls and writes for a long time", false,
		func(s *Stage, o *record.Outcome) Runner { return &soak{s, o} }},
}

// Names lists every scenario.
func Names() (names []string) {
	for _, sc := range All {
		names = append(names, sc.Name)
	}
	return names
}

// UsualNames lists the scenarios that run when none is named.
func UsualNames() (names []string) {
	for _, sc := range All {
		if sc.Usual {
			names = append(names, sc.Name)
		}
	}
	return names
}
