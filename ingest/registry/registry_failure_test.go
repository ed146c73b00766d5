package registry

import (
	"context"
	"errors"
	"testing"

	"lastseen/schema"
	"lastseen/schema/schematest"
)

func TestRegistryIsUnchangedWhenClickHouseFails(t *testing.T) {
	t.Parallel()
	s := newDirectory(t)
	ctx := t.Context()
	device, err := s.registry.RegisterDevice(ctx, us, newDevice("van-1"))
	if err != nil {
		t.Fatal(err)
	}
	_, running := s.session(us, "van-2")

	mendDevices, mendSessions := schematest.BreakTable(t, s.db, "devices"), schematest.BreakTable(t, s.db, "sessions")
	_, registerErr := s.registry.RegisterDevice(ctx, us, newDevice("van-3"))
	_, createErr := s.registry.CreateSession(ctx, us, device, newSession())
	for what, err := range map[string]error{
		"register": registerErr, "create": createErr,
		"update":    s.registry.UpdateSession(ctx, us, running, SessionUpdate{NewSession: NewSession{Comments: new("x")}}),
		"terminate": s.registry.TerminateSession(ctx, us, running),
		"share":     s.registry.UpdateSharedOrgs(ctx, us, running, []string{them}, nil),
	} {
		if !errors.Is(err, schema.Unavailable) {
			t.Errorf("%s: %v, want schema.Unavailable", what, err)
		}
	}
	if len(s.watcher.sessions) != 1 {
		t.Errorf("the watcher was told of %d sessions, want 1", len(s.watcher.sessions))
	}
	mendDevices()
	mendSessions()

	if _, err := s.registry.RegisterDevice(ctx, them, newDevice("van-3")); err != nil {
		t.Errorf("another organisation registers what could not be: %v", err)
	}
	if _, err := s.registry.CreateSession(ctx, us, device, newSession()); err != nil {
		t.Errorf("create again: %v", err)
	}
	if err := s.registry.TerminateSession(ctx, us, running); err != nil {
		t.Errorf("terminate again: %v", err)
	}
}

// A write whose answer was lost may have happened. The tables are broken so that the registry sees
// it fail, and the row that it meant to write is put there behind its back.
func TestRegistrySettlesWhatWasWrittenUnacknowledged(t *testing.T) {
	t.Parallel()
	s := newDirectory(t)
	ctx := t.Context()
	device, session := s.session(us, "van-1")

	t.Run("a termination", func(t *testing.T) {
		row, _, err := s.db.FindSession(ctx, us, session)
		if err != nil {
			t.Fatal(err)
		}
		row.TerminatedAt, row.Version = new(noon), row.Version+1
		if err := s.db.SaveSession(ctx, row); err != nil {
			t.Fatal(err)
		}
		if err := s.registry.TerminateSession(ctx, us, session); err != nil {
			t.Errorf("terminating again: %v", err)
		}
		if s.watcher.sessions[session].TerminatedAt == nil {
			t.Error("the watcher does not know of the end")
		}
		if err := s.registry.TerminateSession(ctx, us, session); !errors.Is(err, schema.Conflict) {
			t.Errorf("terminating once more: %v, want a conflict", err)
		}
	})
	t.Run("a creation", func(t *testing.T) {
		mend := schematest.BreakTable(t, s.db, "sessions")
		wanted := newSession()
		wanted.Comments = new("first try")
		if _, err := s.registry.CreateSession(ctx, us, device, wanted); !errors.Is(err, schema.Unavailable) {
			t.Fatalf("err = %v, want schema.Unavailable", err)
		}
		mend()
		ghost := s.registry.known.device(device).unsettled.id
		if err := s.db.SaveSession(ctx, schema.Session{ID: ghost, OrgID: us, DeviceID: device, DeviceMACAddress: "van-1", CreatedAt: noon, Comments: wanted.Comments}); err != nil {
			t.Fatal(err)
		}
		wanted.Comments = new("second try")
		id, err := s.registry.CreateSession(ctx, us, device, wanted)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := s.db.FindSession(ctx, us, id)
		if err != nil || id != ghost || got.Comments == nil || *got.Comments != "second try" {
			t.Errorf("the session is %v with %+v, %v, want %v rewritten", id, got, err, ghost)
		}
	})
	t.Run("a registration", func(t *testing.T) {
		mend := schematest.BreakTable(t, s.db, "devices")
		if _, err := s.registry.RegisterDevice(ctx, us, newDevice("van-9")); !errors.Is(err, schema.Unavailable) {
			t.Fatalf("err = %v, want schema.Unavailable", err)
		}
		mend()
		ghost := s.registry.unsettled["van-9"].id
		if err := s.db.SaveDevice(ctx, schema.Device{ID: ghost, OrgID: us, MACAddress: "van-9", CreatedAt: noon}); err != nil {
			t.Fatal(err)
		}
		if id, err := s.registry.RegisterDevice(ctx, them, newDevice("van-9")); err != nil || id != ghost {
			t.Fatalf("another organisation registers it: %v, %v, want %v", id, err, ghost)
		}
		s.restart()
		if !s.registry.OwnsDevice(them, ghost) || s.registry.OwnsDevice(us, ghost) {
			t.Error("after a restart the device is not them alone")
		}
	})
}

func TestRegistryWaitsNoLongerThanItsContext(t *testing.T) {
	t.Parallel()
	s := newDirectory(t)
	release, err := s.registry.decide(t.Context(), "van-1")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.registry.RegisterDevice(ctx, us, newDevice("van-1")); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want context.Canceled", err)
	}
}
