package importer_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"lastseen.example/client"

	"lastseen/cmd/lastseen/importer"
)

// station is a server that remembers. A point is as it came over the wire.
type station struct {
	mu       sync.Mutex
	devices  map[string]string   // id by address
	sessions map[string]string   // id by device
	names    map[string]string   // reference by session
	points   map[string][]string // timestamps by session, in the order of their arrival
	batches  []int
	fail     error
}

func newStation() *station {
	return &station{devices: map[string]string{}, sessions: map[string]string{}, names: map[string]string{}, points: map[string][]string{}}
}

func (s *station) RegisterDevice(_ context.Context, device client.Device) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if strings.HasPrefix(device.MACAddress, "taken") {
		return "", fmt.Errorf("register: %w", &client.Problem{Status: 409, Detail: "Another organisation has it."})
	}
	if !regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`).MatchString(device.MACAddress) {
		return "", fmt.Errorf("%q is no address", device.MACAddress)
	}
	if s.devices[device.MACAddress] == "" {
		s.devices[device.MACAddress] = fmt.Sprintf("device%d", len(s.devices))
	}
	return s.devices[device.MACAddress], nil
}

func (s *station) Organisation(context.Context) (string, error) { return "org_own", nil }

func (s *station) EnsureSession(_ context.Context, deviceID string, session client.NewSession) (string, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id := s.sessions[deviceID]; id != "" {
		return id, false, nil
	}
	id := fmt.Sprintf("session%d", len(s.sessions))
	s.sessions[deviceID], s.names[id] = id, session.OffChrtReferenceID
	return id, true, nil
}

func (s *station) Ingest(_ context.Context, ndjson []byte) (result client.IngestResult, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return result, s.fail
	}
	lines := bufio.NewScanner(bytes.NewReader(ndjson))
	count := 0
	for ; lines.Scan(); count++ {
		var point struct {
			SessionID string    `json:"session_id"`
			Timestamp time.Time `json:"timestamp"`
			Latitude  float64   `json:"latitude"`
		}
		if err := json.Unmarshal(lines.Bytes(), &point); err != nil {
			return result, err
		}
		if point.Latitude == 1.5 {
			result.Rejected = append(result.Rejected, struct {
				Index  int    `json:"index"`
				Detail string `json:"detail"`
			}{count, "latitude must be less than 1.5."})
			continue
		}
		s.points[point.SessionID] = append(s.points[point.SessionID], point.Timestamp.Format(time.TimeOnly))
		result.Accepted++
	}
	s.batches = append(s.batches, count)
	return result, nil
}

func source(name, text string) importer.Source {
	return importer.Source{Name: name, Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
}

func run(t *testing.T, s *station, options importer.Options, sources ...importer.Source) (importer.Summary, error) {
	t.Helper()
	i := importer.New(s, options)
	err := i.Run(t.Context(), slices.Values(sources))
	return i.Summary(), err
}

func TestADevicesPointsArriveInTheOrderOfTheFile(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString("device,ts,lat,lon\n")
	for n := range 5000 {
		fmt.Fprintf(&text, "v%d,%d,1,2\n", n%37, 1768435200+n)
	}
	s := newStation()
	sum, err := run(t, s, importer.Options{BatchPoints: 70, InFlight: 4}, source("fleet.csv", text.String()))
	if err != nil || !sum.Complete() || sum.Accepted != 5000 || sum.Sessions != 37 || sum.SessionsCreated != 37 {
		t.Fatalf("summary %+v, error %v", sum, err)
	}
	for id, timestamps := range s.points {
		if !slices.IsSorted(timestamps) {
			t.Errorf("%s (%s): points out of order: %v", id, s.names[id], timestamps)
		}
	}
	if slices.Max(s.batches) > 70 {
		t.Errorf("a request of %d points, want at most 70", slices.Max(s.batches))
	}
	again, err := run(t, s, importer.Options{}, source("fleet.csv", text.String()))
	if err != nil || again.Accepted != 5000 || again.SessionsCreated != 0 || again.Sessions != 37 {
		t.Errorf("imported again: %+v, error %v", again, err)
	}
}

func TestWhatIsRejectedIsReportedWithItsPlaceAndTheRestIsKept(t *testing.T) {
	t.Parallel()
	s := newStation()
	sum, err := run(t, s, importer.Options{},
		source("a.csv", "device,ts,lat,lon\nx,1768435200,1,2\nx,1768435201,91,2\nx,soon,1,2\ntaken,1768435200,1,2\nx,1768435204,1,2\ntaken,1768435201,1,2\nx,1768435206,1.5,2\n"),
		importer.Source{Name: "none.csv", Open: func() (io.ReadCloser, error) { return nil, errors.New("no such file") }},
		source("b.json", `[{"device":"x","ts":1768435202,"lat":1,"lon":2}, {`),
		source("c.ndjson", `{"session_id":"s\"1","ts":1768435203,"lat":1,"lon":2}`))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(sum.Reasons)
	if _, sent := s.points[sum.FirstSession]; !sent {
		t.Errorf("%q is called one of the sessions", sum.FirstSession)
	}
	sum.FirstSession = ""
	want := importer.Summary{
		Read: 9, Accepted: 4, Rejected: 5, Sessions: 2, SessionsCreated: 1,
		Reasons: []string{
			"a.csv:3: the latitude 91 is not from -90 to 90",
			`a.csv:4: the timestamp (column ts) "soon" is not a time such as 2026-01-15T09:30:00Z, 2026-01-15T11:30:00+02:00, or Unix seconds or milliseconds`,
			"a.csv:8: latitude must be less than 1.5.",
		},
		Refused: []importer.Refusal{{
			Device: "taken", Where: "a.csv:5", Points: 2, Taken: true,
			Reason: "register: the server answered 409: Another organisation has it.",
		}},
		FilesFailed: []string{
			"none.csv: the file cannot be opened: no such file",
			"b.json: line 1 is not JSON, and nothing after it was read: unexpected EOF",
		},
	}
	if diff := cmp.Diff(want, sum); diff != "" {
		t.Errorf("summary differs (-want +got):\n%s", diff)
	}
	if got := s.points[`s"1`]; len(got) != 1 {
		t.Errorf("a point with a session of its own went to %v", slices.Collect(maps.Keys(s.points)))
	}
}

func TestRowsWithTheSameFaultAreSummedUp(t *testing.T) {
	t.Parallel()
	text := "ts,lat,lon\n" + strings.Repeat("x,1,2\n", 100) + "1768435200,91,2\n1768435201,91.5,2\n"
	sum, err := run(t, newStation(), importer.Options{}, source("a.csv", text))
	if err != nil || sum.Rejected != 102 || len(sum.Reasons) != 20+1+2 || sum.Complete() {
		t.Fatalf("summary %+v, error %v", sum, err)
	}
	if got := sum.Reasons[20]; got != "and 80 more rows with the same fault as a.csv:2" {
		t.Errorf("the rest is summed up as %q", got)
	}
	if got := sum.Reasons[22]; got != "a.csv:103: the latitude 91.5 is not from -90 to 90" {
		t.Errorf("another fault is shown as %q", got)
	}
}

func TestAFileOfWhichNothingIsTakenLeavesNoDeviceAndNoSession(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no row parses":       "device,ts,lat,lon\nv,soon,1,2\n",
		"no place on Earth":   "device,ts,lat,lon\nv,1768435200,91,2\nw,1768435200,1,-180.5\n",
		"a clock never set":   "device,ts,lat,lon\nv,946684799,1,2\n",
		"a time yet to come":  "device,ts,lat,lon\nv,2100-01-01T00:00:00Z,1,2\n",
		"older than is kept":  "device,ts,lat,lon\nv,2020-01-01T00:00:00Z,1,2\n",
		"the file is refused": "%PDF-1.7\n",
	} {
		s := newStation()
		sum, err := run(t, s, importer.Options{KeptFor: 30 * 24 * time.Hour}, source("a.csv", text))
		if err != nil || sum.Accepted != 0 || sum.Complete() || len(s.devices)+len(s.sessions) != 0 {
			t.Errorf("%s: %d devices, %d sessions, summary %+v, error %v", name, len(s.devices), len(s.sessions), sum, err)
		}
	}
}

func TestAnUnusedIdentityIsTold(t *testing.T) {
	t.Parallel()
	sum, err := run(t, newStation(), importer.Options{}, source("a.csv", "ts,lat,lon,uid\n1768435200,1,2,anna\n1768435201,1,2,bert\n"))
	if diff := cmp.Diff([]string{"a.csv: column uid is not used; --map device=uid?"}, sum.Notes); err != nil || diff != "" {
		t.Errorf("error %v, notes differ (-want +got):\n%s", err, diff)
	}
}

func TestAServerThatFailsStopsTheImport(t *testing.T) {
	t.Parallel()
	s := newStation()
	s.fail = errors.New("out of reach")
	endless := func(yield func(importer.Source) bool) {
		for yield(source("a.csv", "ts,lat,lon\n"+strings.Repeat("1768435200,1,2\n", 1000))) {
		}
	}
	i := importer.New(s, importer.Options{BatchPoints: 10})
	if err := i.Run(t.Context(), endless); !errors.Is(err, s.fail) {
		t.Errorf("Run = %v, want %v", err, s.fail)
	}
}

func TestNamesThatAreNoAddressesGetOneOfTheirOwn(t *testing.T) {
	t.Parallel()
	s := newStation()
	names := []string{"van 7", "van-7", "van_7", "Zürich", "日本", strings.Repeat("a", 65), strings.Repeat("a", 66), "a/b", "ünïcode", "~", strings.Repeat("ü b", 500), "v:1"}
	var text strings.Builder
	text.WriteString("device,ts,lat,lon\n")
	for _, name := range names {
		fmt.Fprintf(&text, "%s,1768435200,1,2\n", name)
	}
	for range 2 {
		sum, err := run(t, s, importer.Options{}, source("a.csv", text.String()))
		if err != nil || !sum.Complete() || len(s.devices) != len(names) {
			t.Fatalf("%d devices for %d names, summary %+v, error %v", len(s.devices), len(names), sum, err)
		}
	}
	if s.devices["van-7"] == "" || s.devices["van_7"] == "" || s.devices["v:1"] == "" {
		t.Errorf("names that fit were not kept: %v", s.devices)
	}
	if got := s.names[s.sessions[s.devices["v:1"]]]; got != "" {
		t.Errorf("%q became a reference id, which has no colon", got)
	}
	if got := s.names[s.sessions[s.devices["van-7"]]]; got != "van-7" {
		t.Errorf("the session of van-7 has the reference %q", got)
	}
}
