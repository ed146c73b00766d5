package record

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Write brings the record in a directory up to date: benchmarks.json holds the newest outcome of every
// scenario on either ClickHouse, and benchmarks.md and benchmarks.svg are made from it. order is that of the scenarios' names.
func Write(dir string, outcomes []*Outcome, order []string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the directory of the record: %w", err)
	}
	all, err := readRecord(filepath.Join(dir, "benchmarks.json"))
	if err != nil {
		return err
	}
	for _, o := range outcomes {
		all = slices.DeleteFunc(all, func(old *Outcome) bool { return old.Scenario == o.Scenario && old.OnServer() == o.OnServer() })
		all = append(all, o)
	}
	slices.SortStableFunc(all, func(a, b *Outcome) int {
		return cmp.Or(slices.Index(order, a.Scenario)-slices.Index(order, b.Scenario), place(a)-place(b))
	})
	text, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return fmt.Errorf("encode the record: %w", err)
	}
	files := map[string]string{"benchmarks.json": string(text) + "\n"}
	plotted := false
	for _, o := range all {
		if len(o.Curves) > 0 && !o.OnServer() {
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

// place orders the outcomes of a scenario: the embedded engine's, then the server's.
func place(o *Outcome) int {
	if o.OnServer() {
		return 1
	}
	return 0
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
