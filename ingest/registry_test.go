package ingest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"lastseen/schema"
)

func newDevice(mac string) NewDevice {
	return NewDevice{DeviceMACAddress: &mac, SchemaVersion: ptr(1)}
}

func newSession() NewSession { return NewSession{SchemaVersion: ptr(1)} }

func isConflict(err error) bool {
	return errors.Is(err, ErrConflict) && errors.As(err, new(*ConflictError))
}

func invalidField(err error) string {
	if wrong, ok := errors.AsType[*InvalidError](err); ok {
		return wrong.Field
	}
	return fmt.Sprintf("no InvalidError but %v", err)
}

func TestRegisterDevice(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	ctx := t.Context()
	first, err := s.registry.RegisterDevice(ctx, ours, NewDevice{
		DeviceMACAddress: ptr("AA:BB:cc:dd:ee:0F"), SchemaVersion: ptr(1), Type: ptr("tracker"), Comments: ptr("it's\ta \\ \"van\"\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, spelling := range []string{"AA:BB:cc:dd:ee:0F", "aa-bb-cc-dd-ee-0f", "aabb.ccdd.ee0f", "AABBCCDDEE0F"} {
		again, err := s.registry.RegisterDevice(ctx, ours, newDevice(spelling))
		if err != nil || again != first {
			t.Errorf("registering again as %s: %v, %v, want %v", spelling, again, err, first)
		}
		if _, err := s.registry.RegisterDevice(ctx, theirs, newDevice(spelling)); !isConflict(err) {
			t.Errorf("registering in another organisation as %s: %v, want a conflict", spelling, err)
		}
	}
	other, err := s.registry.RegisterDevice(ctx, theirs, newDevice("van-7"))
	if err != nil || other == first {
		t.Errorf("another device: %v, %v, want a new id", other, err)
	}
	if !s.registry.OwnsDevice(ours, first) || s.registry.OwnsDevice(theirs, first) || s.registry.OwnsDevice(ours, schema.NewID()) {
		t.Error("OwnsDevice disagrees with what was registered")
	}

	again := newDevice("aabbccddee0f")
	again.Comments, again.OffChrtReferenceID = ptr("a lorry"), ptr("ref_1")
	if _, err := s.registry.RegisterDevice(ctx, ours, again); err != nil {
		t.Fatal(err)
	}
	got, found, err := s.db.FindDevice(ctx, first)
	want := schema.Device{
		ID: first, OrgID: ours, MACAddress: "AA:BB:cc:dd:ee:0F", Type: ptr("tracker"), Comments: ptr("a lorry"),
		OffChrtReferenceID: ptr("ref_1"), CreatedAt: start, Version: 1,
	}
	if d := diff(want, got); d != "" || !found || err != nil {
		t.Errorf("found %v, %v (-want +got):\n%s", found, err, d)
	}

	s.restart()
	if again, err := s.registry.RegisterDevice(ctx, ours, newDevice("AABB.CCDD.EE0F")); err != nil || again != first {
		t.Errorf("registering again after a restart: %v, %v, want %v", again, err, first)
	}
	if _, err := s.registry.RegisterDevice(ctx, ours, newDevice("VAN-7")); !isConflict(err) {
		t.Errorf("registering their device after a restart: %v, want a conflict", err)
	}
}

func TestRegisterDeviceFromManyAtOnceHasOneWinner(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	type outcome struct {
		org string
		id  schema.ID
		err error
	}
	outcomes := make([]outcome, 12)
	var wg sync.WaitGroup
	for i := range outcomes {
		wg.Go(func() {
			org := []string{ours, theirs}[i%2]
			id, err := s.registry.RegisterDevice(t.Context(), org, newDevice("00:11:22:33:44:55"))
			outcomes[i] = outcome{org, id, err}
		})
	}
	wg.Wait()
	winner := outcomes[slices.IndexFunc(outcomes, func(o outcome) bool { return o.err == nil })]
	for _, o := range outcomes {
		if o.org == winner.org && (o.err != nil || o.id != winner.id) || o.org != winner.org && !isConflict(o.err) {
			t.Errorf("%s got %v, %v while %s has the device as %v", o.org, o.id, o.err, winner.org, winner.id)
		}
	}
}

func TestCreateSession(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	ctx := t.Context()
	device, first := s.session(ours, "van-1")
	want := schema.Session{ID: first, OrgID: ours, DeviceID: device, DeviceMACAddress: "van-1", CreatedAt: start}
	if d := diff(want, s.reader.sessions[first]); d != "" {
		t.Errorf("the watcher was told (-want +got):\n%s", d)
	}
	create := func(org string, device schema.ID, scheduled *string) (schema.ID, error) {
		wanted := newSession()
		wanted.TerminationScheduledFor = scheduled
		return s.registry.CreateSession(ctx, org, device, wanted)
	}
	if _, err := create(ours, device, nil); !isConflict(err) {
		t.Errorf("a second active session: %v, want a conflict", err)
	}
	for name, of := range map[string]struct {
		org    string
		device schema.ID
	}{"another organisation's device": {theirs, device}, "no device": {ours, schema.NewID()}} {
		if _, err := create(of.org, of.device, nil); !errors.Is(err, ErrNotFound) {
			t.Errorf("a session of %s: %v, want ErrNotFound", name, err)
		}
	}
	if err := s.registry.TerminateSession(ctx, ours, first); err != nil {
		t.Fatal(err)
	}
	s.clock.advance(time.Second)
	second, err := create(ours, device, ptr(s.clock.Now().Add(time.Minute).Format(time.RFC3339)))
	if err != nil {
		t.Fatalf("after the first was terminated: %v", err)
	}
	if _, err := create(ours, device, nil); !isConflict(err) {
		t.Errorf("before the scheduled termination: %v, want a conflict", err)
	}
	s.restart()
	if _, err := create(ours, device, nil); !isConflict(err) {
		t.Errorf("before the scheduled termination, after a restart: %v, want a conflict", err)
	}
	s.clock.advance(time.Minute)
	if err := s.registry.TerminateSession(ctx, ours, second); !isConflict(err) {
		t.Errorf("terminating what ended by its schedule: %v, want a conflict", err)
	}
	if _, err := create(ours, device, nil); err != nil {
		t.Errorf("after the scheduled termination: %v", err)
	}
	s.restart()
	if _, err := create(ours, device, nil); !isConflict(err) {
		t.Errorf("with an active session among ended ones, after a restart: %v, want a conflict", err)
	}
}

func TestCreateSessionFromManyAtOnceHasOneWinner(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	device, err := s.registry.RegisterDevice(t.Context(), ours, newDevice("van-1"))
	if err != nil {
		t.Fatal(err)
	}
	errs := make([]error, 10)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { _, errs[i] = s.registry.CreateSession(t.Context(), ours, device, newSession()) })
	}
	wg.Wait()
	created := 0
	for _, err := range errs {
		if err == nil {
			created++
		} else if !isConflict(err) {
			t.Errorf("err = %v, want a conflict", err)
		}
	}
	if created != 1 {
		t.Errorf("%d sessions were created, want 1", created)
	}
}

func TestUpdateSession(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	ctx := t.Context()
	_, id := s.session(ours, "van-1")
	later := start.Add(time.Hour)
	stored := func() schema.Session {
		t.Helper()
		got, found, err := s.db.FindSession(ctx, ours, id)
		if err != nil || !found {
			t.Fatalf("FindSession: %v, %v", found, err)
		}
		return got
	}
	want := stored()
	for _, step := range []struct {
		name    string
		update  SessionUpdate
		expect  func(*schema.Session)
		version uint64
	}{
		{"nothing", SessionUpdate{}, func(*schema.Session) {}, 0},
		{"clearing what is not set", SessionUpdate{ClearComments: true, ClearPublic: true, ClearTerminationScheduledFor: true}, func(*schema.Session) {}, 0},
		{"setting all", SessionUpdate{NewSession: NewSession{
			SchemaVersion: ptr(1), Comments: ptr("don't panic\\\n"), OffChrtReferenceID: ptr("a.b_c~d-e"), OffChrtShipperOrgDataID: ptr("ship 1"),
			Public: ptr(true), TerminationScheduledFor: ptr(later.Format(time.RFC3339)),
		}}, func(s *schema.Session) {
			s.Comments, s.OffChrtReferenceID, s.OffChrtShipperOrgDataID = ptr("don't panic\\\n"), ptr("a.b_c~d-e"), ptr("ship 1")
			s.Public, s.TerminationScheduledFor = ptr(true), &later
		}, 1},
		{"setting the same", SessionUpdate{NewSession: NewSession{Comments: ptr("don't panic\\\n"), Public: ptr(true)}}, func(*schema.Session) {}, 1},
		{"changing one", SessionUpdate{NewSession: NewSession{Public: ptr(false)}}, func(s *schema.Session) { s.Public = ptr(false) }, 2},
		{"clearing some", SessionUpdate{ClearComments: true, ClearTerminationScheduledFor: true}, func(s *schema.Session) {
			s.Comments, s.TerminationScheduledFor = nil, nil
		}, 3},
		{"clearing the rest", SessionUpdate{ClearPublic: true, ClearOffChrtReferenceID: true, ClearOffChrtShipperOrgDataID: true}, func(s *schema.Session) {
			s.Public, s.OffChrtReferenceID, s.OffChrtShipperOrgDataID = nil, nil, nil
		}, 4},
	} {
		if err := s.registry.UpdateSession(ctx, ours, id, step.update); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		step.expect(&want)
		want.Version = step.version
		if d := diff(want, stored()); d != "" {
			t.Errorf("%s (-want +stored):\n%s", step.name, d)
		}
		if d := diff(want, s.reader.sessions[id]); d != "" {
			t.Errorf("%s (-want +watcher):\n%s", step.name, d)
		}
	}
	if err := s.registry.UpdateSession(ctx, theirs, id, SessionUpdate{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("another organisation's: %v, want ErrNotFound", err)
	}
	if err := s.registry.UpdateSession(ctx, ours, schema.NewID(), SessionUpdate{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("none: %v, want ErrNotFound", err)
	}
}

func TestUpdateSessionDoesNotReviveAnEndedOne(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	ctx := t.Context()
	_, terminated := s.session(ours, "van-1")
	if err := s.registry.TerminateSession(ctx, ours, terminated); err != nil {
		t.Fatal(err)
	}
	_, due := s.session(ours, "van-2")
	schedule := SessionUpdate{NewSession: NewSession{TerminationScheduledFor: ptr(start.Add(time.Minute).Format(time.RFC3339))}}
	if err := s.registry.UpdateSession(ctx, ours, due, schedule); err != nil {
		t.Fatal(err)
	}
	s.clock.advance(2 * time.Minute)
	reschedule := SessionUpdate{NewSession: NewSession{TerminationScheduledFor: ptr(start.Add(time.Hour).Format(time.RFC3339))}}
	for name, id := range map[string]schema.ID{"terminated": terminated, "ended by its schedule": due} {
		if err := s.registry.UpdateSession(ctx, ours, id, reschedule); !isConflict(err) {
			t.Errorf("rescheduling a session that was %s: %v, want a conflict", name, err)
		}
		if err := s.registry.UpdateSession(ctx, ours, id, SessionUpdate{NewSession: NewSession{Comments: ptr("late")}}); err != nil {
			t.Errorf("commenting on a session that was %s: %v", name, err)
		}
	}
	if err := s.registry.UpdateSession(ctx, ours, due, SessionUpdate{ClearTerminationScheduledFor: true}); !isConflict(err) {
		t.Errorf("clearing the schedule that ended a session: %v, want a conflict", err)
	}
	if err := s.registry.UpdateSession(ctx, ours, terminated, SessionUpdate{ClearTerminationScheduledFor: true}); err != nil {
		t.Errorf("clearing no schedule: %v", err)
	}
}

func TestTerminateSession(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	ctx := t.Context()
	_, id := s.session(ours, "van-1")
	if err := s.registry.TerminateSession(ctx, theirs, id); !errors.Is(err, ErrNotFound) {
		t.Errorf("by another organisation: %v, want ErrNotFound", err)
	}
	s.clock.advance(time.Minute + 123456*time.Nanosecond)
	if err := s.registry.TerminateSession(ctx, ours, id); err != nil {
		t.Fatal(err)
	}
	if at := s.reader.sessions[id].TerminatedAt; at == nil || !at.Equal(start.Add(time.Minute)) {
		t.Errorf("terminated at %v, want %v", at, start.Add(time.Minute))
	}
	if err := s.registry.TerminateSession(ctx, ours, id); !isConflict(err) {
		t.Errorf("twice: %v, want a conflict", err)
	}
	s.restart()
	if err := s.registry.TerminateSession(ctx, ours, id); !isConflict(err) {
		t.Errorf("twice with a restart between: %v, want a conflict", err)
	}
}

func TestUpdateSharedOrgs(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	ctx := t.Context()
	_, id := s.session(ours, "van-1")
	for _, step := range []struct {
		add, remove, want []string
		version           uint64
	}{
		{nil, nil, nil, 0},
		{[]string{"org_a", "org_b", "org_a", ours}, nil, []string{"org_a", "org_b"}, 1},
		{[]string{"org_b"}, []string{"org_c"}, []string{"org_a", "org_b"}, 1},
		{[]string{"org_c", "org_d"}, []string{"org_a", "org_d"}, []string{"org_b", "org_c"}, 2},
		{nil, []string{"org_b", "org_c"}, nil, 3},
	} {
		if err := s.registry.UpdateSharedOrgs(ctx, ours, id, step.add, step.remove); err != nil {
			t.Fatal(err)
		}
		got := s.reader.sessions[id]
		if d := diff(step.want, got.SharedWithOrgIDs); d != "" || got.Version != step.version {
			t.Errorf("adding %v and removing %v gives version %d, want %d (-want +got):\n%s", step.add, step.remove, got.Version, step.version, d)
		}
	}
	if err := s.registry.UpdateSharedOrgs(ctx, theirs, id, []string{theirs}, nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("by another organisation: %v, want ErrNotFound", err)
	}
	if field := invalidField(s.registry.UpdateSharedOrgs(ctx, ours, id, []string{"acme"}, nil)); field != "add_org_ids" {
		t.Errorf("adding what is no organisation: %s, want add_org_ids", field)
	}
	if field := invalidField(s.registry.UpdateSharedOrgs(ctx, ours, id, nil, []string{"org_"})); field != "remove_org_ids" {
		t.Errorf("removing what is no organisation: %s, want remove_org_ids", field)
	}
}
