package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// report writes an outcome to the terminal, or as a line of JSON.
func (s *suite) report(o *Outcome) error {
	if s.config.JSON {
		if err := json.NewEncoder(s.config.Output).Encode(o); err != nil {
			return fmt.Errorf("write the outcome of %s: %w", o.Scenario, err)
		}
		return nil
	}
	return writeText(s.config.Output, o)
}

// writeText writes an outcome for a terminal.
func writeText(w io.Writer, o *Outcome) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(out, "\n%s: %s\n", o.Scenario, o.Summary)
	for _, setting := range o.Settings {
		fmt.Fprintf(out, "  %s\n", setting)
	}
	for _, t := range o.Tables {
		fmt.Fprintf(out, "\n%s\n", t.Title)
		for _, row := range append([][]string{t.Header}, t.Rows...) {
			fmt.Fprintln(out, plain(strings.Join(row, "\t"))+"\t")
		}
		out.Flush() // so that each table has columns of its own; the error comes again below
	}
	fmt.Fprintln(out)
	for _, v := range o.Verdicts {
		mark := "met   "
		if !v.Met {
			mark = "MISSED"
		}
		fmt.Fprintf(out, "%s %s: %s (%s)\n", mark, v.What, v.Found, v.Target)
	}
	for _, note := range o.Notes {
		fmt.Fprintf(out, "note   %s\n", note)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write the outcome of %s: %w", o.Scenario, err)
	}
	return nil
}

// plain takes Markdown's emphasis out.
func plain(text string) string { return strings.ReplaceAll(text, "**", "") }
