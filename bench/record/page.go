package record

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

const pageStart = `# Benchmarks

Written by the load suite; do not edit by hand. ` + "`make bench`" + ` runs it, ` + "`make bench-record`" + ` runs it and writes this page.
How it measures: see [load-suite.md](load-suite.md). Every answer was checked while it was measured: status, session,
organisation, and that no answer was older than what had been acknowledged before its request was sent. One wrong
answer fails the run. The first column of what was found is the embedded engine's, the second one that of the same service on a
ClickHouse server of the same version, a process of its own on the same machine.

`

// writePage writes the record as Markdown. The outcomes of a scenario follow each other.
func writePage(w io.Writer, all []*Outcome, plotted bool) {
	io.WriteString(w, pageStart)
	writeVerdicts(w, all)
	if plotted {
		io.WriteString(w, "\n![Latency against load](benchmarks.svg)\n")
	}
	for i, o := range all {
		if i == 0 || all[i-1].Scenario != o.Scenario {
			fmt.Fprintf(w, "\n## %s\n\n%s.\n", o.Scenario, capitalised(o.Summary))
		}
		if o.OnServer() {
			fmt.Fprintf(w, "\n### %s on a ClickHouse server\n", o.Scenario)
		}
		writeOutcome(w, o)
	}
}

// writeOutcome writes one outcome's tables and how it was measured.
func writeOutcome(w io.Writer, o *Outcome) {
	for _, t := range o.Tables {
		writeTable(w, t)
	}
	if len(o.Notes) > 0 {
		io.WriteString(w, "\n")
		for _, note := range o.Notes {
			fmt.Fprintf(w, "- %s\n", note)
		}
	}
	fmt.Fprintf(w, "\n<details><summary>How it was measured</summary>\n\n")
	for _, setting := range o.Settings {
		fmt.Fprintf(w, "- %s\n", setting)
	}
	fmt.Fprintf(w, "- %s, commit %s\n- %s\n- %s\n- `%s`\n\n</details>\n",
		o.Date.Format("2 January 2006, 15:04 UTC"), o.Commit, o.Machine, strings.Join(o.Versions, "; "), o.Command)
}

// line is one target of a scenario, and what was found on either ClickHouse; nil where it was not measured.
type line struct {
	scenario, what   string
	embedded, server *Verdict
}

// lines joins the verdicts of the outcomes on either ClickHouse.
func lines(all []*Outcome) (joined []line) {
	for _, o := range all {
		for i := range o.Verdicts {
			v := &o.Verdicts[i]
			at := slices.IndexFunc(joined, func(l line) bool { return l.scenario == o.Scenario && l.what == v.What })
			if at < 0 {
				at = len(joined)
				joined = append(joined, line{scenario: o.Scenario, what: v.What})
			}
			if o.OnServer() {
				joined[at].server = v
			} else {
				joined[at].embedded = v
			}
		}
	}
	return joined
}

// target is what is promised, which may be less on a server.
func (l line) target() string {
	switch {
	case l.server == nil:
		return l.embedded.Target
	case l.embedded == nil:
		return l.server.Target
	case l.embedded.Target != l.server.Target:
		return l.embedded.Target + "; on a server " + l.server.Target
	}
	return l.embedded.Target
}

// cell is what was found, and whether it is what was promised.
func (v *Verdict) cell() string {
	switch {
	case v == nil:
		return ""
	case v.Met:
		return v.Found + ", met"
	}
	return v.Found + ", **missed**"
}

// writeVerdicts writes the targets of all scenarios in one table.
func writeVerdicts(w io.Writer, all []*Outcome) {
	io.WriteString(w, "| scenario | what | target | embedded engine | ClickHouse server |\n|---|---|---|---|---|\n")
	for _, l := range lines(all) {
		fmt.Fprintf(w, "| [%s](#%s) | %s | %s | %s | %s |\n", l.scenario, l.scenario, l.what, l.target(), l.embedded.cell(), l.server.cell())
	}
}

func writeTable(w io.Writer, t Table) {
	fmt.Fprintf(w, "\n%s:\n\n| %s |\n|---%s|\n", t.Title, strings.Join(t.Header, " | "), strings.Repeat("|---:", len(t.Header)-1))
	for _, row := range t.Rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
	}
}

func capitalised(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
