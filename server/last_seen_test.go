package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"lastseen/keys"
	"lastseen/schema"
	"lastseen/server/cluster"
)

func TestLastSeen(t *testing.T) {
	t.Parallel()
	s := start(t)
	session, empty := s.session("org_a", "00:00:00:00:02:01"), s.session("org_a", "00:00:00:00:02:02")
	key, _ := s.key("org_a", schema.KindAPIKey)
	other, _ := s.key("org_b", schema.KindAPIKey)
	target := pathLastSeen + "?session_id=" + session
	s.ingest("org_a", point(session, 10))
	r := s.get(target, key, 200)
	var got struct {
		ID        string `json:"_id"`
		Timestamp string
		Location  struct {
			Geometry struct{ Coordinates []float64 }
		}
		Metadata struct {
			SessionID string `json:"session_id"`
			Outlier   bool
		}
	}
	if err := json.Unmarshal(r.body, &got); err != nil {
		t.Fatal(err)
	}
	if got.Timestamp != "2026-01-15T00:00:10Z" || fmt.Sprint(got.Location.Geometry.Coordinates) != "[-73.5 40.5]" || got.Metadata.SessionID != session {
		t.Errorf("got %s", r.body)
	}
	t.Run("an answer may be kept and must be asked about again", func(t *testing.T) {
		for name, want := range map[string]string{"Cache-Control": "private, no-cache", "Vary": "Authorization", "Content-Type": "application/json"} {
			if value := r.Header.Get(name); value != want {
				t.Errorf("%s is %q, want %q", name, value, want)
			}
		}
	})
	t.Run("what the caller has is not sent again", func(t *testing.T) {
		tag := r.Header.Get("ETag")
		for _, match := range []string{tag, "W/" + tag, `"x", ` + tag, `"x",W/` + tag + `,"y"`, "*", ` , ` + tag} {
			same := s.get(target, key, 304, header{"If-None-Match", match})
			if len(same.body) != 0 || same.Header.Get("ETag") != tag || same.Header.Get("Cache-Control") != "private, no-cache" || same.Header.Get("Vary") == "" {
				t.Errorf("%s: %q %v", match, same.body, same.Header)
			}
		}
		for _, match := range []string{`"x"`, strings.Trim(tag, `"`), `"` + tag + `"`, "x" + tag, "", `"`, `W/`, `"x" ` + "\t"} {
			s.get(target, key, 200, header{"If-None-Match", match})
		}
		s.ingest("org_a", point(session, 11))
		changed := s.get(target, key, 200, header{"If-None-Match", tag})
		if changed.Header.Get("ETag") == tag {
			t.Error("the tag is that of the older point")
		}
	})
	t.Run("a session without a point is null", func(t *testing.T) {
		null := s.get(pathLastSeen+"?session_id="+empty, key, 200)
		if string(null.body) != "null" || null.Header.Get("ETag") == "" {
			t.Errorf("%s %v", null.body, null.Header)
		}
		s.get(pathLastSeen+"?session_id="+empty, key, 304, header{"If-None-Match", null.Header.Get("ETag")})
	})
	t.Run("another organisation's session is as one that does not exist", func(t *testing.T) {
		foreign, missing := s.get(target, other, 404), s.get(pathLastSeen+"?session_id=0123456789abcdef01234567", other, 404)
		s.get(pathLastSeen+"?session_id=nonsense", other, 404)
		s.get(target, other, 404, header{"If-None-Match", "*"})
		if a, b := withoutID(t, foreign), withoutID(t, missing); a != b {
			t.Errorf("%s\n%s", a, b)
		}
	})
	t.Run("the last of repeated ids counts", func(t *testing.T) {
		s.get(pathLastSeen+"?session_id=nonsense&session_id="+session, key, 200)
		s.get(target+"&session_id=nonsense", key, 404)
	})
}

// withoutID returns a refusal's body without its request id.
func withoutID(t *testing.T, r reply) string {
	p := r.problem(t)
	return strings.ReplaceAll(string(r.body), p.RequestID, "")
}

// TestSharedAndPublicSessions walks what each kind of organisation sees of a session: its own, one
// that is shared with it, a foreign one; and nobody of a public one.
func TestSharedAndPublicSessions(t *testing.T) {
	t.Parallel()
	s := start(t)
	session := s.session("org_a", "00:00:00:00:03:01")
	s.ingest("org_a", point(session, 1))
	admin := s.token("org_a", keys.RoleAdministrator)
	s.post(pathSharedOrgs, admin, fmt.Sprintf(`{"session_id":%q,"add_org_ids":["org_b"],"remove_org_ids":[]}`, session), 200)
	day := "&start_timestamp=2026-01-15T00:00:00Z&end_timestamp=2026-01-16T00:00:00Z"
	expect := func(when string, own, shared, foreign, public int) {
		t.Helper()
		for org, status := range map[string]int{"org_a": own, "org_b": shared, "org_c": foreign} {
			key, _ := s.key(org, schema.KindAPIKey)
			for _, credential := range []string{key, s.token(org, keys.RoleOperator), s.token(org, keys.RoleOwner)} {
				for _, path := range []string{pathLastSeen, pathSessionsGet, pathDataPoints} {
					if r := s.do("GET", path+"?session_id="+session+day, credential, nil); r.StatusCode != status {
						t.Errorf("%s: %s of %s: %s, want %d", when, path, org, r.Status, status)
					}
				}
			}
		}
		for _, path := range []string{pathLastSeenPublic, pathPointsPublic} {
			if r := s.do("GET", path+"?session_id="+session+day, "", nil); r.StatusCode != public {
				t.Errorf("%s: %s: %s, want %d", when, path, r.Status, public)
			}
		}
	}
	expect("shared", 200, 200, 404, 404)
	s.post(pathUpdateSession+"?session_id="+session, s.token("org_b", keys.RoleOwner), `{"comments":"mine"}`, 404)
	s.post(pathTerminate+"?session_id="+session, s.token("org_b", keys.RoleOwner), "", 404)
	s.post(pathUpdateSession+"?session_id="+session, admin, `{"public":true}`, 200)
	expect("public", 200, 200, 404, 200)
	s.post(pathSharedOrgs, admin, fmt.Sprintf(`{"session_id":%q,"add_org_ids":["org_b"],"remove_org_ids":["org_b"]}`, session), 200)
	s.post(pathUpdateSession+"?session_id="+session, admin, `{"public__set_to_None":true}`, 200)
	expect("neither", 200, 404, 404, 404)
}

func TestMarkingTheNewestPointMovesLastSeenBack(t *testing.T) {
	t.Parallel()
	s := start(t)
	session := s.session("org_a", "00:00:00:00:04:01")
	s.ingest("org_a", points(session, 1, 4))
	operator := s.token("org_a", keys.RoleOperator)
	newest := func() string {
		var p struct {
			ID string `json:"_id"`
		}
		if err := json.Unmarshal(s.get(pathLastSeen+"?session_id="+session, operator, 200).body, &p); err != nil {
			t.Fatal(err)
		}
		return p.ID
	}
	last := newest()
	mark := func(outlier bool) {
		r := s.post(pathOutlier, operator, fmt.Sprintf(`{"outlier":%v,"tracking_session_by_device_data_point_ids":[%q,"nonsense"]}`, outlier, last), 200)
		if string(r.body) != `{"successful_updates":1,"failed_updates":1}` {
			t.Errorf("got %s", r.body)
		}
	}
	mark(true)
	if newest() == last {
		t.Error("the marked point is still shown")
	}
	s.ingest("org_a", point(session, 3)) // again, by the device
	if newest() == last {
		t.Error("the device lifted the mark")
	}
	mark(false)
	if newest() != last {
		t.Error("the unmarked point is not shown")
	}
}

// TestFresh: no poll that starts after an ingest was acknowledged sees an older point.
func TestFresh(t *testing.T) {
	t.Parallel()
	s := start(t)
	const sessions, rounds, pollers = 4, 25, 2
	key, _ := s.key("org_a", schema.KindAPIKey)
	driver := s.token("org_a", keys.RoleDriver)
	var group sync.WaitGroup
	for i := range sessions {
		session := s.session("org_a", fmt.Sprintf("00:00:00:00:05:%02x", i))
		var acknowledged, finished atomic.Int64
		group.Go(func() {
			defer finished.Store(1)
			for n := 1; n <= rounds; n++ {
				r, err := s.try("POST", pathIngest, driver, strings.NewReader(point(session, n)), header{"Content-Type", "application/x-ndjson"})
				if err != nil || r.StatusCode != 200 {
					t.Errorf("ingest: %v %v", r.Response, err)
					return
				}
				acknowledged.Store(int64(n))
			}
		})
		for range pollers {
			group.Go(func() {
				for seen := int64(0); finished.Load() == 0; {
					before := acknowledged.Load()
					r, err := s.try("GET", pathLastSeen+"?session_id="+session, key, nil)
					if err != nil || r.StatusCode != 200 {
						t.Errorf("poll: %v %v", r.Response, err)
						return
					}
					got := int64(0)
					if i := bytes.Index(r.body, []byte(`"timestamp":"2026-01-15T00:00:`)); i >= 0 {
						fmt.Sscanf(string(r.body[i+30:]), "%02d", &got)
					}
					if got < before || got < seen {
						t.Errorf("a poll saw point %d after %d was acknowledged and %d was seen", got, before, seen)
						return
					}
					seen = got
				}
			})
		}
	}
	group.Wait()
}

// TestRevokedMeansRevoked: no request that starts after the revocation was answered is accepted.
func TestRevokedMeansRevoked(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.token("org_a", keys.RoleAdministrator)
	for range 10 {
		key, id := s.key("org_a", schema.KindAPIKey)
		var revoked atomic.Bool
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				for last := false; !last; {
					last = revoked.Load()
					r, err := s.try("GET", pathLastSeen+"?session_id=x", key, nil)
					if err != nil {
						t.Error(err)
						return
					}
					if last && r.StatusCode != 401 || r.StatusCode != 401 && r.StatusCode != 404 {
						t.Errorf("%s, after the revocation: %v", r.Status, last)
					}
				}
			})
		}
		s.post(pathAPIKeys+"/revoke/v1?api_key_id="+id.String(), admin, "", 200)
		revoked.Store(true)
		group.Wait()
	}
}

// elsewhere owns nothing.
type elsewhere struct{}

func (elsewhere) Own(schema.ID) error { return cluster.ErrElsewhere }

func TestPollsOfWhatAnotherNodeOwnsAreRefused(t *testing.T) {
	t.Parallel()
	s := start(t, func(with *setup) { with.services.Owner = elsewhere{} })
	target := pathLastSeen + "?session_id=" + s.session("org_a", "00:00:00:00:0c:01")
	key, _ := s.key("org_a", schema.KindAPIKey)
	plain := s.keepOpen()
	for range 20 { // on both ways, once the cache has the key
		if status := plain.poll(target, key); status != 503 {
			t.Fatalf("a poll is answered %d, want 503", status)
		}
	}
	s.get(target, key, 503)
}
