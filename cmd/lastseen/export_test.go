package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lastseen/keys"
)

var exportRange = []string{"export", "--start", "2020-01-01T00:00:00Z", "--end", "2030-01-01T00:00:00Z"}

// exporting gives an organisation of its own three sessions of points and returns the environment.
func exporting(t *testing.T, s *service, org string) []string {
	t.Helper()
	var text strings.Builder
	text.WriteString("device,timestamp,latitude,longitude,altitude,accuracy,speed,heading,temperature,battery\n")
	for n := range 3000 {
		fmt.Fprintf(&text, "%s-%d,%d,%d.1234567,-7.5,12.5,3.5,4.25,90.5,-3.5,0.5\n", org, n%3, 1768435200+n, n%80)
	}
	file := filepath.Join(t.TempDir(), "points.csv")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"LASTSEEN_SERVER=" + s.base, "LASTSEEN_TOKEN=" + s.token(t, org, keys.RoleOwner)}
	mustRun(t, env, "import", file)
	return env
}

func mustRun(t *testing.T, env []string, args ...string) (stdout string) {
	t.Helper()
	stdout, stderr, code := command(t, env, args...)
	if code != 0 {
		t.Fatalf("%q: exit code %d, stderr %s", args, code, stderr)
	}
	return stdout
}

// contents are the complete files of an export, by name.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "[0-9a-f]*"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(file)] = string(text)
	}
	return all
}

func TestAnExportThatIsKilledGoesOnAndEndsWithTheSameFiles(t *testing.T) {
	t.Parallel()
	env := exporting(t, sharedServer(t), "org_killed")
	whole, killed := t.TempDir(), t.TempDir()
	mustRun(t, env, append(exportRange, "--out", whole)...)
	args := append(slices.Clone(exportRange), "--out", killed, "--page-points", "10", "--parallel", "1")
	process := exec.Command(binary, args...)
	process.Env = append(os.Environ(), env...)
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	for states := 0; states == 0; { // it is in the middle of a session when there is a state
		found, err := filepath.Glob(filepath.Join(killed, ".*.state"))
		if err != nil {
			t.Fatal(err)
		}
		states = len(found)
	}
	if err := process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	process.Wait()
	if len(contents(t, killed)) == 3 {
		t.Fatal("the export was over before it was killed")
	}
	mustRun(t, env, args...)
	want, got := contents(t, whole), contents(t, killed)
	if len(want) != 3 || len(got) != 3 {
		t.Fatalf("%d and %d files, want 3", len(want), len(got))
	}
	for name, text := range want {
		if strings.Count(text, "\n") != 1000 || got[name] != text {
			t.Errorf("%s: %d lines, and the resumed export differs: %v", name, strings.Count(text, "\n"), got[name] != text)
		}
	}
}

func TestWhatIsExportedCanBeImported(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	env := exporting(t, s, "org_there")
	first := t.TempDir()
	mustRun(t, env, append(exportRange, "--out", first)...)
	want := points(t, first)
	for _, format := range []string{"ndjson", "csv", "geojson"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			mustRun(t, env, append(slices.Clone(exportRange), "--out", dir, "--format", format)...)
			files, _ := filepath.Glob(filepath.Join(dir, "*."+format))
			other, err := startService(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { other.kill() })
			back := []string{"LASTSEEN_SERVER=" + other.base, "LASTSEEN_TOKEN=" + other.token(t, "org_back", keys.RoleOwner)}
			mustRun(t, back, append([]string{"import", "--new-sessions"}, files...)...)
			again := t.TempDir()
			mustRun(t, back, append(slices.Clone(exportRange), "--out", again)...)
			if got := points(t, again); !slices.Equal(got, want) {
				t.Errorf("%d points came back, want the same %d; the first are %.300s and %.300s", len(got), len(want), got[:min(1, len(got))], want[:1])
			}
		})
	}
}

// points are the points of an export without what names them, in order.
func points(t *testing.T, dir string) (all []string) {
	t.Helper()
	for _, text := range contents(t, dir) {
		for line := range strings.Lines(text) {
			var point map[string]any
			if err := json.Unmarshal([]byte(line), &point); err != nil {
				t.Fatal(err)
			}
			delete(point, "_id")
			delete(point, "received_at_timestamp")
			delete(point["metadata"].(map[string]any), "session_id")
			plain, err := json.Marshal(point)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, string(plain))
		}
	}
	slices.Sort(all)
	return all
}
