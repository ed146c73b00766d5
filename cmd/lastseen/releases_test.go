package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

// releasesFolder has, for each released version, the data directory as its service left it (VERSION.tar.zst) and what was put
// into it (VERSION.json): see releases_keep_test.go.
const releasesFolder = "testdata/releases"

// keptRelease is what was put into a data directory.
type keptRelease struct {
	Org        string        `json:"org"`
	Key        string        `json:"key"`
	RevokedKey string        `json:"revoked_key"`
	Credential string        `json:"device_credential"`
	Expire     time.Time     `json:"keys_expire"`
	Sessions   []keptSession `json:"sessions"`
}

// keptSession is a session of a data directory.
type keptSession struct {
	ID        string    `json:"id"`
	DeviceID  string    `json:"device_id"`
	Ended     bool      `json:"ended"`
	Points    int       `json:"points"`
	Newest    time.Time `json:"newest"` // of the points that are no outliers
	Longitude float64   `json:"longitude"`
	Latitude  float64   `json:"latitude"`
	Outliers  int       `json:"outliers"`
}

// TestTheDataOfEveryReleaseAreOpened opens the data directory that each release left behind, asks for all that is in it, and
// goes on with it, over a restart.
func TestTheDataOfEveryReleaseAreOpened(t *testing.T) {
	schematest.OnlyOn(t, schema.Embedded, "what is kept are directories of the embedded engine")
	t.Parallel()
	archives, err := filepath.Glob(filepath.Join(releasesFolder, "*.tar.zst"))
	if err != nil || len(archives) == 0 {
		t.Fatalf("no data directory of a release: %v", err)
	}
	for _, archive := range archives {
		version := strings.TrimSuffix(filepath.Base(archive), ".tar.zst")
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(filepath.Join(releasesFolder, version+".json"))
			if err != nil {
				t.Fatal(err)
			}
			var kept keptRelease
			if err := json.Unmarshal(text, &kept); err != nil {
				t.Fatal(err)
			}
			if time.Now().After(kept.Expire) {
				t.Fatalf("the keys that were kept have expired on %s: keep the directory anew, with the release's binary", kept.Expire)
			}
			dir := t.TempDir()
			unpack(t, archive, dir)
			tr := new(trial)
			tr.start(t, dir)
			kept.check(t, tr.service)
			kept.goOn(t, tr.service)
			if err := tr.terminate(); err != nil {
				t.Fatal(err)
			}
			tr.start(t, dir)
			kept.check(t, tr.service)
			if err := tr.terminate(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// check asks for everything that was kept.
func (k *keptRelease) check(t *testing.T, s *service) {
	t.Helper()
	var page wirePage
	s.get(t, "/tracking/sessions/list/v1", nil, k.Key, &page)
	if page.Total != len(k.Sessions) {
		t.Errorf("%d sessions, want %d", page.Total, len(k.Sessions))
	}
	for _, kept := range k.Sessions {
		kept.check(t, s, k.Key)
	}
	query := url.Values{"session_id": {k.Sessions[0].ID}}
	if status, answer, err := s.do(t.Context(), http.MethodGet, "/tracking/sessions/get/v1", query, k.RevokedKey, ""); err != nil || status != http.StatusUnauthorized {
		t.Errorf("a key that was revoked: %d %s %v", status, answer, err)
	}
}

// check asks for a session, its newest point and its history.
func (k *keptSession) check(t *testing.T, s *service, key string) {
	t.Helper()
	query := url.Values{"session_id": {k.ID}}
	var newest dataPoint
	s.get(t, "/tracking/timeseries/session_by_device/last_seen/v1", query, key, &newest)
	at := newest.Location.Geometry.Coordinates
	if !newest.Timestamp.Equal(k.Newest) || len(at) != 2 || at[0] != k.Longitude || at[1] != k.Latitude {
		t.Errorf("the newest point of %s is %+v, want one of %v at %v, %v", k.ID, newest, k.Newest, k.Longitude, k.Latitude)
	}
	var history wireHistory
	query.Set("start_timestamp", "2000-01-01T00:00:00Z")
	query.Set("end_timestamp", "2100-01-01T00:00:00Z")
	s.get(t, "/tracking/timeseries/session_by_device/data_points/v1", query, key, &history)
	outliers := 0
	for _, p := range history.Points {
		if p.Metadata.Outlier {
			outliers++
		}
	}
	if len(history.Points) != k.Points || outliers != k.Outliers {
		t.Errorf("%s has %d points, %d of them outliers, want %d and %d", k.ID, len(history.Points), outliers, k.Points, k.Outliers)
	}
}

// goOn writes to what was kept: a point with the device's credential, a key.
func (k *keptRelease) goOn(t *testing.T, s *service) {
	t.Helper()
	kept := &k.Sessions[0]
	now := time.Now().UTC().Truncate(time.Second)
	point := map[string]any{"device_id": kept.DeviceID, "timestamp": now, "latitude": 52.5, "longitude": 13.5}
	s.ingest(t, k.Credential, []map[string]any{point})
	kept.Points, kept.Newest, kept.Longitude, kept.Latitude = kept.Points+1, now, 13.5, 52.5
	kept.check(t, s, k.Key)
	key, _ := s.newKey(t, s.token(t, k.Org, keys.RoleOwner), "made by a later version")
	kept.check(t, s, key)
}

// ingest sends points, which must be accepted.
func (s *service) ingest(t *testing.T, credential string, points []map[string]any) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"points": points})
	if err != nil {
		t.Fatal(err)
	}
	var report struct{ Accepted int }
	s.post(t, "/tracking/timeseries/session_by_device/ingest/v1", nil, credential, string(body), &report)
	if report.Accepted != len(points) {
		t.Fatalf("of %d points %d were accepted", len(points), report.Accepted)
	}
}
