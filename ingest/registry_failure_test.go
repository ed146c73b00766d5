package ingest

import (
	"context"
	"errors"
	"testing"

	"lastseen/schema"
)

func TestRegistryIsUnchangedWhenClickHouseFails(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	ctx := t.Context()
	device, err := s.registry.RegisterDevice(ctx, ours, newDevice("van-1"))
	if err != nil {
		t.Fatal(err)
	}
	_, running := s.session(ours, "van-2")

	mendDevices, mendSessions := s.breakTable("devices"), s.breakTable("sessions")
	_, registerErr := s.registry.RegisterDevice(ctx, ours, newDevice("van-3"))
	_, createErr := s.registry.CreateSession(ctx, ours, device, newSession())
	for what, err := range map[string]error{
		"register": registerErr, "create": createErr,
		"update":    s.registry.UpdateSession(ctx, ours, running, SessionUpdate{NewSession: NewSession{Comments: ptr("x")}}),
		"terminate": s.registry.TerminateSession(ctx, ours, running),
		"share":     s.registry.UpdateSharedOrgs(ctx, ours, running, []string{theirs}, nil),
	} {
		if !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v, want ErrUnavailable", what, err)
		}
	}
	if len(s.reader.sessions) != 1 {
		t.Errorf("the watcher was told of %d sessions, want 1", len(s.reader.sessions))
	}
	mendDevices()
	mendSessions()

	if _, err := s.registry.RegisterDevice(ctx, theirs, newDevice("van-3")); err != nil {
		t.Errorf("another organisation registers what could not be: %v", err)
	}
	if _, err := s.registry.CreateSession(ctx, ours, device, newSession()); err != nil {
		t.Errorf("create again: %v", err)
	}
	if err := s.registry.TerminateSession(ctx, ours, running); err != nil {
		t.Errorf("terminate again: %v", err)
	}
}

// A write whose answer was lost may have happened. The tables are broken so that the registry sees
// it fail, and the row that it meant to write is put there behind its back.
func TestRegistrySettlesWhatWasWrittenUnacknowledged(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	ctx := t.Context()
	device, session := s.session(ours, "van-1")

	t.Run("a termination", func(t *testing.T) {
		row, _, err := s.db.FindSession(ctx, ours, session)
		if err != nil {
			t.Fatal(err)
		}
		row.TerminatedAt, row.Version = ptr(start), row.Version+1
		if err := s.db.SaveSession(ctx, row); err != nil {
			t.Fatal(err)
		}
		if err := s.registry.TerminateSession(ctx, ours, session); err != nil {
			t.Errorf("terminating again: %v", err)
		}
		if s.reader.sessions[session].TerminatedAt == nil {
			t.Error("the watcher does not know of the end")
		}
		if err := s.registry.TerminateSession(ctx, ours, session); !isConflict(err) {
			t.Errorf("terminating once more: %v, want a conflict", err)
		}
	})
	t.Run("a creation", func(t *testing.T) {
		mend := s.breakTable("sessions")
		wanted := newSession()
		wanted.Comments = ptr("first try")
		if _, err := s.registry.CreateSession(ctx, ours, device, wanted); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("err = %v, want ErrUnavailable", err)
		}
		mend()
		ghost := s.registry.devices[device].unsettled.id
		if err := s.db.SaveSession(ctx, schema.Session{ID: ghost, OrgID: ours, DeviceID: device, DeviceMACAddress: "van-1", CreatedAt: start, Comments: wanted.Comments}); err != nil {
			t.Fatal(err)
		}
		wanted.Comments = ptr("second try")
		id, err := s.registry.CreateSession(ctx, ours, device, wanted)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := s.db.FindSession(ctx, ours, id)
		if err != nil || id != ghost || got.Comments == nil || *got.Comments != "second try" {
			t.Errorf("the session is %v with %+v, %v, want %v rewritten", id, got, err, ghost)
		}
	})
	t.Run("a registration", func(t *testing.T) {
		mend := s.breakTable("devices")
		if _, err := s.registry.RegisterDevice(ctx, ours, newDevice("van-9")); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("err = %v, want ErrUnavailable", err)
		}
		mend()
		ghost := s.registry.unsettled["van-9"].id
		if err := s.db.SaveDevice(ctx, schema.Device{ID: ghost, OrgID: ours, MACAddress: "van-9", CreatedAt: start}); err != nil {
			t.Fatal(err)
		}
		if id, err := s.registry.RegisterDevice(ctx, theirs, newDevice("van-9")); err != nil || id != ghost {
			t.Fatalf("another organisation registers it: %v, %v, want %v", id, err, ghost)
		}
		s.restart()
		if !s.registry.OwnsDevice(theirs, ghost) || s.registry.OwnsDevice(ours, ghost) {
			t.Error("after a restart the device is not theirs alone")
		}
	})
}

func TestRegistryWaitsNoLongerThanItsContext(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	release, err := s.registry.turn(t.Context(), "van-1")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.registry.RegisterDevice(ctx, ours, newDevice("van-1")); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want context.Canceled", err)
	}
}
