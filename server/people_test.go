package server

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/keys/ratelimit"
	"lastseen/schema"
)

var anID = regexp.MustCompile(`^[0-9a-f]{24}$`)

// object reads a JSON object.
func object(tb testing.TB, r reply) map[string]any {
	tb.Helper()
	var o map[string]any
	if err := json.Unmarshal(r.body, &o); err != nil {
		tb.Fatalf("%v: %s", err, r.body)
	}
	return o
}

func TestDevicesAndSessions(t *testing.T) {
	t.Parallel()
	s := start(t)
	operator, foreign := s.token("org_a", keys.RoleOperator), s.token("org_b", keys.RoleOwner)
	register := `{"device_mac_address":"00:00:00:00:08:01","schema_version":1,"type":"tracker","comments":"on the roof","unknown":[{}]}`
	device := s.text(s.post(pathRegister, operator, register, 200))
	if !anID.MatchString(device) {
		t.Errorf("the device's id is %q", device)
	}
	if again := s.text(s.post(pathRegister, operator, register, 200)); again != device {
		t.Errorf("registered again it is %q", again)
	}
	s.post(pathRegister, foreign, register, 409).problem(t)
	s.post(pathCreateSession+"?device_id="+device, foreign, `{"schema_version":1}`, 404).problem(t)
	s.post(pathCreateSession+"?device_id=x", operator, `{"schema_version":1}`, 404)
	s.post(pathCreateSession, operator, `{"schema_version":1}`, 422)
	s.post(pathCreateSession+"?device_id="+device, operator, `{"schema_version":2}`, 422)
	later := time.Now().Add(time.Hour).UTC().Truncate(time.Second).Format(time.RFC3339)
	session := s.text(s.post(pathCreateSession+"?device_id="+device, operator,
		fmt.Sprintf(`{"schema_version":1,"off_chrt_reference_id":"ref-1","comments":"c","termination_scheduled_for_timestamp":%q}`, later), 200))
	s.post(pathCreateSession+"?device_id="+device, operator, `{"schema_version":1}`, 409).problem(t)

	get := func() map[string]any { return object(t, s.get(pathSessionsGet+"?session_id="+session, operator, 200)) }
	made := get()
	for name, want := range map[string]any{"_id": session, "org_id": "org_a", "device_id": device, "off_chrt_reference_id": "ref-1", "comments": "c", "termination_scheduled_for_timestamp": later} {
		if made[name] != want {
			t.Errorf("%s is %v, want %v", name, made[name], want)
		}
	}
	update := pathUpdateSession + "?session_id=" + session
	if r := s.post(update, operator, `{"comments":"d","off_chrt_reference_id":null}`, 200); string(r.body) != "true" {
		t.Errorf("an update answers %s", r.body)
	}
	s.post(update, operator, `{"termination_scheduled_for_timestamp__set_to_None":true}`, 200)
	changed := get()
	if changed["comments"] != "d" || changed["off_chrt_reference_id"] != "ref-1" || changed["termination_scheduled_for_timestamp"] != nil {
		t.Errorf("after the updates it is %v", changed)
	}
	s.post(update, operator, `{"off_chrt_reference_id":"has space"}`, 422)
	s.post(pathUpdateSession, operator, `{}`, 422)
	terminate := pathTerminate + "?session_id=" + session
	s.post(terminate, foreign, "", 404)
	if r := s.post(terminate, operator, "", 200); string(r.body) != "true" {
		t.Errorf("a termination answers %s", r.body)
	}
	s.post(terminate, operator, "", 409).problem(t)
	if ended := get(); ended["terminated"] != true || ended["terminated_at_timestamp"] == nil {
		t.Errorf("after its end it is %v", ended)
	}
	s.post(pathCreateSession+"?device_id="+device, operator, `{"schema_version":1}`, 200)
}

func TestSessionLists(t *testing.T) {
	t.Parallel()
	s := start(t)
	operator := s.token("org_a", keys.RoleOperator)
	var sessions []string
	for i := range 5 {
		sessions = append(sessions, s.session("org_a", fmt.Sprintf("00:00:00:00:09:%02x", i)))
	}
	s.session("org_b", "00:00:00:00:09:ff")
	s.ingest("org_a", point(sessions[2], 1))
	s.post(pathTerminate+"?session_id="+sessions[0], operator, "", 200)
	s.post(pathUpdateSession+"?session_id="+sessions[1], operator, `{"comments":"100% \\ _ sure"}`, 200)
	for _, test := range []struct {
		query string
		total int
		items int
	}{
		{"", 5, 5},
		{"page_size=2&page=3", 5, 1},
		{"page_size=2&page=4", 5, 0},
		{"filter_terminated=true", 1, 1},
		{"filter_terminated=no", 4, 4},
		{"filter_has_last_seen=1", 1, 1},
		{"search=0%25%20%5C%20_", 1, 1},
		{"search=%25%25", 0, 0},
		{"org_scope=shared", 0, 0},
		{"filter_device_id=nonsense", 0, 0},
		{"filter_created_at_timestamp_gte=2190-01-01T00:00:00Z", 0, 0},
	} {
		var page struct {
			Items      []json.RawMessage `json:"items"`
			TotalCount int               `json:"total_count"`
		}
		r := s.get(pathSessionsList+"?"+test.query, operator, 200)
		if err := json.Unmarshal(r.body, &page); err != nil || page.Items == nil || page.TotalCount != test.total || len(page.Items) != test.items {
			t.Errorf("%s: %v: %s", test.query, err, r.body)
		}
	}
	r := s.get(pathTypeahead+"?query=:09:", operator, 200)
	if strings.Count(string(r.body), ":09:") != 5 || !strings.HasPrefix(string(r.body), `[{"type":"device_mac_address","values":[`) {
		t.Errorf("typeahead: %s", r.body)
	}
}

// TestKeyLife walks the life of an API key and of a device credential over HTTP.
func TestKeyLife(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin, foreign := s.token("org_a", keys.RoleAdministrator), s.token("org_b", keys.RoleOwner)
	expiry := time.Now().Add(24 * time.Hour).UTC().Truncate(time.Second).Format(time.RFC3339)
	for _, kind := range []struct {
		path, id, prefix string
		works            func(key string) int // the status of what the key is for
	}{
		{pathAPIKeys, "api_key_id", "ak_", func(key string) int {
			return s.do("GET", pathLastSeen+"?session_id=x", key, nil).StatusCode
		}},
		{pathDeviceCredentials, "device_credential_id", "dk_", func(key string) int {
			return s.do("POST", pathIngest, key, strings.NewReader("[]")).StatusCode
		}},
	} {
		t.Run(kind.prefix, func(t *testing.T) {
			r := s.post(kind.path+"/create/v1", admin, fmt.Sprintf(`{"name":"Größe <b>","expires_at_timestamp":%q}`, expiry), 201)
			made := object(t, r)
			key, _ := made["key"].(string)
			if !strings.HasPrefix(key, kind.prefix) || made["name"] != "Größe <b>" || made["expires_at_timestamp"] != expiry || made["status"] != "active" ||
				made["org_id"] != "org_a" || made["created_by_user_id"] != "user_administrator" || !strings.HasPrefix(key, made["prefix"].(string)) {
				t.Errorf("got %v", made)
			}
			if r.Header.Get("Cache-Control") != "no-store" {
				t.Error("the answer with the key may be stored")
			}
			if status := kind.works(key); status == 401 || status == 403 {
				t.Errorf("the key is refused: %d", status)
			}
			id := "?" + kind.id + "=" + made["_id"].(string)
			s.post(kind.path+"/revoke/v1"+id, foreign, "", 404)
			s.post(kind.path+"/rotate/v1"+id, foreign, `{"grace_seconds":0}`, 404)
			rotated := object(t, s.post(kind.path+"/rotate/v1"+id, admin, `{"grace_seconds":3600}`, 201))
			next, _ := rotated["key"].(string)
			if next == key || kind.works(next) == 401 || kind.works(key) == 401 {
				t.Error("one of the two keys is refused during the grace")
			}
			first := s.post(kind.path+"/revoke/v1"+id, admin, "", 200)
			if kind.works(key) != 401 || kind.works(next) == 401 {
				t.Error("the revocation does not hold, or holds for the new key too")
			}
			again := s.post(kind.path+"/revoke/v1"+id, admin, "", 200)
			if object(t, first)["revoked_at_timestamp"] != object(t, again)["revoked_at_timestamp"] || object(t, first)["status"] != "revoked" {
				t.Errorf("%s\n%s", first.body, again.body)
			}
			s.post(kind.path+"/rotate/v1"+id, admin, `{"grace_seconds":0}`, 409)
			list := s.get(kind.path+"/list/v1", admin, 200)
			var records []map[string]any
			if err := json.Unmarshal(list.body, &records); err != nil || len(records) != 2 || records[0]["_id"] != rotated["_id"] {
				t.Errorf("%v: %s", err, list.body)
			}
			events := s.get(kind.path+"/events/v1?page_size=2", admin, 200)
			if object(t, events)["total_count"] != 4.0 || !strings.Contains(string(events.body), `"action":"revoked"`) {
				t.Errorf("events: %s", events.body)
			}
			for _, secret := range []string{key, next} {
				if strings.Contains(string(list.body)+string(events.body)+string(first.body), secret) || strings.Contains(s.log.String(), secret) {
					t.Error("a key was told a second time")
				}
			}
			if string(s.get(kind.path+"/list/v1", foreign, 200).body) != "[]" {
				t.Error("another organisation sees keys")
			}
		})
	}
}

func TestACredentialOfOneDeviceWritesForThatOneOnly(t *testing.T) {
	t.Parallel()
	s := start(t)
	mine, other := s.session("org_a", "00:00:00:00:0a:01"), s.session("org_a", "00:00:00:00:0a:02")
	admin := s.token("org_a", keys.RoleAdministrator)
	device := object(t, s.get(pathSessionsGet+"?session_id="+mine, admin, 200))["device_id"]
	create := func(device any) string {
		return fmt.Sprintf(`{"name":"x","expires_at_timestamp":%q,"device_id":%q}`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339), device)
	}
	made := object(t, s.post(pathDeviceCredentials+"/create/v1", admin, create(device), 201))
	if made["device_id"] != device {
		t.Errorf("got %v", made)
	}
	s.post(pathDeviceCredentials+"/create/v1", admin, create("nonsense"), 422)
	s.post(pathDeviceCredentials+"/create/v1", s.token("org_b", keys.RoleOwner), create(device), 422)
	r := s.post(pathIngest, made["key"].(string), point(mine, 1)+point(other, 1), 200, header{"Content-Type", "application/x-ndjson"})
	if !strings.HasPrefix(string(r.body), `{"accepted":1,"rejected":[{"index":1,`) {
		t.Errorf("got %s", r.body)
	}
}

func TestWithoutClickHouse(t *testing.T) {
	t.Parallel()
	s := start(t)
	session := s.session("org_a", "00:00:00:00:0b:01")
	s.ingest("org_a", point(session, 1))
	key, _ := s.key("org_a", schema.KindAPIKey)
	s.get(pathLastSeen+"?session_id="+session, key, 200)
	s.gone = true
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	day := "&start_timestamp=2026-01-15T00:00:00Z&end_timestamp=2026-01-16T00:00:00Z"
	for _, r := range []reply{
		s.get(pathDataPoints+"?session_id="+session+day, key, 503),
		s.get(pathLastSeen+"?session_id="+session, unknownKey(), 503),
		s.post(pathIngest, s.token("org_a", keys.RoleDriver), "["+strings.TrimSpace(point(session, 2))+"]", 503),
		s.get(pathAPIKeys+"/list/v1", s.token("org_a", keys.RoleOwner), 503),
		s.get("/readyz", "", 503),
		s.get("/readyz", unknownKey(), 503),
	} {
		p := r.problem(t)
		if r.Header.Get("Retry-After") == "" || strings.Contains(p.Detail, "SELECT") || strings.Contains(strings.ToLower(p.Detail), "sql") {
			t.Errorf("%v %s", r.Header, r.body)
		}
	}
	s.get(pathSessionsList, key, 200) // from memory, as a poll is
	s.get("/healthz", "", 200)
	s.get("/healthz", unknownKey(), 200)
	if r := s.get(pathLastSeen+"?session_id="+session, key, 200); !strings.Contains(string(r.body), "00:00:01Z") {
		t.Errorf("last seen %s", r.body)
	}
}

func TestTheLog(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		level             AccessLog
		poll, list, error bool
	}{{LogUsual, false, true, true}, {LogAll, true, true, true}, {LogErrors, false, false, true}, {LogNothing, false, false, false}} {
		s := start(t, func(with *setup) { with.config.AccessLog = test.level })
		session := s.session("org_a", "00:00:00:00:0c:01")
		key, id := s.key("org_a", schema.KindAPIKey)
		s.get(pathLastSeen+"?session_id="+session, key, 200, header{"X-Request-Id", "poll"})
		s.get(pathSessionsList+"?search=private", key, 200, header{"X-Request-Id", "list"})
		s.get("/x/y?q=private", "", 404, header{"X-Request-Id", "error"})
		log := s.log.String()
		for name, want := range map[string]bool{"poll": test.poll, "list": test.list, "error": test.error} {
			if got := strings.Contains(log, `"request_id":"`+name+`"`); got != want {
				t.Errorf("level %d: %s is logged: %v", test.level, name, got)
			}
		}
		if strings.Contains(log, "private") {
			t.Error("the log holds a parameter")
		}
		if test.level == LogAll {
			for _, part := range []string{`"method":"GET"`, `"path":"` + pathLastSeen + `"`, `"status":200`, `"bytes":4`, `"duration":`, `"org":"org_a"`, `"caller":"api_key"`, `"key_id":"` + id.String() + `"`, `"path":"/x/y"`, `"user":"user_operator"`} {
				if !strings.Contains(log, part) {
					t.Errorf("the log lacks %s: %s", part, log)
				}
			}
		}
	}
}

// TestTheLogOfAFlood: of those who ask too much it logs one refusal a second.
func TestTheLogOfAFlood(t *testing.T) {
	t.Parallel()
	s := start(t, func(with *setup) {
		with.config.AccessLog = LogErrors
		with.config.RequestRate = ratelimit.Rate{Quota: 5, Window: time.Hour}
	})
	key, _ := s.key("org_a", schema.KindAPIKey)
	began, refused := time.Now(), 0
	for range 200 {
		if r, err := s.try("GET", pathSessionsList, key, nil); err != nil {
			t.Fatal(err)
		} else if r.StatusCode == 429 {
			refused++
		}
	}
	most := int(time.Since(began)/time.Second) + 2
	if logged := strings.Count(s.log.String(), `"status":429`); refused < 150 || logged < 1 || logged > most {
		t.Errorf("of %d refusals %d are logged, want 1 to %d", refused, logged, most)
	}
}
