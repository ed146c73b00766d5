package ingest

import (
	"strings"
	"testing"
	"time"
)

func TestRequestsAreValidated(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	device, id := s.session(ours, "van-1")
	long := strings.Repeat("é", 1001)
	for _, tt := range []struct {
		field string
		d     NewDevice
	}{
		{"device_mac_address", NewDevice{SchemaVersion: ptr(1)}},
		{"device_mac_address", newDevice("")},
		{"device_mac_address", newDevice(strings.Repeat("a", 65))},
		{"device_mac_address", newDevice("a/b")},
		{"schema_version", NewDevice{DeviceMACAddress: ptr("a")}},
		{"schema_version", NewDevice{DeviceMACAddress: ptr("a"), SchemaVersion: ptr(2)}},
		{"type", NewDevice{DeviceMACAddress: ptr("a"), SchemaVersion: ptr(1), Type: ptr("")}},
		{"comments", NewDevice{DeviceMACAddress: ptr("a"), SchemaVersion: ptr(1), Comments: &long}},
		{"comments", NewDevice{DeviceMACAddress: ptr("a"), SchemaVersion: ptr(1), Comments: ptr("a\x00b")}},
		{"off_chrt_reference_id", NewDevice{DeviceMACAddress: ptr("a"), SchemaVersion: ptr(1), OffChrtReferenceID: ptr("a b")}},
	} {
		if _, err := s.registry.RegisterDevice(t.Context(), ours, tt.d); invalidField(err) != tt.field {
			t.Errorf("%+v: %v, want %s", tt.d, err, tt.field)
		}
	}
	at := func(d time.Duration) *string { return ptr(start.Add(d).Format(time.RFC3339)) }
	for _, tt := range []struct {
		field string
		n     NewSession
	}{
		{"schema_version", NewSession{SchemaVersion: ptr(0)}},
		{"comments", NewSession{Comments: &long}},
		{"comments", NewSession{Comments: ptr("\xff")}},
		{"off_chrt_reference_id", NewSession{OffChrtReferenceID: ptr("")}},
		{"off_chrt_reference_id", NewSession{OffChrtReferenceID: ptr(strings.Repeat("a", 65))}},
		{"off_chrt_shipper_org_data_id", NewSession{OffChrtShipperOrgDataID: ptr("")}},
		{"termination_scheduled_for_timestamp", NewSession{TerminationScheduledFor: at(0)}},
		{"termination_scheduled_for_timestamp", NewSession{TerminationScheduledFor: at(-time.Hour)}},
		{"termination_scheduled_for_timestamp", NewSession{TerminationScheduledFor: ptr("tomorrow")}},
		{"termination_scheduled_for_timestamp", NewSession{TerminationScheduledFor: ptr("2300-01-01T00:00:00Z")}},
	} {
		if err := s.registry.UpdateSession(t.Context(), ours, id, SessionUpdate{NewSession: tt.n}); invalidField(err) != tt.field {
			t.Errorf("updating with %+v: %v, want %s", tt.n, err, tt.field)
		}
		if tt.n.SchemaVersion == nil {
			tt.n.SchemaVersion = ptr(1)
		}
		if _, err := s.registry.CreateSession(t.Context(), ours, device, tt.n); invalidField(err) != tt.field {
			t.Errorf("creating with %+v: %v, want %s", tt.n, err, tt.field)
		}
	}
	if _, err := s.registry.CreateSession(t.Context(), ours, device, NewSession{}); invalidField(err) != "schema_version" {
		t.Errorf("creating without a schema_version: %v", err)
	}
	both := SessionUpdate{NewSession: NewSession{Public: ptr(true)}, ClearPublic: true}
	if err := s.registry.UpdateSession(t.Context(), ours, id, both); invalidField(err) != "public" {
		t.Errorf("setting and clearing: %v, want public", err)
	}
	if got := s.reader.sessions[id]; got.Version != 0 {
		t.Errorf("requests that were refused changed the session to %+v", got)
	}
}
