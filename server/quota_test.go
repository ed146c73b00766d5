package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"lastseen/ingest"
	"lastseen/ingest/registry"
	"lastseen/keys"
	"lastseen/query/latest"
)

// TestADevicePastTheQuotaKeepsNoBatchBack: an app would send the batch for ever, and nothing after it.
func TestADevicePastTheQuotaKeepsNoBatchBack(t *testing.T) {
	t.Parallel()
	s := start(t, func(with *setup) {
		lastSeen := latest.New(with.db, time.Now)
		if err := lastSeen.Load(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		with.services.Registry = registry.New(with.db, lastSeen, registry.Quotas{Devices: 1}, time.Now)
		with.services.Writer = ingest.NewWriter(with.db, with.services.Registry, lastSeen, lastSeen, ingest.WriterOptions{})
		t.Cleanup(with.services.Writer.Close)
	})
	admin := s.token("org_many", keys.RoleAdministrator)
	made := object(s, s.post(pathDeviceCredentials+"/create/v1", admin,
		fmt.Sprintf(`{"name":"phones","expires_at_timestamp":%q,"registers_devices":true}`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339)), 201))
	feature := func(device string) string {
		return `{"geometry":{"coordinates":[11.5,48.1]},"properties":{"timestamp":"2026-05-01T10:00:00Z","device_id":"` + device + `"}}`
	}
	for range 2 {
		s.post(pathApps+"overland/v1", made["key"].(string), `{"locations":[`+feature("van1")+`]}`, 200)
		s.post(pathApps+"overland/v1", made["key"].(string), `{"locations":[`+feature("van2")+`,`+feature("van1")+`]}`, 200)
	}
	said := string(s.get(pathDeviceCredentials+"/arrivals/v1?device_credential_id="+made["_id"].(string), admin, 200).body)
	if !strings.Contains(said, `"points":4,`) || !strings.Contains(said, `"rejected":2,`) || !strings.Contains(said, "--devices-per-organisation") {
		t.Errorf("of a device that is one too many the console is told %s", said)
	}
}

func TestQuotasAreConflictsThatSayWhatToDo(t *testing.T) {
	t.Parallel()
	s := start(t, func(with *setup) {
		with.services.Registry = registry.New(with.db, latest.New(with.db, time.Now), registry.Quotas{Devices: 2, Sessions: 1}, time.Now)
	})
	operator := s.token("org_many", keys.RoleOperator)
	register := func(mac string, want int) reply {
		return s.post(pathRegister, operator, `{"schema_version":1,"device_mac_address":"`+mac+`"}`, want)
	}
	var devices []string
	for _, mac := range []string{"AA:BB:CC:00:00:01", "AA:BB:CC:00:00:02"} {
		devices = append(devices, s.text(register(mac, 200)))
	}
	if p := register("AA:BB:CC:00:00:03", 409).problem(t); !strings.Contains(p.Detail, "--devices-per-organisation") {
		t.Errorf("a device past the quota is answered %q", p.Detail)
	}
	s.post(pathCreateSession+"?device_id="+devices[0], operator, `{"schema_version":1}`, 200)
	if p := s.post(pathCreateSession+"?device_id="+devices[1], operator, `{"schema_version":1}`, 409).problem(t); !strings.Contains(p.Detail, "--sessions-per-organisation") {
		t.Errorf("a session past the quota is answered %q", p.Detail)
	}
}
