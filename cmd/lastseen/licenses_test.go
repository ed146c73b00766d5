package main

import (
	"debug/buildinfo"
	"strings"
	"testing"

	"lastseen/schema/embedded"
)

// TestLicensesNamesEverythingThatIsLinkedIn fails after a change of go.mod or of the engine until `make notices` has run.
func TestLicensesNamesEverythingThatIsLinkedIn(t *testing.T) {
	t.Parallel()
	stdout, stderr, code := command(t, nil, "licenses")
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d, stderr %q", code, stderr)
	}
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if len(info.Deps) < 20 {
		t.Fatalf("the program names only %d modules", len(info.Deps))
	}
	for _, module := range info.Deps {
		if module.Replace != nil && strings.HasPrefix(module.Replace.Path, "./") {
			continue // it is of this repository
		}
		if !strings.Contains(stdout, "---- "+module.Path+" "+module.Version+" (") {
			t.Errorf("no notice of %s %s: run make notices", module.Path, module.Version)
		}
	}
	for _, part := range []string{"---- the Go standard library", "libchdb " + embedded.EngineVersion + " is ClickHouse", "---- leaflet ", "---- Natural Earth"} {
		if !strings.Contains(stdout, part) {
			t.Errorf("no notice with %q: run make notices", part)
		}
	}
}
