package main

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"lastseen/schema/clickhousetest"
	"lastseen/schema/schematest"
)

// storeFault is something that can be wrong with a ClickHouse server.
type storeFault struct {
	name string
	// begin and end make it so and undo it.
	begin, end func(*faultTrial) error
	// says is a part of the sentence that /readyz and the log have.
	says string
	// retryAfter is what points are answered with, besides 503.
	retryAfter string
	// reads is whether histories can still be read.
	reads bool
}

// faultTrial is a service on a server behind a proxy.
type faultTrial struct {
	*storeService
	server *clickhousetest.Server
	proxy  *toxiproxy.Proxy
}

func (f *faultTrial) restartAs(users string) error {
	f.server.SetUsers(users)
	return errors.Join(f.server.Kill(), f.server.Start())
}

// ask runs a statement as the server's user default.
func (f *faultTrial) ask(statement string) error {
	response, err := http.Post(f.server.URL(""), "text/plain", strings.NewReader(statement))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(string(text))
	}
	return err
}

const pointsTable = "lastseen.session_by_device_data_points"

// poison makes the proxy treat every connection badly.
func (f *faultTrial) poison(kind, stream, attributes string) error {
	_, err := f.proxy.Toxics.AddToxicJson(strings.NewReader(`{"type":"` + kind + `","stream":"` + stream + `","attributes":` + attributes + `}`))
	return err
}

// cure undoes poison. Another proxy takes the place of the one, which would first pass on all that it has
// delayed.
func (f *faultTrial) cure() error {
	f.proxy.Stop()
	f.proxy = newProxy(f.proxy.Listen, f.server)
	return f.proxy.Start()
}

// newProxy makes a proxy that does not listen yet.
func newProxy(listen string, server *clickhousetest.Server) *toxiproxy.Proxy {
	proxies := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.New(io.Discard))
	return toxiproxy.NewProxy(proxies, "store", listen, server.Address())
}

// storeFaults are those that concern a whole server.
var storeFaults = []storeFault{
	{
		name: "killed", says: "out of reach", retryAfter: "5",
		begin: func(f *faultTrial) error { return f.server.Kill() },
		end:   func(f *faultTrial) error { return f.server.Start() },
	},
	{
		name: "stopped and resumed", says: "out of reach", retryAfter: "5",
		begin: func(f *faultTrial) error { return f.server.Freeze() },
		end:   func(f *faultTrial) error { return f.server.Thaw() },
	},
	{
		name: "refusing connections", says: "out of reach", retryAfter: "5",
		begin: func(f *faultTrial) error { f.proxy.Stop(); return nil },
		end:   func(f *faultTrial) error { return f.proxy.Start() },
	},
	{
		name: "passing nothing on", says: "out of reach", retryAfter: "5",
		begin: func(f *faultTrial) error { return f.poison("timeout", "downstream", `{"timeout":0}`) },
		end:   (*faultTrial).cure,
	},
	{
		// The statements arrive, and their answers do not.
		name: "losing its answers", says: "out of reach", retryAfter: "5",
		begin: func(f *faultTrial) error { return f.poison("limit_data", "downstream", `{"bytes":10}`) },
		end:   (*faultTrial).cure,
	},
	{
		name: "another password", says: "password", retryAfter: "5",
		begin: func(f *faultTrial) error { return f.restartAs(storeUser("another", "", neededGrants...)) },
		end:   func(f *faultTrial) error { return f.restartAs(storeUser("secret", "", neededGrants...)) },
	},
	{
		name: "a user without rights", says: "lacks a right", retryAfter: "5",
		begin: func(f *faultTrial) error { return f.restartAs(storeUser("secret", "", "SELECT ON system.one")) },
		end:   func(f *faultTrial) error { return f.restartAs(storeUser("secret", "", neededGrants...)) },
	},
	{
		name: "read-only", says: "read-only", retryAfter: "5", reads: true,
		begin: func(f *faultTrial) error {
			return f.restartAs(storeUser("secret", "<readonly>2</readonly>", neededGrants...))
		},
		end: func(f *faultTrial) error { return f.restartAs(storeUser("secret", "", neededGrants...)) },
	},
	{
		name: "too many parts", says: "merges", retryAfter: "5", reads: true,
		begin: func(f *faultTrial) error {
			return f.ask("ALTER TABLE " + pointsTable + " MODIFY SETTING parts_to_throw_insert = 1, parts_to_delay_insert = 0")
		},
		end: func(f *faultTrial) error {
			return f.ask("ALTER TABLE " + pointsTable + " RESET SETTING parts_to_throw_insert, parts_to_delay_insert")
		},
	},
	{
		name: "memory limit exceeded", says: "out of memory", retryAfter: "5",
		begin: func(f *faultTrial) error {
			return f.restartAs(storeUser("secret", "<max_memory_usage>1</max_memory_usage><max_untracked_memory>1</max_untracked_memory>", neededGrants...))
		},
		end: func(f *faultTrial) error { return f.restartAs(storeUser("secret", "", neededGrants...)) },
	},
	{
		name: "disk full", says: "disk", retryAfter: "30", reads: true,
		begin: func(f *faultTrial) error {
			return f.ask("ALTER TABLE " + pointsTable + " MODIFY SETTING min_free_disk_bytes_to_perform_insert = 1000000000000000000")
		},
		end: func(f *faultTrial) error {
			return f.ask("ALTER TABLE " + pointsTable + " MODIFY SETTING min_free_disk_bytes_to_perform_insert = 0")
		},
	},
}

// newFaultTrial starts a service on a server behind a proxy, for as long as the test lasts.
func newFaultTrial(t *testing.T, org string) *faultTrial {
	t.Helper()
	server := storeServer(t)
	proxy := newProxy("127.0.0.1:0", server)
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	f := &faultTrial{server: server, proxy: proxy}
	t.Cleanup(func() { f.proxy.Stop() })
	f.storeService = startOnStore(t, storeEnv, t.TempDir(), "http://"+proxy.Listen, "--admin-addr=")
	f.begin(t, org)
	return f
}

// TestAServiceOutlivesFaultsOfItsStore breaks a ClickHouse server in every way in turn under one service.
func TestAServiceOutlivesFaultsOfItsStore(t *testing.T) {
	t.Parallel()
	schematest.OnlyOn(t, schematest.Embedded, "the test starts its own server")
	f := newFaultTrial(t, "org_faults")
	for _, fault := range storeFaults {
		t.Run(fault.name, func(t *testing.T) { f.outlive(t, fault) })
	}
	t.Run("an insert cut in the middle", f.insertCutInTheMiddle)
	t.Run("a stream failed in the middle", f.streamFailedInTheMiddle)
	t.Run("slow", f.slow)
	if err := f.terminate(); err != nil {
		t.Error(err)
	}
}

// insertCutInTheMiddle breaks the connection within an insert. It is tried again once, and cut once more.
func (f *faultTrial) insertCutInTheMiddle(t *testing.T) {
	if err := f.poison("limit_data", "upstream", `{"bytes":30000}`); err != nil {
		t.Fatal(err)
	}
	if status, retryAfter := f.sendPoints(t, 5000); status != http.StatusServiceUnavailable || retryAfter != "5" {
		t.Errorf("points whose insert is cut are answered %d, Retry-After %q", status, retryAfter)
	}
	if err := f.cure(); err != nil {
		t.Fatal(err)
	}
	f.sendUntilTaken(t)
	f.checkHistory(t)
}

// slow delays every answer, which delays callers and nothing else.
func (f *faultTrial) slow(t *testing.T) {
	_, before := f.lines.from(0)
	if err := f.poison("latency", "downstream", `{"latency":300}`); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if status, _ := f.sendPoints(t, 1); status != http.StatusOK || time.Since(began) < 300*time.Millisecond {
		t.Errorf("with a slow store points are answered %d after %s", status, time.Since(began))
	}
	if status, at := f.lastSeen(t); status != http.StatusOK || at != f.newest() {
		t.Errorf("last_seen is answered %d with the point at %d, want 200 and %d", status, at, f.newest())
	}
	if lines, _ := f.lines.from(before); slices.ContainsFunc(lines, func(l logLine) bool { return l.Level == "ERROR" }) {
		t.Errorf("a slow store is logged as an error: %v", lines)
	}
	if err := f.cure(); err != nil {
		t.Fatal(err)
	}
	f.sendUntilTaken(t)
}

// streamFailedInTheMiddle makes a query fail while its answer is sent.
func (f *faultTrial) streamFailedInTheMiddle(t *testing.T) {
	const enough = 200_000 // more than buffers hold
	for range enough / 50_000 {
		if status, _ := f.sendPoints(t, 50_000); status != http.StatusOK {
			t.Fatalf("many points are answered %d", status)
		}
	}
	_, before := f.lines.from(0)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.base+"/tracking/timeseries/session_by_device/data_points/v1?"+url.Values{
		"session_id": {f.session}, "start_timestamp": {"2000-01-01T00:00:00Z"}, "end_timestamp": {"2100-01-01T00:00:00Z"},
	}.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+f.key)
	request.Header.Set("Accept-Encoding", "identity") // compressed it is so short that buffers do hold it
	// The query goes on for seconds, and the client, who is never slow, does not have it suspended.
	if err := f.poison("bandwidth", "downstream", `{"rate":1000}`); err != nil {
		t.Fatal(err)
	}
	response, err := requests.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.ReadFull(response.Body, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if err := f.ask("KILL QUERY WHERE user = 'lastseen' AND query LIKE '%session_by_device_data_points%' SYNC"); err != nil {
		t.Fatal(err)
	}
	if err := f.proxy.Toxics.RemoveToxic(t.Context(), "bandwidth_downstream"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, response.Body); err == nil {
		t.Error("a history whose query was killed ended in order")
	}
	f.waitReady(t, http.StatusOK, "ready")
	f.waitLogged(t, before, func(l logLine) bool { return l.Cut })
	lines, _ := f.lines.from(before)
	for _, line := range lines {
		if strings.Contains(line.Msg, "ClickHouse") {
			t.Errorf("one failed query is logged as %s", line.text)
		}
	}
}

// outlive breaks the server, looks at what callers see, mends it, and looks again.
func (f *faultTrial) outlive(t *testing.T, fault storeFault) {
	_, before := f.lines.from(0)
	if err := fault.begin(f); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	f.refusesPoints(t, fault)
	t.Logf("the first refusal came after %s", time.Since(began).Round(time.Millisecond))
	f.waitReady(t, http.StatusServiceUnavailable, fault.says)
	f.waitLogged(t, before, func(l logLine) bool { return strings.Contains(l.Msg, fault.says) })
	for range 20 { // none of which is to have a line of its own
		f.refuses(t, fault)
	}
	ending := time.Now()
	if err := fault.end(f); err != nil {
		t.Fatal(err)
	}
	mended := time.Now()
	t.Logf("broken for %s, mended in %s", ending.Sub(began).Round(time.Millisecond), mended.Sub(ending).Round(time.Millisecond))
	f.sendUntilTaken(t)
	points := time.Since(mended)
	f.waitReady(t, http.StatusOK, "ready")
	t.Logf("points were taken %s after the store was back, /readyz said so after %s", points.Round(time.Millisecond), time.Since(mended).Round(time.Millisecond))
	f.checkHistory(t)
	f.checkLog(t, before, fault)
}

// sendUntilTaken sends points until some are taken.
func (f *faultTrial) sendUntilTaken(t *testing.T) {
	t.Helper()
	began := time.Now()
	for status := 0; status != http.StatusOK; {
		if status, _ = f.sendPoints(t, 1); time.Since(began) > 10*time.Second {
			t.Fatal("points are refused 30 s after the store is back")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (f *faultTrial) refusesPoints(t *testing.T, fault storeFault) {
	t.Helper()
	if status, retryAfter := f.sendPoints(t, 1); status != http.StatusServiceUnavailable || retryAfter != fault.retryAfter {
		t.Errorf("points are answered %d, Retry-After %q, want 503 and %q", status, retryAfter, fault.retryAfter)
	}
}

// refuses checks what callers see while the store is broken.
func (f *faultTrial) refuses(t *testing.T, fault storeFault) {
	t.Helper()
	f.refusesPoints(t, fault)
	if status, at := f.lastSeen(t); status != http.StatusOK || at != f.newest() {
		t.Errorf("last_seen is answered %d with the point at %d, want 200 and %d", status, at, f.newest())
	}
	want := http.StatusServiceUnavailable
	if fault.reads {
		want = http.StatusOK
	}
	status, body, err := f.do(t.Context(), http.MethodGet, "/tracking/timeseries/session_by_device/data_points/v1", url.Values{
		"session_id": {f.session}, "start_timestamp": {"2000-01-01T00:00:00Z"}, "end_timestamp": {"2100-01-01T00:00:00Z"},
	}, f.key, "")
	if err != nil || status != want {
		t.Errorf("a history is answered %d %.200s (%v), want %d", status, body, err, want)
	}
}

// waitReady waits until /readyz answers with a status and a text.
func (f *faultTrial) waitReady(t *testing.T, want int, says string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		status, body, err := f.do(t.Context(), http.MethodGet, "/readyz", nil, "", "")
		if err == nil && status == want && strings.Contains(string(body), says) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("/readyz answers %d %s (%v), want %d with %q", status, body, err, want, says)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// waitLogged waits until the log has a line after a place.
func (s *storeService) waitLogged(t *testing.T, from int, wanted func(logLine) bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		lines, _ := s.lines.from(from)
		if slices.ContainsFunc(lines, wanted) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the log has no such line in %v", lines)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// checkLog checks that the log has said once what was wrong and once that it is over, and has not told of
// every request.
func (f *faultTrial) checkLog(t *testing.T, from int, fault storeFault) {
	t.Helper()
	lines, _ := f.lines.from(from)
	wrong, over, others := 0, 0, 0
	for _, line := range lines {
		switch {
		case strings.Contains(line.Msg, fault.says):
			wrong++
		case line.Msg == "ClickHouse serves again.":
			over++
		case line.Level != "INFO":
			others++
		}
		if strings.Contains(line.text, "secret") {
			t.Errorf("the log holds the password: %s", line.text)
		}
	}
	// Some faults begin and end with a restart of the server, which has lines of its own; a line for each request that
	// fails would be dozens.
	if wrong != 1 || over < 1 || over > 2 || others > 10 {
		t.Errorf("the log says %d times what is wrong, %d times that it is over, and has %d other warnings", wrong, over, others)
		for _, line := range lines {
			t.Log(line.text)
		}
	}
}
