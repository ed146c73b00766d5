package metrics

import (
	"encoding/json"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lastseen/ingest"
	"lastseen/keys/apikey"
	"lastseen/query/latest"
	"lastseen/schema"
	"lastseen/schema/measure"
	"lastseen/server"
	"lastseen/server/limit"
)

// stats is what a source says, whatever is asked of it.
type stats[T any] struct{ T T }

func (s stats[T]) Stats() T { return s.T }

// sources is a service that has done one thing of everything.
func sources() Sources {
	histogram := measure.NewHistogram(measure.DurationBounds())
	histogram.ObserveSince(time.Now().Add(-3 * time.Millisecond))
	once := histogram.Distribution()
	return Sources{
		Server: stats[server.Stats]{server.Stats{
			Requests: []server.RequestStats{{Method: "GET", Route: "/x", Class: "2xx", Duration: once}},
			InFlight: 1, Refused: map[string]uint64{"busy": 2}, LongPolls: map[string]uint64{"changed": 6}, Suspensions: 8, Introduced: 9,
			Admissions: []limit.Stats{{Name: "queries", Capacity: 8, InUse: 3, Waiting: 1, Refused: 4}},
		}},
		Authenticator: stats[apikey.AuthenticatorStats]{apikey.AuthenticatorStats{Hits: 5, Misses: 3, Unknown: 1, Loads: 2, KeysLoaded: 7}},
		Keys:          stats[apikey.ServiceStats]{apikey.ServiceStats{Propagation: once, Expiring: []schema.ExpiringKeys{{Kind: schema.KindAPIKey, Week: 1, Days30: 2}}}},
		Writer: stats[ingest.WriterStats]{ingest.WriterStats{
			GroupPoints: once, GroupRequests: once, InsertTime: once, Rejected: map[string]uint64{"future": 1},
			Flagged: map[string]uint64{"speed": 1},
		}},
		LastSeen:   stats[latest.Stats]{latest.Stats{Lag: once}},
		Statements: stats[[]schema.StatementStats]{[]schema.StatementStats{{Kind: "query", Begun: 2, Failed: 1}}},
		Store:      stats[StoreStats]{StoreStats{Up: true, Condition: &schema.Condition{Version: "26.7", DiskFree: 5, DiskSize: 9, Parts: 3, PartsLimit: 1000}}},
		Version:    "v1",
	}
}

// families returns the labels of every metric of a registry, by its name as queries write it.
func families(t *testing.T, registry *prometheus.Registry) map[string][]string {
	t.Helper()
	gathered, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string][]string{}
	for _, family := range gathered {
		labels := []string{}
		for _, pair := range family.Metric[0].Label {
			labels = append(labels, pair.GetName())
		}
		if family.Metric[0].Histogram == nil {
			names[family.GetName()] = labels
			continue
		}
		names[family.GetName()+"_count"], names[family.GetName()+"_sum"] = labels, labels
		names[family.GetName()+"_bucket"] = append(slices.Clone(labels), "le")
	}
	return names
}

var (
	metricName  = regexp.MustCompile(`\b(?:lastseen|go|process)_[a-z0-9_]+`)
	labelInUse  = regexp.MustCompile(`([a-z]+)=~?"`)
	labelGroup  = regexp.MustCompile(`by \(([a-z, ]+)\)`)
	documented  = regexp.MustCompile("`(lastseen_[a-z_]+)`")
	everywhere  = []string{"instance"} // Prometheus adds it
	histogramOf = regexp.MustCompile(`_(?:bucket|sum|count)$`)
)

func TestTheDashboardNamesOnlyMetricsAndLabelsThatExist(t *testing.T) {
	t.Parallel()
	known := families(t, NewRegistry(sourcesOfNodes()))
	text, err := os.ReadFile("../../docs/grafana-dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			names := metricName.FindAllString(target.Expr, -1)
			if len(names) == 0 {
				t.Errorf("%s: no metric in %s", panel.Title, target.Expr)
			}
			labels := everywhere
			for _, name := range names {
				if _, exists := known[name]; !exists {
					t.Errorf("%s names %s, which does not exist", panel.Title, name)
				}
				shown[histogramOf.ReplaceAllString(name, "")] = true
				labels = append(slices.Clone(labels), known[name]...)
			}
			for _, label := range labelsOf(target.Expr) {
				if !slices.Contains(labels, label) {
					t.Errorf("%s: %s has no label %s", panel.Title, names, label)
				}
			}
		}
	}
	for name := range known {
		if name = histogramOf.ReplaceAllString(name, ""); strings.HasPrefix(name, "lastseen_") && !shown[name] {
			t.Errorf("the dashboard does not show %s", name)
		}
	}
}

// labelsOf returns the labels that a query selects or groups by.
func labelsOf(expression string) (labels []string) {
	for _, match := range labelInUse.FindAllStringSubmatch(expression, -1) {
		labels = append(labels, match[1])
	}
	for _, match := range labelGroup.FindAllStringSubmatch(expression, -1) {
		labels = append(labels, strings.Split(match[1], ", ")...)
	}
	return labels
}

func TestThePageForOperatorsListsEveryMetric(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, match := range documented.FindAllStringSubmatch(string(page), -1) {
		listed[match[1]] = true
	}
	exists := map[string]bool{}
	for name := range families(t, NewRegistry(sources())) {
		if strings.HasPrefix(name, "lastseen_") {
			exists[histogramOf.ReplaceAllString(name, "")] = true
		}
	}
	for name := range exists {
		if !listed[name] {
			t.Errorf("docs/operating.md does not list %s", name)
		}
	}
	for name := range listed {
		if !exists[name] {
			t.Errorf("docs/operating.md lists %s, which does not exist", name)
		}
	}
}

// TestWhatIsNotKnownOfTheStoreIsNoNumber: an alert or a panel would take it for one.
func TestWhatIsNotKnownOfTheStoreIsNoNumber(t *testing.T) {
	t.Parallel()
	sources := sources()
	condition := &schema.Condition{Version: "26.7"}
	for _, what := range []string{schema.OfSchema, schema.OfDisk, schema.OfParts, schema.OfDamage, schema.OfSettings} {
		condition.Gaps = append(condition.Gaps, schema.Gap{What: what, Err: errors.New("no right")})
	}
	sources.Store = stats[StoreStats]{StoreStats{Up: true, Condition: condition}}
	recorder := httptest.NewRecorder()
	Handler(NewRegistry(sources)).ServeHTTP(recorder, httptest.NewRequest("GET", "/metrics", nil))
	for _, line := range []string{
		`lastseen_store_info{fsync="",retention_days="",schema="",version="26.7"} 1`, "lastseen_store_disk_free_bytes NaN",
		"lastseen_store_disk_reserve_bytes NaN", "lastseen_store_parts NaN", "lastseen_store_damaged_parts NaN",
	} {
		if !strings.Contains(recorder.Body.String(), line) {
			t.Errorf("the metrics have no %s", line)
		}
	}
}

func TestTheHandlerServesMetricsAndProfiles(t *testing.T) {
	t.Parallel()
	handler := Handler(NewRegistry(sources()))
	for path, want := range map[string]string{
		"/metrics":      `lastseen_http_request_duration_seconds_bucket{method="GET",route="/x",status="2xx",le="0.005"} 1`,
		"/debug/pprof/": "goroutine",
		"/":             "/metrics",
	} {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequest("GET", path, nil))
		if body, _ := io.ReadAll(recorder.Body); recorder.Code != 200 || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d, without %s:\n%s", path, recorder.Code, want, body)
		}
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest("GET", "/metrics", nil))
	for _, line := range []string{
		`lastseen_http_request_duration_seconds_bucket{method="GET",route="/x",status="2xx",le="0.002"} 0`,
		`lastseen_key_checks_total{result="miss"} 2`, `lastseen_admission_in_use{resource="queries"} 3`,
		`lastseen_long_polls_total{outcome="changed"} 6`, `lastseen_history_suspensions_total 8`, `lastseen_devices_introduced_total 9`, `lastseen_key_loads_total 2`, `lastseen_key_load_keys_total 7`,
		`lastseen_build_info{goversion=`, `lastseen_store_up 1`, `lastseen_writer 0`, `lastseen_store_disk_free_bytes 5`,
		`lastseen_store_info{fsync="off",retention_days="0",schema="0",version="26.7"} 1`,
	} {
		if !strings.Contains(recorder.Body.String(), line) {
			t.Errorf("the metrics have no %s", line)
		}
	}
}
