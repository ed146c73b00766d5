package server

import (
	"strings"
	"testing"
	"time"

	"lastseen/ingest"
	"lastseen/keys"
	"lastseen/schema"
)

// TestWhatCameWithACredentialIsSaid: an app hears that all is well even when nothing could be stored, so whoever sets it up
// is told elsewhere.
func TestWhatCameWithACredentialIsSaid(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.session("org_a", "van-1")
	credential, id := s.key("org_a", schema.KindDeviceCredential)
	said := func(org string) string {
		t.Helper()
		return string(s.get(pathDeviceCredentials+"/arrivals/v1?device_credential_id="+id.String(), s.token(org, keys.RoleAdministrator), 200).body)
	}
	const nothing = `{"requests":0,"points":0,"rejected":0}`
	if got := said("org_a"); got != nothing {
		t.Errorf("before anything came it says %s", got)
	}
	send := func(query string) {
		t.Helper()
		s.get(pathApps+"osmand/v1/"+credential+"?"+query, "", 200)
	}
	send("id=van-2&lat=48.1&lon=11.5")
	got := said("org_a")
	if !strings.HasPrefix(got, `{"requests":1,"points":0,"rejected":1,"last_rejected_at_timestamp":"`) || !strings.Contains(got, `"last_rejection_detail":"`) {
		t.Errorf("of a device that is not known it says %s", got)
	}
	s.post(pathApps+"owntracks/v1", credential, `{"_type":"lwt","tst":1777629600}`, 200)
	s.post(pathApps+"owntracks/v1", credential, `{"_type":"encrypted","data":"AAAA"}`, 200)
	if got = said("org_a"); !strings.HasPrefix(got, `{"requests":3,"points":0,"rejected":2,`) || !strings.Contains(got, "switch its encryption off") {
		t.Errorf("of a message without a position and an encrypted one it says %s", got)
	}
	send("id=van-1&lat=48.1&lon=11.5")
	s.post(pathIngest, credential, `{"points":[{"device_mac_address":"van-1","timestamp":"2026-01-15T10:00:00Z","latitude":1,"longitude":2}]}`, 200)
	if got = said("org_a"); !strings.HasPrefix(got, `{"requests":5,"points":2,"first_point_received_at_timestamp":"`) {
		t.Errorf("of two points it says %s", got)
	}
	if other := said("org_b"); other != nothing {
		t.Errorf("another organisation is told %s", other)
	}
	// What somebody sends who has no device credential is not counted.
	s.post(pathIngest, s.token("org_a", keys.RoleDriver), `{"points":[{"device_mac_address":"van-1","timestamp":"2026-01-15T10:00:01Z","latitude":1,"longitude":2}]}`, 200)
	if after := said("org_a"); after != got {
		t.Errorf("after a driver's point it says %s", after)
	}
}

func TestArrivalsAreBounded(t *testing.T) {
	t.Parallel()
	var a arrivals
	for range mostArrivals + 10 {
		a.note(&keys.Principal{Kind: keys.CallerDeviceCredential, OrgID: "org_a", KeyID: schema.NewID()}, &ingest.Result{}, 0, time.Now())
	}
	if len(a.of) != mostArrivals {
		t.Errorf("%d credentials are known, want %d", len(a.of), mostArrivals)
	}
}
