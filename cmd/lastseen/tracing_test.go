package main

import (
	"bytes"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"lastseen/keys"
	"lastseen/keys/people"
)

// collector takes traces as an OpenTelemetry collector does.
type collector struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*tracepb.Span
	raw   bytes.Buffer // all that was sent
	about []string     // the resource's attributes, NAME=VALUE
}

func startCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var request collectorpb.ExportTraceServiceRequest
		if err != nil || proto.Unmarshal(body, &request) != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s %s is no export of traces: %v", r.Method, r.URL.Path, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.raw.Write(body)
		for _, from := range request.ResourceSpans {
			c.about = attributesOf(from.Resource.Attributes)
			for _, scope := range from.ScopeSpans {
				c.spans = append(c.spans, scope.Spans...)
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

func attributesOf(pairs []*commonpb.KeyValue) (texts []string) {
	for _, pair := range pairs {
		value := pair.Value.GetStringValue()
		if number, is := pair.Value.Value.(*commonpb.AnyValue_IntValue); is {
			value = strconv.FormatInt(number.IntValue, 10)
		}
		texts = append(texts, pair.Key+"="+value)
	}
	return texts
}

// secrets are what the requests of visit carry and no trace may have.
var secrets = []string{"ak_NeverInATrace", "5ec2e75e55105ec2e75e5510", "12.3456789", "dk_NeverInATrace", "never-in-a-trace"}

// visit makes requests that are traced, and some that are not.
func (c *collector) visit(t *testing.T, app *App, dataDir string) {
	t.Helper()
	issuer, err := openIssuer(dataDir)
	if err != nil {
		t.Fatal(err)
	}
	token, err := issuer.Sign(people.User{ID: "user_a", OrgID: "org_a", Role: keys.RoleOwner}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, request := range []struct{ method, target, credential, body, id string }{
		{"GET", "/orgs/api_keys/usage/v1", token, "", "keys-1"},
		{"GET", "/tracking/sessions/get/v1?session_id=" + secrets[1], secrets[0], "", "refused-1"},
		{"POST", "/tracking/timeseries/session_by_device/ingest/v1", token,
			`{"points":[{"session_id":"` + secrets[1] + `","timestamp":"2026-01-15T00:00:00Z","latitude":12.3456789,"longitude":1}]}`, "ingest-1"},
		{"GET", "/tracking/timeseries/session_by_device/ingest/osmand/v1/" + secrets[3] + "?lat=12.3456789&id=" + secrets[4], "", "", "app-1"},
		{"GET", "/" + secrets[4], "", "", "nowhere-1"},
		{"GET", "/tracking/timeseries/session_by_device/last_seen/v1?session_id=" + secrets[1], token, "", "poll-1"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), request.method, "http://"+app.Addr()+request.target, strings.NewReader(request.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Request-Id", request.id)
		if request.credential != "" {
			r.Header.Set("Authorization", "Bearer "+request.credential)
		}
		if request.body != "" {
			r.Header.Set("Content-Type", "application/json")
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
}

// check looks at what has come once the service has stopped, and forgets it.
func (c *collector) check(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	names := map[string][]string{}
	parents := map[string]string{}
	for _, span := range c.spans {
		names[span.Name] = attributesOf(span.Attributes)
		parents[string(span.SpanId)] = span.Name
	}
	for name, attributes := range map[string][]string{
		"GET /orgs/api_keys/usage/v1":                                              {"lastseen.request_id=keys-1", "http.response.status_code=200", "lastseen.caller=user"},
		"GET /tracking/sessions/get/v1":                                            {"lastseen.request_id=refused-1", "http.response.status_code=401", "lastseen.refused=invalid_credential"},
		"POST /tracking/timeseries/session_by_device/ingest/v1":                    {"lastseen.request_id=ingest-1", "http.response.status_code=200"},
		"GET /tracking/timeseries/session_by_device/ingest/osmand/v1/{credential}": {"lastseen.request_id=app-1"},
		"_OTHER (none)": {"lastseen.request_id=nowhere-1", "http.response.status_code=404"},
	} {
		for _, attribute := range attributes {
			if !slices.Contains(names[name], attribute) {
				t.Errorf("the span %s has not %s but %q; the spans are %q", name, attribute, names[name], slices.Sorted(maps.Keys(names)))
			}
		}
	}
	if !slices.ContainsFunc(c.spans, func(s *tracepb.Span) bool {
		return s.Name == "clickhouse query" && parents[string(s.ParentSpanId)] == "GET /orgs/api_keys/usage/v1"
	}) {
		t.Errorf("no statement's span belongs to its request: %v", names)
	}
	for name := range names {
		if strings.Contains(name, "last_seen") || strings.Contains(name, "healthz") {
			t.Errorf("%s is traced", name)
		}
	}
	for _, secret := range secrets {
		if bytes.Contains(c.raw.Bytes(), []byte(secret)) {
			t.Errorf("the traces have %q", secret)
		}
	}
	if !slices.Contains(c.about, "service.name=lastseen") {
		t.Errorf("the traces are of %q", c.about)
	}
	c.spans = nil
	c.raw.Reset()
}

func TestACollectorThatIsAwayIsSaidOnceAndHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	var log lockedBuffer
	app := &App{config: appConfig{
		log: slog.New(slog.NewJSONHandler(&log, nil)), tracing: tracingConfig{endpoint: gone.URL + "/v1/traces", sample: 1, patience: 200 * time.Millisecond},
	}}
	if err := startTracing(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for range 10_000 { // more than the queue has room for
		_, span := app.config.server.Tracer.Start(t.Context(), "x")
		span.End()
	}
	if err := app.Stop(t.Context()); err != nil {
		t.Errorf("Stop: %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	if said := log.String(); !strings.Contains(said, "traces") || strings.Count(said, `"level":"WARN"`) > 2 {
		t.Errorf("the log says %s", said)
	}
}

// lockedBuffer is a bytes.Buffer that several goroutines may use.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

// Write implements io.Writer.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

// String returns what was written.
func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

func TestWhereTracesGoIsSaidByFlagsAndByTheStandardVariables(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		env  []string
		args []string
		want string // of config check
	}{
		{nil, nil, ""},
		{[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318"}, nil, "http://collector:4318 OTEL_EXPORTER_OTLP_ENDPOINT"},
		{[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318", "LASTSEEN_OTLP_ENDPOINT=http://other:4318"}, nil, "http://other:4318 LASTSEEN_OTLP_ENDPOINT"},
	} {
		stdout, stderr, code := command(t, test.env, "config", "check")
		line := ""
		for text := range strings.Lines(stdout) {
			if fields := strings.Fields(text); len(fields) > 0 && fields[0] == "otlp-endpoint" {
				line = strings.Join(fields[1:], " ")
			}
		}
		if code != 0 || strings.TrimSuffix(line, "default") != test.want {
			t.Errorf("%v: %q, %q, exit code %d", test.env, line, stderr, code)
		}
	}
	for value, want := range map[string]string{"collector:4318": "must be an address", "http://u:hunter2@collector:4318": "must have no user", "http://": "must be an address"} {
		_, stderr, code := command(t, nil, "serve", "--otlp-endpoint", value)
		if code != 2 || !strings.Contains(stderr, want) || strings.Contains(stderr, "hunter2") {
			t.Errorf("%s: %q, exit code %d", value, stderr, code)
		}
	}
	for endpoint, want := range map[string]string{
		"": "", "http://c:4318": "http://c:4318/v1/traces", "http://c:4318/": "http://c:4318/v1/traces", "https://c/otlp": "https://c/otlp/v1/traces",
		"http://c/v1/traces": "http://c/v1/traces",
	} {
		if got, err := tracesAddress(endpoint); err != nil || got != want {
			t.Errorf("%q: %q, %v", endpoint, got, err)
		}
	}
	if config := (&tracingFlags{OTLPEndpoint: "http://c", TraceSample: 0.5}).tracing(); config.endpoint != "http://c/v1/traces" || config.sample != 0.5 {
		t.Errorf("got %s, %g", config.endpoint, config.sample)
	}
}
