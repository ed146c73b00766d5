package record

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// WriteJSON writes an outcome as a line of JSON.
func (o *Outcome) WriteJSON(w io.Writer) error {
	if err := json.NewEncoder(w).Encode(o); err != nil {
		return fmt.Errorf("write the outcome of %s: %w", o.Scenario, err)
	}
	return nil
}

// WriteText writes an outcome for a terminal.
func (o *Outcome) WriteText(w io.Writer) error {
	var out strings.Builder
	where := ""
	if o.OnServer() {
		where = " on a ClickHouse server"
	}
	fmt.Fprintf(&out, "\n%s%s: %s\n", o.Scenario, where, o.Summary)
	for _, setting := range o.Settings {
		fmt.Fprintf(&out, "  %s\n", setting)
	}
	for _, t := range o.Tables {
		fmt.Fprintf(&out, "\n%s\n", t.Title)
		writeAligned(&out, append([][]string{t.Header}, t.Rows...))
	}
	fmt.Fprintln(&out)
	for _, v := range o.Verdicts {
		mark := "met   "
		if !v.Met {
			mark = "MISSED"
		}
		fmt.Fprintf(&out, "%s %s: %s (%s)\n", mark, v.What, v.Found, v.Target)
	}
	for _, note := range o.Notes {
		fmt.Fprintf(&out, "note   %s\n", note)
	}
	if _, err := io.WriteString(w, out.String()); err != nil {
		return fmt.Errorf("write the outcome of %s: %w", o.Scenario, err)
	}
	return nil
}

// writeAligned writes rows with the first column to the left and the others to the right.
func writeAligned(out *strings.Builder, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(plain(cell)))
		}
	}
	for _, row := range rows {
		for i, cell := range row {
			cell = plain(cell)
			space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				out.WriteString("  " + cell + space)
			} else {
				out.WriteString("  " + space + cell)
			}
		}
		out.WriteString("\n")
	}
}

// plain takes Markdown's emphasis out.
func plain(text string) string { return strings.ReplaceAll(text, "**", "") }
