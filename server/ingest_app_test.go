package server

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lastseen/ingest/registry"
	"lastseen/keys"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

// appPoint is what is stored of a point that an app has sent.
type appPoint struct {
	Timestamp string `json:"timestamp"`
	Location  struct {
		Geometry struct {
			Coordinates []float64 `json:"coordinates"`
		} `json:"geometry"`
		Properties map[string]float64 `json:"properties"`
	} `json:"location"`
}

// stored returns the points of a session in a line each.
func (s *service) stored(org, session string) (lines []string) {
	s.Helper()
	key, _ := s.key(org, schema.KindAPIKey)
	r := s.get(pathDataPoints+"?session_id="+session+"&start_timestamp=2000-01-01T00:00:00Z&end_timestamp=2100-01-01T00:00:00Z", key, 200)
	var history struct {
		DataPoints []appPoint `json:"data_points"`
	}
	if err := json.Unmarshal(r.body, &history); err != nil {
		s.Fatal(err)
	}
	for _, p := range history.DataPoints {
		properties, _ := json.Marshal(p.Location.Properties)
		lines = append(lines, fmt.Sprintf("%s %v %s", p.Timestamp, p.Location.Geometry.Coordinates, properties))
	}
	return lines
}

const ownTracksLocation = `{"_type":"location","_id":"4f2a91bc","acc":14,"alt":212,"batt":76,"bs":1,"BSSID":"02:00:5e:10:20:30","cog":118,"conn":"w","created_at":1777629602,"inregions":["Depot"],"lat":48.137154,"lon":11.576124,"m":1,"t":"u","tid":"v7","topic":"owntracks/anna/van7","tst":1777629600,"vac":9,"vel":43}`

const overlandBatch = `{"locations":[` +
	`{"type":"Feature","geometry":{"type":"Point","coordinates":[11.5761240,48.1371540]},"properties":{"timestamp":"2026-05-01T10:00:00Z","altitude":519,"speed":12,"course":274,"horizontal_accuracy":5,"vertical_accuracy":4,"battery_state":"unplugged","battery_level":0.83,"wifi":"","device_id":"van7","motion":["driving"]}},` +
	`{"type":"Feature","geometry":{"type":"Point","coordinates":[11.5752000,48.1371900]},"properties":{"timestamp":"2026-05-01T10:00:05Z","altitude":0,"speed":-1,"course":-1,"horizontal_accuracy":65,"vertical_accuracy":-1,"battery_level":-1,"device_id":"van7"}},` +
	`{"type":"Feature","geometry":{"type":"Point","coordinates":[11.5753000,48.1371900]},"properties":{"timestamp":"2026-05-01T10:00:05Z","device_id":"van7"}},` +
	`{"type":"Feature","geometry":{"type":"Point","coordinates":[11.5752000,48.1371900]},"properties":{"timestamp":"2026-05-01T10:04:00Z","action":"visit","device_id":"van7"}},` +
	`{"type":"Feature","geometry":{"type":"Point","coordinates":[11.5752000,48.1371900]},"properties":{"timestamp":"2026-05-01T10:05:00Z","type":"trip","device_id":"van7"}},` +
	`{"type":"Feature","properties":{"timestamp":"2026-05-01T10:06:00Z","action":"paused_location_updates","device_id":"van7"}}],` +
	`"current":{"type":"Feature","geometry":{"type":"Point","coordinates":[11.5752100,48.1371800]},"properties":{"timestamp":"2026-05-01T10:06:30Z","altitude":519,"speed":0,"course":-1,"horizontal_accuracy":8,"device_id":"van7"}},"trip":{"mode":"car"}}`

const traccarClient9 = `{"location":{"timestamp":"2026-05-01T10:00:00.587Z","coords":{"latitude":48.137154,"longitude":11.576124,"accuracy":4.7,"speed":11.94,"heading":274,"altitude":519.2,"speed_accuracy":-1},"is_moving":true,"event":"motionchange","battery":{"level":0.83}},"device_id":"82871156"}`

const forwarded = `{"position":{"id":48211,"attributes":{"batteryLevel":83.0,"distance":119.4,"temp1":4.5},"deviceId":7,"fixTime":"2026-05-01T10:00:00.000+00:00","outdated":false,"valid":true,"latitude":48.137154,"longitude":11.576124,"altitude":519.2,"speed":23.219,"course":274.0,"address":null,"accuracy":0.0},"device":{"id":7,"name":"Van 7","uniqueId":"359632106000007"}}`

const (
	place    = "[11.576124 48.137154]"
	placeAt5 = "[11.576124 48.137154 519.2]"
	moving   = `{"accuracy":4.7,"battery":0.83,"heading":274,"speed":11.94}`
)

func TestAppsAreUnderstoodAndToldWhatMakesThemForget(t *testing.T) {
	t.Parallel()
	s := start(t)
	credential, _ := s.key("org_a", schema.KindDeviceCredential)
	form := header{"Content-Type", "application/x-www-form-urlencoded; charset=UTF-8"}
	asJSON := header{"Content-Type", "application/json; charset=utf-8"}
	parameters := "id=%s&lat=48.137154&lon=11.576124&altitude=519.2&"
	for name, test := range map[string]struct {
		device, method, path, body string
		headers                    []header
		answer                     string
		want                       []string
	}{
		"OwnTracks": {"anna/van7", "POST", "owntracks/v1", ownTracksLocation, []header{asJSON}, "[]",
			[]string{`2026-05-01T10:00:00Z [11.576124 48.137154 212] {"accuracy":14,"battery":0.76,"heading":118,"speed":11.94}`}},
		"OwnTracks by its headers": {"bert/phone", "POST", "owntracks/v1", `{"_type":"location","lat":48.137154,"lon":11.576124,"tst":1777629600.0,"acc":0,"batt":-1,"vel":-1}`,
			[]header{{"X-Limit-U", "bert"}, {"X-Limit-D", "phone"}}, "[]", []string{`2026-05-01T10:00:00Z ` + place + ` {}`}},
		"Overland": {"van7", "POST", "overland/v1", overlandBatch, []header{asJSON}, `{"result":"ok"}`, []string{
			`2026-05-01T10:00:00Z [11.576124 48.137154 519] {"accuracy":5,"battery":0.83,"heading":274,"speed":12}`,
			`2026-05-01T10:00:05Z [11.5752 48.13719] {"accuracy":65}`,
			`2026-05-01T10:00:05.001Z [11.5753 48.13719] {}`,
			`2026-05-01T10:06:30Z [11.57521 48.13718 519] {"accuracy":8,"speed":0}`,
		}},
		"OsmAnd": {"osmand1", "GET", "osmand/v1?" + fmt.Sprintf(parameters, "osmand1") + "timestamp=1777629600123&hdop=4.7&speed=11.94&bearing=274.0&batproc=83", "", nil, "",
			[]string{`2026-05-01T10:00:00.123Z ` + placeAt5 + ` ` + moving}},
		"OsmAnd, which knows nothing more": {"osmand2", "GET", "osmand/v1?id=osmand2&lat=48.137154&lon=11.576124&timestamp=1777629600123&hdop=0.0&altitude=0.0&speed=0.0&bearing=0.0", "", nil, "",
			[]string{`2026-05-01T10:00:00.123Z ` + place + ` {}`}},
		"Traccar Client 7": {"trc7", "POST", "traccar_client/v1?" + fmt.Sprintf(parameters, "trc7") + "timestamp=1777629600&speed=23.2095&bearing=274.0&accuracy=4.7&batt=83.0&charge=true", "", nil, "",
			[]string{`2026-05-01T10:00:00Z ` + placeAt5 + ` ` + moving}},
		"Traccar Client 9": {"82871156", "POST", "traccar_client/v1", traccarClient9, []header{asJSON}, "", []string{`2026-05-01T10:00:00.587Z ` + placeAt5 + ` ` + moving}},
		"Traccar Client 10": {"trc10", "POST", "traccar_client/v1", fmt.Sprintf(parameters, "trc10") + "timestamp=2026-05-01+10%3A00%3A00&speed=23.2095&bearing=274.0&accuracy=4.7&batt=-1", []header{form}, "",
			[]string{`2026-05-01T10:00:00Z ` + placeAt5 + ` {"accuracy":4.7,"heading":274,"speed":11.94}`}},
		"GPSLogger's address": {"gps1", "GET", "gpslogger/v1?id=gps1&lat=48.137154&lon=11.576124&alt=519.2&spd=11.94&acc=4.7&dir=274.0&prov=gps&time=2026-05-01T10%3A00%3A00.123Z&timestamp=1777629600&batt=83.0", "", nil, "",
			[]string{`2026-05-01T10:00:00.123Z ` + placeAt5 + ` ` + moving}},
		"GPSLogger's body without a type": {"gps2", "POST", "gpslogger/v1", `{"points":[{"device_mac_address":"gps2","timestamp":"2026-05-01T10%3A00%3A00.123Z","latitude":48.137154,"longitude":11.576124,"altitude":519.2,"accuracy":4.7,"speed":11.94,"heading":274.0}]}`, nil, "",
			[]string{`2026-05-01T10:00:00.123Z ` + placeAt5 + ` {"accuracy":4.7,"heading":274,"speed":11.94}`}},
		"GPSLogger's form without a type": {"gps3", "POST", "gpslogger/v1", "id=gps3&lat=48.137154&lon=11.576124&acc=0.0&time=2026-05-01T12%253A00%253A00%252B02%253A00", nil, "",
			[]string{`2026-05-01T10:00:00Z ` + place + ` {}`}},
		"GPSLogger's form whose address names the device": {"gps4", "POST", "gpslogger/v1?id=gps4", "lat=48.137154&lon=11.576124&time=2026-05-01T10%253A00%253A00Z", nil, "",
			[]string{`2026-05-01T10:00:00Z ` + place + ` {}`}},
		"GPSLogger's JSON as a form, with nulls": {"gps5", "POST", "gpslogger/v1?id=gps5", `{"lat":48.137154,"lon":11.576124,"id":null,"time":"2026-05-01T10:00:00Z"}`, []header{form}, "",
			[]string{`2026-05-01T10:00:00Z ` + place + ` {}`}},
		"OsmAnd's form without a type": {"osmand3", "POST", "osmand/v1", "id=osmand3&lat=48.137154&lon=11.576124&timestamp=1777629600", nil, "",
			[]string{`2026-05-01T10:00:00Z ` + place + ` {}`}},
		"Traccar Client 10 without a type": {"trc11", "POST", "traccar_client/v1", "id=trc11&lat=48.137154&lon=11.576124&timestamp=1777629600", nil, "",
			[]string{`2026-05-01T10:00:00Z ` + place + ` {}`}},
		"Traccar Client 9 as a form": {"trc12", "POST", "traccar_client/v1", `{"location":{"timestamp":1777629600,"coords":{"latitude":48.137154,"longitude":11.576124}},"device_id":"trc12"}`, []header{form}, "",
			[]string{`2026-05-01T10:00:00Z ` + place + ` {}`}},
		"OwnTracks as a form, in milliseconds": {"carl/phone", "POST", "owntracks/v1", `{"_type":"location","lat":48.137154,"lon":11.576124,"tst":1777629600123,"tid":7,"topic":"owntracks/carl/phone"}`, []header{form}, "[]",
			[]string{`2026-05-01T10:00:00.123Z ` + place + ` {}`}},
		"a Traccar server as a form": {"359632106000008", "POST", "traccar/v1", strings.Replace(forwarded, "359632106000007", "359632106000008", 1), []header{form}, "",
			[]string{`2026-05-01T10:00:00Z ` + placeAt5 + ` {"battery":0.83,"heading":274,"speed":11.94}`}},
		"a Traccar server": {"359632106000007", "POST", "traccar/v1", forwarded, []header{asJSON}, "",
			[]string{`2026-05-01T10:00:00Z ` + placeAt5 + ` {"battery":0.83,"heading":274,"speed":11.94}`}},
	} {
		t.Run(name, func(t *testing.T) {
			session := s.sessionOf("org_a", test.device)
			for range 2 { // apps repeat what they had no answer to
				r := s.do(test.method, pathApps+test.path, credential, strings.NewReader(test.body), test.headers...)
				if r.StatusCode != 200 || string(r.body) != test.answer || test.answer != "" && r.Header.Get("Content-Type") != "application/json" {
					t.Errorf("the answer is %s %q %s, want %q", r.Status, r.Header.Get("Content-Type"), r.body, test.answer)
				}
			}
			if diff := cmp.Diff(test.want, s.stored("org_a", session)); diff != "" {
				t.Errorf("points differ (-want +got):\n%s", diff)
			}
		})
	}
}

// sessionOf gives an app's device a session.
func (s *service) sessionOf(org, name string) string {
	s.Helper()
	return s.session(org, addressOf(name))
}

func TestMessagesThatAreNoPositionsAreTakenAndStoreNothing(t *testing.T) {
	t.Parallel()
	s := start(t)
	credential, _ := s.key("org_a", schema.KindDeviceCredential)
	session := s.sessionOf("org_a", "anna/van7")
	for body, path := range map[string]string{
		"":                        "owntracks/v1",
		`{"_type":"lwt","tst":1}`: "owntracks/v1",
		`{"_type":"status","topic":"owntracks/anna/van7/status"}`:                                           "owntracks/v1",
		`{"_type":"transition","lat":48.1,"lon":11.5,"tst":1777629610,"topic":"owntracks/anna/van7/event"}`: "owntracks/v1",
		`{"_type":"encrypted","data":"q0L5","topic":"owntracks/anna/van7"}`:                                 "owntracks/v1",
		`{"_type":"something new"}`:       "owntracks/v1",
		`{"locations":[]}`:                "overland/v1",
		`{}`:                              "overland/v1",
		`{"device_id":"x","location":{}}`: "traccar_client/v1",
		`{"event":{"type":"deviceOnline"},"position":{"latitude":1,"longitude":2}}`:                                         "traccar/v1",
		`{"position":{"valid":false,"latitude":1,"longitude":2,"fixTime":1777629600000},"device":{"uniqueId":"anna/van7"}}`: "traccar/v1",
		" ": "traccar/v1",
	} {
		if r := s.do("POST", pathApps+path, credential, strings.NewReader(body), header{"Content-Type", "application/json"}); r.StatusCode != 200 {
			t.Errorf("%s %s: %s %s", path, body, r.Status, r.body)
		}
	}
	s.post(pathApps+"traccar_client/v1?id=van7&notificationToken=x", credential, "", 200)
	s.get(pathApps+"osmand/v1", credential, 200)
	if log := s.log.String(); strings.Count(log, `"rejected":1`) != 0 {
		t.Errorf("the log speaks of positions: %s", log)
	}
	s.get(pathApps+"osmand/v1?id=van7&timestamp=1777629600", credential, 200) // an address that was typed wrongly
	s.get(pathApps+"gpslogger/v1?id=van7", credential, 200)
	if log := s.log.String(); strings.Count(log, `"rejected":1`) != 2 {
		t.Errorf("the log does not say of two positions that they have no place: %s", log)
	}
	if got := s.stored("org_a", session); len(got) != 0 {
		t.Errorf("stored %q", got)
	}
	for body, path := range map[string]string{"{": "owntracks/v1", `{"locations":[`: "overland/v1", "[]": "overland/v1", "x": "traccar/v1", `{"id":"van7","lat":1,"lon":2}`: "osmand/v1", "y": "gpslogger/v1", "z": "traccar_client/v1"} {
		if r := s.do("POST", pathApps+path, credential, strings.NewReader(body), header{"Content-Type", "application/json"}); r.StatusCode != 400 {
			t.Errorf("%s %s: %s, want 400", path, body, r.Status)
		}
	}
}

func TestOneBadPositionKeepsNoBatchBack(t *testing.T) {
	t.Parallel()
	s := start(t)
	credential, _ := s.key("org_a", schema.KindDeviceCredential)
	session := s.sessionOf("org_a", "van7")
	features := make([]string, 1000)
	for n := range features {
		latitude := 40 + float64(n)/1000
		speed := "700"
		switch n {
		case 500:
			latitude = 91
		case 501:
			speed = "1e999" // which is JSON, and no number that there is
		}
		at := time.Date(2026, 5, 1, 10, 0, n, 0, time.UTC).Format(time.RFC3339)
		features[n] = fmt.Sprintf(`{"type":"Feature","geometry":{"type":"Point","coordinates":[11.5,%g]},"properties":{"timestamp":%q,"device_id":"van7","speed":%s}}`, latitude, at, speed)
	}
	for range 2 {
		s.post(pathApps+"overland/v1", credential, `{"locations":[`+strings.Join(features, ",")+`]}`, 200)
	}
	if got := s.stored("org_a", session); len(got) != 999 || got[0] != "2026-05-01T10:00:00Z [11.5 40] {}" {
		t.Errorf("%d points are stored, the first is %q", len(got), got[:min(1, len(got))])
	}
	if !strings.Contains(s.log.String(), `"rejected":1`) {
		t.Error("the log does not say that a point was not taken")
	}
}

func TestAnAppsCredentialComesWhereTheAppCanPutItAndIsNeverShown(t *testing.T) {
	t.Parallel()
	s := start(t)
	credential, _ := s.key("org_a", schema.KindDeviceCredential)
	key, _ := s.key("org_a", schema.KindAPIKey)
	session := s.sessionOf("org_a", "van7")
	basic := func(user, password string) header {
		return header{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))}
	}
	at := 1777629600
	message := func() string {
		at++
		return fmt.Sprintf("id=van7&lat=1&lon=2&timestamp=%d", at)
	}
	for name, test := range map[string]struct {
		path    string
		headers []header
		status  int
	}{
		"Bearer":                   {"osmand/v1?", []header{{"Authorization", "Bearer " + credential}}, 200},
		"a Basic password":         {"osmand/v1?", []header{basic("anna", credential)}, 200},
		"a Basic user":             {"osmand/v1?", []header{basic(credential, "")}, 200},
		"Basic without base64":     {"osmand/v1?", []header{{"Authorization", "Basic " + credential + ":"}}, 200},
		"the path":                 {"osmand/v1/" + credential + "?", nil, 200},
		"a parameter":              {"osmand/v1?token=" + credential + "&", nil, 200},
		"an API key in the path":   {"osmand/v1/" + key + "?", nil, 403},
		"an API key as a password": {"osmand/v1?", []header{basic("x", key)}, 403},
		"a bad one in the path":    {"osmand/v1/" + credential[:len(credential)-1] + "x?", nil, 401},
		"none":                     {"osmand/v1?", nil, 401},
		"elsewhere in the address": {"osmand/v1/" + credential + "/x?", nil, 404},
	} {
		if r := s.do("GET", pathApps+test.path+message(), "", nil, test.headers...); r.StatusCode != test.status || strings.Contains(string(r.body), credential) {
			t.Errorf("%s: %s %s, want %d", name, r.Status, r.body, test.status)
		}
	}
	if r := s.do("GET", pathIngest+"?token="+credential, "", nil); r.StatusCode == 200 {
		t.Error("a credential in the address was taken by a route that is not for apps")
	}
	if got := s.stored("org_a", session); len(got) != 6 {
		t.Errorf("stored %q", got)
	}
	if log := s.log.String(); strings.Contains(log, credential) || strings.Contains(log, credential[3:20]) || strings.Contains(log, url.QueryEscape(credential)) {
		t.Error("the log shows the credential")
	}
}

func TestACredentialOfOneDeviceDecidesWhoseAPositionIs(t *testing.T) {
	t.Parallel()
	s := start(t)
	session, other := s.session("org_a", "00:00:00:00:0a:01"), s.sessionOf("org_a", "other")
	device := object(s, s.get(pathSessionsGet+"?session_id="+session, s.token("org_a", keys.RoleOwner), 200))["device_id"].(string)
	made := object(s, s.post(pathDeviceCredentials+"/create/v1", s.token("org_a", keys.RoleOwner),
		fmt.Sprintf(`{"name":"bound","expires_at_timestamp":%q,"device_id":%q}`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339), device), 201))
	credential := made["key"].(string)
	s.get(pathApps+"osmand/v1?id=whatever&lat=1&lon=2&timestamp=1777629600", credential, 200)
	s.get(pathApps+"osmand/v1?lat=1&lon=2&timestamp=1777629601", credential, 200)
	s.get(pathApps+"osmand/v1?id=other&lat=1&lon=2&timestamp=1777629602", credential, 200)
	if got := s.stored("org_a", session); len(got) != 2 {
		t.Errorf("of the bound device are stored %q", got)
	}
	if got := s.stored("org_a", other); len(got) != 0 {
		t.Errorf("of another device are stored %q", got)
	}
}

func TestTimesOfAppsAreMendedWhereTheyCanBe(t *testing.T) {
	t.Parallel()
	s := start(t)
	credential, _ := s.key("org_a", schema.KindDeviceCredential)
	session := s.sessionOf("org_a", "van7")
	now := time.Now().UTC().Truncate(time.Second)
	rolled := now.Add(-1024 * 7 * 24 * time.Hour)
	s.get(pathApps+"osmand/v1?id=van7&lat=1&lon=2&timestamp="+fmt.Sprint(rolled.Unix()), credential, 200)
	reference := now.Add(-time.Hour).Unix() - 978_307_200
	r := s.post(pathApps+"owntracks/v1", credential, fmt.Sprintf(`{"_type":"location","lat":3,"lon":4,"tst":%d,"topic":"owntracks/van7"}`, reference), 200)
	if string(r.body) != `{"result":"ok"}` {
		t.Errorf("Overland in its OwnTracks mode is told %s", r.body)
	}
	s.get(pathApps+"osmand/v1?id=van7&lat=0&lon=0&timestamp="+fmt.Sprint(now.Unix()), credential, 200)
	s.get(pathApps+"osmand/v1?id=van7&lat=5&lon=6", credential, 200) // now
	got := s.stored("org_a", session)
	want := []string{now.Add(-time.Hour).Format(time.RFC3339) + " [4 3] {}", now.Format(time.RFC3339) + " [2 1] {}"}
	if len(got) != 3 || cmp.Diff(want, got[:2]) != "" || !strings.HasSuffix(got[2], " [6 5] {}") {
		t.Errorf("stored %q, want %q and one of now", got, want)
	}
}

func TestAPositionThatIsSentToTheBareAddressIsNotTaken(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, query := range []string{"id=van7&lat=48.1&lon=11.5&timestamp=1777629600", "Latitude=48.1", "location=48.1,11.5"} {
		r := s.get("/?"+query, "", 404)
		if !strings.Contains(string(r.body), pathApps+"APP/v1") {
			t.Errorf("the answer to %s does not say where to send it: %s", query, r.body)
		}
	}
	s.get("/?utm_source=letter", "", 200)
	if p := s.get(pathApps+"osmand/v1?id=van7&lat=1&lon=2", "", 401).problem(t); !strings.Contains(p.Detail, "device credential") {
		t.Errorf("who shows no credential is told %q", p.Detail)
	}
}

func addressOf(name string) string { return registry.AddressOf(name) }

func TestADeviceThatNobodyKnowsIsRegisteredWhenTheCredentialAllowsIt(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.token("org_a", keys.RoleAdministrator)
	later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	made := object(s, s.post(pathDeviceCredentials+"/create/v1", admin, fmt.Sprintf(`{"name":"phones","expires_at_timestamp":%q,"registers_devices":true}`, later), 201))
	plain, _ := s.key("org_a", schema.KindDeviceCredential)
	position := "?lat=1&lon=2&timestamp=1777629600&id="
	s.get(pathApps+"osmand/v1"+position+"stranger", plain, 200)
	s.get(pathApps+"osmand/v1?lat=91&lon=2&timestamp=1777629600&id=nowhere", made["key"].(string), 200)
	for range 2 {
		s.get(pathApps+"osmand/v1"+position+"anna/van+7", made["key"].(string), 200)
	}
	r := s.get(pathSessionsList, admin, 200)
	var list struct {
		Items []struct {
			ID      string `json:"_id"`
			Address string `json:"device_mac_address"`
			Said    string `json:"comments"`
		} `json:"items"`
	}
	if err := json.Unmarshal(r.body, &list); err != nil || len(list.Items) != 1 || list.Items[0].Address != addressOf("anna/van 7") || list.Items[0].Said != "anna/van 7" {
		t.Fatalf("the sessions are %s (%v)", r.body, err)
	}
	if got := s.stored("org_a", list.Items[0].ID); len(got) != 1 {
		t.Errorf("stored %q", got)
	}
	s.post(pathAPIKeys+"/create/v1", admin, fmt.Sprintf(`{"name":"key","expires_at_timestamp":%q,"registers_devices":true}`, later), 201)
}

// TestADeviceWhoseFirstSessionFailedGetsOneLater: the app is told to come again, and what it then sends is stored.
func TestADeviceWhoseFirstSessionFailedGetsOneLater(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.token("org_a", keys.RoleAdministrator)
	later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	made := object(s, s.post(pathDeviceCredentials+"/create/v1", admin, fmt.Sprintf(`{"name":"phones","expires_at_timestamp":%q,"registers_devices":true}`, later), 201))
	position := pathApps + "osmand/v1?id=van9&lat=1&lon=2&timestamp=1777629600"
	mend := schematest.BreakTable(t, s.db, "sessions")
	s.get(position, made["key"].(string), 503)
	mend()
	s.get(position, made["key"].(string), 200)
	items := object(s, s.get(pathSessionsList, admin, 200))["items"].([]any)
	if len(items) != 1 {
		t.Fatalf("there are %d sessions, want 1", len(items))
	}
	if got := s.stored("org_a", items[0].(map[string]any)["_id"].(string)); len(got) != 1 {
		t.Errorf("stored %q", got)
	}
}

func TestTwoOrganisationsMayCallTheirDevicesTheSame(t *testing.T) {
	t.Parallel()
	s := start(t)
	later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	for n, org := range []string{"org_a", "org_B"} {
		admin := s.token(org, keys.RoleAdministrator)
		made := object(s, s.post(pathDeviceCredentials+"/create/v1", admin, fmt.Sprintf(`{"name":"phones","expires_at_timestamp":%q,"registers_devices":true}`, later), 201))
		for range 2 {
			s.get(fmt.Sprintf("%sosmand/v1?id=van7&lat=%d&lon=2&timestamp=1777629600", pathApps, n+1), made["key"].(string), 200)
		}
		items := object(s, s.get(pathSessionsList, admin, 200))["items"].([]any)
		if len(items) != 1 {
			t.Fatalf("%s has %d sessions, want 1", org, len(items))
		}
		if got, want := s.stored(org, items[0].(map[string]any)["_id"].(string)), fmt.Sprintf("2026-05-01T10:00:00Z [2 %d] {}", n+1); len(got) != 1 || got[0] != want {
			t.Errorf("%s has stored %q, want %q", org, got, want)
		}
	}
}
