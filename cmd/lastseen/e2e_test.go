package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// trial is a service with the imported files, and a key to read them with.
type trial struct {
	*service
	key      string
	tracks   map[string][]position
	sessions map[string]wireSession // by vehicle
}

// TestRealFilesComeBackAsTheyAre starts the real binary, imports the real files twice, and checks
// every route against the files, before and after a restart.
func TestRealFilesComeBackAsTheyAre(t *testing.T) {
	t.Parallel()
	tr := &trial{tracks: fileTracks(t), sessions: map[string]wireSession{}}
	dir := t.TempDir()
	token := tr.start(t, dir)
	tr.importFiles(t, token, true)
	tr.makeKey(t, token)
	tr.checkEverything(t)
	before := tr.answers(t)
	tr.importFiles(t, token, false)
	if after := tr.answers(t); after != before {
		t.Error("importing the same files again has changed an answer")
	}
	if err := tr.terminate(); err != nil {
		t.Fatal(err)
	}
	tr.start(t, dir)
	if after := tr.answers(t); after != before {
		t.Error("a restart has changed an answer")
	}
	tr.checkSessionsList(t)
	tr.checkTypeahead(t)
	if err := tr.terminate(); err != nil {
		t.Fatal(err)
	}
}

// start starts the service and returns a user token from the command line.
func (tr *trial) start(t *testing.T, dir string) (token string) {
	t.Helper()
	s, err := startService(dir)
	if err != nil {
		t.Fatal(err)
	}
	tr.service = s
	t.Cleanup(func() {
		if s.process.ProcessState == nil {
			s.kill()
		}
	})
	stdout, stderr, code := command(t, nil, "token", "--data-dir", dir, "--org", "org_e2e", "--user", "user_1", "--role", "owner")
	if code != 0 || stderr != "" || strings.Count(stdout, "\n") != 1 {
		t.Fatalf("token: exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	return strings.TrimSpace(stdout)
}

func (tr *trial) importFiles(t *testing.T, token string, first bool) {
	t.Helper()
	buses, aircraft := 8, len(tr.tracks)-8
	if !first {
		buses, aircraft = 0, 0
	}
	env := []string{"LASTSEEN_SERVER=" + tr.base, "LASTSEEN_TOKEN=" + token}
	for _, run := range []struct {
		want string
		args []string
	}{
		{fmt.Sprintf("1533 points read: 1533 accepted, 0 rejected; 8 sessions, %d of them new\n", buses),
			[]string{"import", "--time-zone", "UTC", absolute(t, busFile)}},
		{fmt.Sprintf("139098 points read: 139098 accepted, 0 rejected; %d sessions, %d of them new\n", len(tr.tracks)-8, aircraft),
			[]string{"import", "--map", "altitude=altitude:ft", "--map", "speed=groundspeed:kn", absolute(t, aircraftFile)}},
	} {
		stdout, stderr, code := command(t, env, run.args...)
		if code != 0 || stdout != run.want {
			t.Fatalf("import: exit code %d, stdout %q, want %q, stderr %s", code, stdout, run.want, stderr)
		}
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func (tr *trial) makeKey(t *testing.T, token string) {
	t.Helper()
	stdout, stderr, code := command(t, []string{"LASTSEEN_SERVER=" + tr.base, "LASTSEEN_TOKEN=" + token}, "keys", "create", "--name", "the test's")
	tr.key = strings.TrimSpace(stdout)
	if code != 0 || !strings.HasPrefix(tr.key, "ak_") || strings.Contains(stderr, tr.key) || !strings.Contains(stderr, `"status": "active"`) {
		t.Fatalf("keys create: exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

// checkEverything checks the five read routes.
func (tr *trial) checkEverything(t *testing.T) {
	t.Helper()
	tr.checkSessionsList(t)
	for _, name := range tr.sample() {
		tr.checkLastSeen(t, name)
		tr.checkHistory(t, name)
		tr.checkSession(t, name)
	}
	tr.checkTypeahead(t)
}

// sample returns all buses and every sixtieth aircraft.
func (tr *trial) sample() []string {
	var names []string
	aircraft := 0
	for _, name := range slices.Sorted(maps.Keys(tr.tracks)) {
		if isBus(name) {
			names = append(names, name)
		} else if aircraft++; aircraft%60 == 1 {
			names = append(names, name)
		}
	}
	return names
}

// isBus tells the buses' four digits from the aircraft's six hexadecimal ones.
func isBus(name string) bool { return len(name) == 4 }

func (tr *trial) checkLastSeen(t *testing.T, name string) {
	t.Helper()
	var got dataPoint
	tr.get(t, "/tracking/timeseries/session_by_device/last_seen/v1", url.Values{"session_id": {tr.sessions[name].ID}}, tr.key, &got)
	track := tr.tracks[name]
	checkPoint(t, name+" last seen", &got, track[len(track)-1], tr.sessions[name].ID)
}

// checkPoint compares a point with the file: everything to within half a unit of what is stored.
func checkPoint(t *testing.T, what string, got *dataPoint, want position, session string) {
	t.Helper()
	coordinates := got.Location.Geometry.Coordinates
	near := func(field string, got, want, tolerance float64) {
		if math.IsNaN(got) != math.IsNaN(want) || math.Abs(got-want) > tolerance {
			t.Errorf("%s: %s %v, want %v", what, field, got, want)
		}
	}
	number := func(name string) float64 {
		if v, ok := got.Location.Properties[name]; ok {
			return v
		}
		return math.NaN()
	}
	if got.Timestamp.UnixMilli() != want.at || got.ID != session+"."+strconv.FormatInt(want.at, 10) || got.Metadata.SessionID != session || got.Metadata.Outlier {
		t.Fatalf("%s: got %+v, want the point of %s at %d", what, got, session, want.at)
	}
	if len(coordinates) < 2 || len(coordinates) > 3 {
		t.Fatalf("%s: coordinates %v", what, coordinates)
	}
	near("longitude", coordinates[0], want.longitude, 0.51e-7)
	near("latitude", coordinates[1], want.latitude, 0.51e-7)
	altitude := math.NaN()
	if len(coordinates) == 3 {
		altitude = coordinates[2]
	}
	near("altitude", altitude, want.altitude, 0.0501)
	near("speed", number("speed"), want.speed, 0.00501)
	turn := math.Abs(number("heading") - want.heading)
	near("heading", min(turn, math.Abs(360-turn)), want.heading*0, 0.0501)
}

func (tr *trial) history(t *testing.T, name string, start, end int64, bucket int) wireHistory {
	t.Helper()
	query := url.Values{
		"session_id":      {tr.sessions[name].ID},
		"start_timestamp": {time.UnixMilli(start).UTC().Format("2006-01-02T15:04:05.000Z")},
		"end_timestamp":   {time.UnixMilli(end).UTC().Format("2006-01-02T15:04:05.000+00:00")},
	}
	if bucket > 0 {
		query.Set("bucket_seconds", strconv.Itoa(bucket))
	}
	var h wireHistory
	tr.get(t, "/tracking/timeseries/session_by_device/data_points/v1", query, tr.key, &h)
	return h
}

// checkHistory checks ranges, among them ones that begin and end exactly at points, and buckets.
func (tr *trial) checkHistory(t *testing.T, name string) {
	t.Helper()
	track := tr.tracks[name]
	first, last := track[0].at, track[len(track)-1].at
	for _, span := range [][2]int64{
		{first, last + 1}, {first - 86_400_000, last + 86_400_000},
		{track[len(track)/3].at, track[2*len(track)/3].at + 1}, {first, last}, {first + 1, last}, {last + 1, last + 1000},
	} {
		if span[0] >= span[1] {
			continue
		}
		within := slices.DeleteFunc(slices.Clone(track), func(p position) bool { return p.at < span[0] || p.at >= span[1] })
		buckets := []int{0}
		if span[1]-span[0] <= last-first+1 {
			buckets = []int{0, 60, 3600}
		}
		for _, bucket := range buckets {
			what := fmt.Sprintf("%s from %d to %d by %d s", name, span[0], span[1], bucket)
			want := newestOfBuckets(within, bucket)
			got := tr.history(t, name, span[0], span[1], bucket)
			if len(got.Points) != len(want) {
				t.Errorf("%s: %d points, want %d", what, len(got.Points), len(want))
				continue
			}
			for i := range want {
				checkPoint(t, fmt.Sprintf("%s, point %d", what, i), &got.Points[i], want[i], tr.sessions[name].ID)
			}
			checkClusters(t, what, got.Clusters, within)
		}
	}
}

// newestOfBuckets returns the last position of each bucket, or all without buckets.
func newestOfBuckets(track []position, seconds int) []position {
	if seconds == 0 {
		return track
	}
	var newest []position
	for i, p := range track {
		size := int64(seconds) * 1000
		if i+1 == len(track) || track[i+1].at/size != p.at/size {
			newest = append(newest, p)
		}
	}
	return newest
}

// meters is the haversine distance.
func meters(a, b position) float64 {
	const radian = math.Pi / 180
	north, east := (b.latitude-a.latitude)*radian/2, (b.longitude-a.longitude)*radian/2
	h := math.Pow(math.Sin(north), 2) + math.Cos(a.latitude*radian)*math.Cos(b.latitude*radian)*math.Pow(math.Sin(east), 2)
	return 2 * 6_371_000 * math.Asin(math.Sqrt(h))
}

// checkClusters finds the stays by the definition: runs within 100 m of their first point, without a
// gap of more than 15 minutes, that last at least 5.
func checkClusters(t *testing.T, what string, got []wireCluster, track []position) {
	t.Helper()
	var want [][]position
	for i := 0; i < len(track); {
		end := i + 1
		for end < len(track) && track[end].at-track[end-1].at <= 15*60_000 && meters(track[i], track[end]) < 100 {
			end++
		}
		if track[end-1].at-track[i].at >= 5*60_000 {
			want = append(want, track[i:end])
		}
		i = end
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d clusters, want %d", what, len(got), len(want))
		return
	}
	for i, stay := range want {
		var center position
		for _, p := range stay {
			center.latitude += p.latitude / float64(len(stay))
			center.longitude += p.longitude / float64(len(stay))
		}
		radius := 0.0
		for _, p := range stay {
			radius = max(radius, meters(center, p)/1609.344)
		}
		g, coordinates := got[i], got[i].Centroid.Geometry.Coordinates
		if g.Start.UnixMilli() != stay[0].at || g.End.UnixMilli() != stay[len(stay)-1].at || g.Points != len(stay) || len(coordinates) != 2 ||
			math.Abs(coordinates[0]-center.longitude) > 2e-7 || math.Abs(coordinates[1]-center.latitude) > 2e-7 || math.Abs(g.Radius-radius) > 1e-4 {
			t.Errorf("%s: cluster %d is %+v, want %d points from %d to %d around %v, %v within %v miles",
				what, i, g, len(stay), stay[0].at, stay[len(stay)-1].at, center.latitude, center.longitude, radius)
		}
	}
}

// checkSessionsList walks the pages by last_seen and checks that they hold every vehicle once, in order.
func (tr *trial) checkSessionsList(t *testing.T) {
	t.Helper()
	clear(tr.sessions)
	var last time.Time
	for page := 1; len(tr.sessions) < len(tr.tracks); page++ {
		var got wirePage
		tr.get(t, "/tracking/sessions/list/v1", url.Values{
			"sort_by": {"last_seen_at_timestamp"}, "sort_order": {"asc"}, "page": {strconv.Itoa(page)}, "page_size": {"200"},
		}, tr.key, &got)
		if got.Total != len(tr.tracks) || len(got.Items) == 0 {
			t.Fatalf("page %d has %d sessions of %d, want %d in all", page, len(got.Items), got.Total, len(tr.tracks))
		}
		for _, s := range got.Items {
			track := tr.tracks[s.DeviceMACAddress]
			if _, twice := tr.sessions[s.DeviceMACAddress]; twice || track == nil {
				t.Fatalf("session %+v: twice %t", s, twice)
			}
			if s.LastSeenAt == nil || s.LastSeenAt.UnixMilli() != track[len(track)-1].at || s.LastSeenAt.Before(last) {
				t.Fatalf("%s: last seen %v after %v, want %d", s.DeviceMACAddress, s.LastSeenAt, last, track[len(track)-1].at)
			}
			last = *s.LastSeenAt
			tr.sessions[s.DeviceMACAddress] = s
		}
	}
	var found wirePage
	tr.get(t, "/tracking/sessions/list/v1", url.Values{"search": {"47"}, "filter_has_last_seen": {"true"}, "page_size": {"1000"}}, tr.key, &found)
	want := 0
	for name := range tr.tracks {
		if strings.Contains(name, "47") {
			want++
		}
	}
	if found.Total != want || len(found.Items) != want {
		t.Errorf("searching for 47 finds %d and lists %d, want %d", found.Total, len(found.Items), want)
	}
}

func (tr *trial) checkSession(t *testing.T, name string) {
	t.Helper()
	var got wireSession
	tr.get(t, "/tracking/sessions/get/v1", url.Values{"session_id": {tr.sessions[name].ID}}, tr.key, &got)
	track := tr.tracks[name]
	end := track[len(track)-1]
	if got.DeviceMACAddress != name || got.Reference != name || got.OrgID != "org_e2e" || got.LastSeenAt.UnixMilli() != end.at || got.LastSeenLocation == nil ||
		math.Abs(got.LastSeenLocation.Geometry.Coordinates[0]-end.longitude) > 0.51e-7 {
		t.Errorf("the session of %s is %+v", name, got)
	}
}

// checkTypeahead expects the names with a text in them, those that begin with it first.
func (tr *trial) checkTypeahead(t *testing.T) {
	t.Helper()
	for _, text := range []string{"47", "4a", "4A", "."} {
		var begin, contain []string
		for _, name := range slices.Sorted(maps.Keys(tr.tracks)) {
			switch lower := strings.ToLower(text); {
			case strings.HasPrefix(name, lower):
				begin = append(begin, name)
			case strings.Contains(name, lower):
				contain = append(contain, name)
			}
		}
		all := append(begin, contain...)
		var got []struct {
			Type   string   `json:"type"`
			Values []string `json:"values"`
		}
		tr.get(t, "/tracking/sessions/typeahead/v1", url.Values{"query": {text}, "limit": {"100"}}, tr.key, &got)
		if len(got) != 2 || got[0].Type != "device_mac_address" || got[1].Type != "off_chrt_reference_id" {
			t.Fatalf("typeahead %q: %+v", text, got)
		}
		for _, suggestions := range got {
			if len(suggestions.Values) != min(len(all), 100) {
				t.Errorf("typeahead %q: %d of %s, want %d", text, len(suggestions.Values), suggestions.Type, min(len(all), 100))
				continue
			}
			for i, value := range suggestions.Values {
				if i < len(begin) && !slices.Contains(begin, value) || !slices.Contains(all, value) {
					t.Errorf("typeahead %q: %s has %q in place %d", text, suggestions.Type, value, i)
				}
			}
		}
	}
}

// answers returns the text of many answers, to be compared later: whole histories with their times of
// receipt, and the newest points.
func (tr *trial) answers(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, name := range tr.sample() {
		query := url.Values{"session_id": {tr.sessions[name].ID}, "start_timestamp": {"2000-01-01T00:00:00Z"}, "end_timestamp": {"2100-01-01T00:00:00Z"}}
		for _, path := range []string{
			"/tracking/timeseries/session_by_device/last_seen/v1", "/tracking/timeseries/session_by_device/data_points/v1", "/tracking/sessions/get/v1",
		} {
			var answer json.RawMessage
			tr.get(t, path, query, tr.key, &answer)
			all.Write(answer)
		}
	}
	return all.String()
}
