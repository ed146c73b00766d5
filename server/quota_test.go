package server

import (
	"strings"
	"testing"
	"time"

	"lastseen/ingest/registry"
	"lastseen/keys"
	"lastseen/query/latest"
)

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
