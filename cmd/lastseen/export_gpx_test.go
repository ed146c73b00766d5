package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lastseen/keys"
)

// TestWhatIsExportedAsGPXCanBeImported: GPX carries neither outliers nor accuracy and battery, and
// everything else as it was.
func TestWhatIsExportedAsGPXCanBeImported(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	env := variedSession(t, s, "org_tracks")
	s.newSession(t, s.token(t, "org_tracks", keys.RoleOwner), "without-points")
	plain, tracks := t.TempDir(), t.TempDir()
	mustRun(t, env, append(slices.Clone(exportRange), "--out", plain)...)
	mustRun(t, env, append(slices.Clone(exportRange), "--out", tracks, "--format", "gpx")...)
	files, _ := filepath.Glob(filepath.Join(tracks, "*.gpx"))
	if len(files) != 2 {
		t.Fatalf("the files are %q", files)
	}
	other, err := startService(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.kill() })
	back := []string{"LASTSEEN_SERVER=" + other.base, "LASTSEEN_TOKEN=" + other.token(t, "org_back", keys.RoleOwner)}
	read := mustRun(t, back, append([]string{"import", "--new-sessions"}, files...)...)
	if read != "90 points read: 90 accepted, 0 rejected; 1 sessions, 1 of them new\n" {
		t.Errorf("import: %s", read)
	}
	again := t.TempDir()
	mustRun(t, back, append(slices.Clone(exportRange), "--out", again)...)
	var want []string
	for _, text := range points(t, plain) {
		if point, carried := asGPX(t, text); carried {
			want = append(want, point)
		}
	}
	got := points(t, again)
	if len(got) != len(want) || len(want) != 90 {
		t.Fatalf("%d points came back, want %d", len(got), len(want))
	}
	slices.Sort(want)
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("the point\n%s came back as\n%s", want[i], got[i])
		}
	}
}

// asGPX returns what GPX carries of a point, and whether it carries any.
func asGPX(t *testing.T, text string) (string, bool) {
	t.Helper()
	var point map[string]any
	if err := json.Unmarshal([]byte(text), &point); err != nil {
		t.Fatal(err)
	}
	properties := point["location"].(map[string]any)["properties"].(map[string]any)
	delete(properties, "accuracy")
	delete(properties, "battery")
	plain, err := json.Marshal(point)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain), point["metadata"].(map[string]any)["outlier"] == false
}

// variedSession gives an organisation a session of 100 points, of which every value is missing here and
// there, and marks ten of them. It returns the environment.
func variedSession(t *testing.T, s *service, org string) []string {
	t.Helper()
	lines := []string{"device,timestamp,latitude,longitude,altitude,accuracy,speed,heading,temperature,battery"}
	for n := range 100 {
		field := func(place int, value float64) string {
			if (n>>place)&1 == 1 {
				return ""
			}
			return fmt.Sprint(value)
		}
		lines = append(lines, strings.Join([]string{
			org, fmt.Sprint(1768435200123 + 1001*n), fmt.Sprint(-80.1234567 + float64(n)), fmt.Sprint(179.9999999 - 3.6*float64(n)),
			field(0, -12.5+float64(n)), field(1, 3.5), field(2, 0.25*float64(n)), field(3, 3.6*float64(n%100)), field(4, 20.5-float64(n)), field(5, 0.01*float64(n)),
		}, ","))
	}
	file := filepath.Join(t.TempDir(), "varied.csv")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	token := s.token(t, org, keys.RoleOwner)
	env := []string{"LASTSEEN_SERVER=" + s.base, "LASTSEEN_TOKEN=" + token}
	mustRun(t, env, "import", file)
	var sessions wirePage
	s.get(t, "/tracking/sessions/list/v1", nil, token, &sessions)
	var ids []string
	for n := range 10 {
		ids = append(ids, fmt.Sprintf("%q", fmt.Sprintf("%s.%d", sessions.Items[0].ID, 1768435200123+1001*n*7)))
	}
	status, answer, err := s.do(t.Context(), http.MethodPost, "/tracking/timeseries/session_by_device/outlier/v1", nil, token,
		`{"outlier":true,"tracking_session_by_device_data_point_ids":[`+strings.Join(ids, ",")+`]}`)
	if err != nil || status != http.StatusOK || !strings.Contains(string(answer), `"successful_updates":10`) {
		t.Fatalf("mark the outliers: %d %s %v", status, answer, err)
	}
	return env
}
