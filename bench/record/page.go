package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Write brings the record in a directory up to date: benchmarks.json holds the newest outcome of every
// scenario, and benchmarks.md and benchmarks.svg are made from it. order is that of the scenarios' names.
func Write(dir string, outcomes []*Outcome, order []string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the directory of the record: %w", err)
	}
	all, err := readRecord(filepath.Join(dir, "benchmarks.json"))
	if err != nil {
		return err
	}
	for _, o := range outcomes {
		all = slices.DeleteFunc(all, func(old *Outcome) bool { return old.Scenario == o.Scenario })
		all = append(all, o)
	}
	slices.SortStableFunc(all, func(a, b *Outcome) int {
		return slices.Index(order, a.Scenario) - slices.Index(order, b.Scenario)
	})
	text, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return fmt.Errorf("encode the record: %w", err)
	}
	files := map[string]string{"benchmarks.json": string(text) + "\n"}
	plotted := false
	for _, o := range all {
		if len(o.Curves) > 0 {
			files["benchmarks.svg"] = plot(o.Curves)
			plotted = true
		}
	}
	var page strings.Builder
	writePage(&page, all, plotted)
	files["benchmarks.md"] = page.String()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return fmt.Errorf("write the record: %w", err)
		}
	}
	return nil
}

// readRecord reads the outcomes of earlier runs; a file that is not there has none.
func readRecord(path string) ([]*Outcome, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the earlier record: %w", err)
	}
	var all []*Outcome
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("read the earlier record %s (delete it to begin anew): %w", path, err)
	}
	return all, nil
}

const pageStart = `# Benchmarks

Written by the load suite; do not edit by hand. ` + "`make bench`" + ` runs it, ` + "`make bench-record`" + ` runs it and writes this page.
How it measures: see [load-suite.md](load-suite.md). Every answer was checked while it was measured: status, session,
organisation, and that no answer was older than what had been acknowledged before its request was sent. One wrong
answer fails the run.

`

// writePage writes the record as Markdown.
func writePage(w io.Writer, all []*Outcome, plotted bool) {
	io.WriteString(w, pageStart)
	writeVerdicts(w, all)
	if plotted {
		io.WriteString(w, "\n![Latency against load](benchmarks.svg)\n")
	}
	for _, o := range all {
		fmt.Fprintf(w, "\n## %s\n\n%s.\n", o.Scenario, capitalised(o.Summary))
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
}

// writeVerdicts writes the targets of all scenarios in one table.
func writeVerdicts(w io.Writer, all []*Outcome) {
	io.WriteString(w, "| scenario | what | target | found | |\n|---|---|---|---|---|\n")
	for _, o := range all {
		for _, v := range o.Verdicts {
			mark := "met"
			if !v.Met {
				mark = "**missed**"
			}
			fmt.Fprintf(w, "| [%s](#%s) | %s | %s | %s | %s |\n", o.Scenario, o.Scenario, v.What, v.Target, v.Found, mark)
		}
	}
}

func writeTable(w io.Writer, t Table) {
	fmt.Fprintf(w, "\n%s:\n\n| %s |\n|---%s|\n", t.Title, strings.Join(t.Header, " | "), strings.Repeat("|---:", len(t.Header)-1))
	for _, row := range t.Rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
	}
}

func capitalised(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
