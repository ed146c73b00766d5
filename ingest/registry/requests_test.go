package registry

import (
	"strings"
	"testing"
	"time"

	"lastseen/schema/schematest"
)

func TestRequestsAreValidated(t *testing.T) {
	t.Parallel()
	s := newDirectory(t)
	device, id := s.session(us, "van-1")
	long := strings.Repeat("é", 1001)
	for _, tt := range []struct {
		field string
		d     NewDevice
	}{
		{"device_mac_address", NewDevice{SchemaVersion: new(1)}},
		{"device_mac_address", newDevice("")},
		{"device_mac_address", newDevice(strings.Repeat("a", 65))},
		{"device_mac_address", newDevice("a/b")},
		{"schema_version", NewDevice{DeviceMACAddress: new("a")}},
		{"schema_version", NewDevice{DeviceMACAddress: new("a"), SchemaVersion: new(2)}},
		{"type", NewDevice{DeviceMACAddress: new("a"), SchemaVersion: new(1), Type: new("")}},
		{"comments", NewDevice{DeviceMACAddress: new("a"), SchemaVersion: new(1), Comments: &long}},
		{"comments", NewDevice{DeviceMACAddress: new("a"), SchemaVersion: new(1), Comments: new("a\x00b")}},
		{"off_chrt_reference_id", NewDevice{DeviceMACAddress: new("a"), SchemaVersion: new(1), OffChrtReferenceID: new("a b")}},
	} {
		if _, err := s.registry.RegisterDevice(t.Context(), us, tt.d); schematest.InvalidField(err) != tt.field {
			t.Errorf("%+v: %v, want %s", tt.d, err, tt.field)
		}
	}
	at := func(d time.Duration) *string { return new(noon.Add(d).Format(time.RFC3339)) }
	for _, tt := range []struct {
		field string
		n     NewSession
	}{
		{"schema_version", NewSession{SchemaVersion: new(0)}},
		{"comments", NewSession{Comments: &long}},
		{"comments", NewSession{Comments: new("\xff")}},
		{"off_chrt_reference_id", NewSession{OffChrtReferenceID: new("")}},
		{"off_chrt_reference_id", NewSession{OffChrtReferenceID: new(strings.Repeat("a", 65))}},
		{"off_chrt_shipper_org_data_id", NewSession{OffChrtShipperOrgDataID: new("")}},
		{"termination_scheduled_for_timestamp", NewSession{TerminationScheduledFor: at(0)}},
		{"termination_scheduled_for_timestamp", NewSession{TerminationScheduledFor: at(-time.Hour)}},
		{"termination_scheduled_for_timestamp", NewSession{TerminationScheduledFor: new("tomorrow")}},
		{"termination_scheduled_for_timestamp", NewSession{TerminationScheduledFor: new("2300-01-01T00:00:00Z")}},
	} {
		if err := s.registry.UpdateSession(t.Context(), us, id, SessionUpdate{NewSession: tt.n}); schematest.InvalidField(err) != tt.field {
			t.Errorf("updating with %+v: %v, want %s", tt.n, err, tt.field)
		}
		if tt.n.SchemaVersion == nil {
			tt.n.SchemaVersion = new(1)
		}
		if _, err := s.registry.CreateSession(t.Context(), us, device, tt.n); schematest.InvalidField(err) != tt.field {
			t.Errorf("creating with %+v: %v, want %s", tt.n, err, tt.field)
		}
	}
	if _, err := s.registry.CreateSession(t.Context(), us, device, NewSession{}); schematest.InvalidField(err) != "schema_version" {
		t.Errorf("creating without a schema_version: %v", err)
	}
	both := SessionUpdate{NewSession: NewSession{Public: new(true)}, ClearPublic: true}
	if err := s.registry.UpdateSession(t.Context(), us, id, both); schematest.InvalidField(err) != "public" {
		t.Errorf("setting and clearing: %v, want public", err)
	}
	if got := s.watcher.sessions[id]; got.Version != 0 {
		t.Errorf("requests that were refused changed the session to %+v", got)
	}
}
