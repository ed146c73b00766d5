package registry

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"lastseen/schema"
	"lastseen/schema/schematest"
)

func newDevice(mac string) NewDevice {
	return NewDevice{DeviceMACAddress: &mac, SchemaVersion: new(1)}
}

func newSession() NewSession { return NewSession{SchemaVersion: new(1)} }

func TestRegisterDevice(t *testing.T) {
	t.Parallel()
	s := newDirectory(t)
	ctx := t.Context()
	first, err := s.registry.RegisterDevice(ctx, us, NewDevice{
		DeviceMACAddress: new("AA:BB:cc:dd:ee:0F"), SchemaVersion: new(1), Type: new("tracker"), Comments: new("it's\ta \\ \"van\"\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, spelling := range []string{"AA:BB:cc:dd:ee:0F", "aa-bb-cc-dd-ee-0f", "aabb.ccdd.ee0f", "AABBCCDDEE0F"} {
		again, err := s.registry.RegisterDevice(ctx, us, newDevice(spelling))
		if err != nil || again != first {
			t.Errorf("registering again as %s: %v, %v, want %v", spelling, again, err, first)
		}
		if _, err := s.registry.RegisterDevice(ctx, them, newDevice(spelling)); !errors.Is(err, schema.Conflict) {
			t.Errorf("registering in another organisation as %s: %v, want a conflict", spelling, err)
		}
	}
	other, err := s.registry.RegisterDevice(ctx, them, newDevice("van-7"))
	if err != nil || other == first {
		t.Errorf("another device: %v, %v, want a new id", other, err)
	}
	if !s.registry.OwnsDevice(us, first) || s.registry.OwnsDevice(them, first) || s.registry.OwnsDevice(us, schema.NewID()) {
		t.Error("OwnsDevice disagrees with what was registered")
	}

	again := newDevice("aabbccddee0f")
	again.Comments, again.OffChrtReferenceID = new("a lorry"), new("ref_1")
	if _, err := s.registry.RegisterDevice(ctx, us, again); err != nil {
		t.Fatal(err)
	}
	got, found, err := s.db.FindDevice(ctx, first)
	want := schema.Device{
		ID: first, OrgID: us, MACAddress: "AA:BB:cc:dd:ee:0F", Type: new("tracker"), Comments: new("a lorry"),
		OffChrtReferenceID: new("ref_1"), CreatedAt: noon, Version: 1,
	}
	if d := schematest.Diff(want, got); d != "" || !found || err != nil {
		t.Errorf("found %v, %v (-want +got):\n%s", found, err, d)
	}

	s.restart()
	if again, err := s.registry.RegisterDevice(ctx, us, newDevice("AABB.CCDD.EE0F")); err != nil || again != first {
		t.Errorf("registering again after a restart: %v, %v, want %v", again, err, first)
	}
	if _, err := s.registry.RegisterDevice(ctx, us, newDevice("VAN-7")); !errors.Is(err, schema.Conflict) {
		t.Errorf("registering their device after a restart: %v, want a conflict", err)
	}
}

func TestRegisterDeviceFromManyAtOnceHasOneWinner(t *testing.T) {
	t.Parallel()
	s := newDirectory(t)
	type outcome struct {
		org string
		id  schema.ID
		err error
	}
	outcomes := make([]outcome, 12)
	var wg sync.WaitGroup
	for i := range outcomes {
		wg.Go(func() {
			org := []string{us, them}[i%2]
			id, err := s.registry.RegisterDevice(t.Context(), org, newDevice("00:11:22:33:44:55"))
			outcomes[i] = outcome{org, id, err}
		})
	}
	wg.Wait()
	winner := outcomes[slices.IndexFunc(outcomes, func(o outcome) bool { return o.err == nil })]
	for _, o := range outcomes {
		if o.org == winner.org && (o.err != nil || o.id != winner.id) || o.org != winner.org && !errors.Is(o.err, schema.Conflict) {
			t.Errorf("%s got %v, %v while %s has the device as %v", o.org, o.id, o.err, winner.org, winner.id)
		}
	}
}

func TestCreateSession(t *testing.T) {
	t.Parallel()
	s := newDirectory(t)
	ctx := t.Context()
	device, first := s.session(us, "van-1")
	want := schema.Session{ID: first, OrgID: us, DeviceID: device, DeviceMACAddress: "van-1", CreatedAt: noon}
	if d := schematest.Diff(want, s.watcher.sessions[first]); d != "" {
		t.Errorf("the watcher was told (-want +got):\n%s", d)
	}
	create := func(org string, device schema.ID, scheduled *string) (schema.ID, error) {
		wanted := newSession()
		wanted.TerminationScheduledFor = scheduled
		return s.registry.CreateSession(ctx, org, device, wanted)
	}
	if _, err := create(us, device, nil); !errors.Is(err, schema.Conflict) {
		t.Errorf("a second active session: %v, want a conflict", err)
	}
	for name, of := range map[string]struct {
		org    string
		device schema.ID
	}{"another organisation's device": {them, device}, "no device": {us, schema.NewID()}} {
		if _, err := create(of.org, of.device, nil); !errors.Is(err, schema.NotFound) {
			t.Errorf("a session of %s: %v, want schema.NotFound", name, err)
		}
	}
	if err := s.registry.TerminateSession(ctx, us, first); err != nil {
		t.Fatal(err)
	}
	s.clock.Advance(time.Second)
	second, err := create(us, device, new(s.clock.Now().Add(time.Minute).Format(time.RFC3339)))
	if err != nil {
		t.Fatalf("after the first was terminated: %v", err)
	}
	if _, err := create(us, device, nil); !errors.Is(err, schema.Conflict) {
		t.Errorf("before the scheduled termination: %v, want a conflict", err)
	}
	s.restart()
	if _, err := create(us, device, nil); !errors.Is(err, schema.Conflict) {
		t.Errorf("before the scheduled termination, after a restart: %v, want a conflict", err)
	}
	s.clock.Advance(time.Minute)
	if err := s.registry.TerminateSession(ctx, us, second); !errors.Is(err, schema.Conflict) {
		t.Errorf("terminating what ended by its schedule: %v, want a conflict", err)
	}
	if _, err := create(us, device, nil); err != nil {
		t.Errorf("after the scheduled termination: %v", err)
	}
	s.restart()
	if _, err := create(us, device, nil); !errors.Is(err, schema.Conflict) {
		t.Errorf("with an active session among ended ones, after a restart: %v, want a conflict", err)
	}
}

func TestCreateSessionFromManyAtOnceHasOneWinner(t *testing.T) {
	t.Parallel()
	s := newDirectory(t)
	device, err := s.registry.RegisterDevice(t.Context(), us, newDevice("van-1"))
	if err != nil {
		t.Fatal(err)
	}
	errs := make([]error, 10)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { _, errs[i] = s.registry.CreateSession(t.Context(), us, device, newSession()) })
	}
	wg.Wait()
	created := 0
	for _, err := range errs {
		if err == nil {
			created++
		} else if !errors.Is(err, schema.Conflict) {
			t.Errorf("err = %v, want a conflict", err)
		}
	}
	if created != 1 {
		t.Errorf("%d sessions were created, want 1", created)
	}
}

func TestUpdateSession(t *testing.T) {
	t.Parallel()
	s := newDirectory(t)
	ctx := t.Context()
	_, id := s.session(us, "van-1")
	later := noon.Add(time.Hour)
	stored := func() schema.Session {
		t.Helper()
		got, found, err := s.db.FindSession(ctx, us, id)
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
			SchemaVersion: new(1), Comments: new("don't panic\\\n"), OffChrtReferenceID: new("a.b_c~d-e"), OffChrtShipperOrgDataID: new("ship 1"),
			Public: new(true), TerminationScheduledFor: new(later.Format(time.RFC3339)),
		}}, func(s *schema.Session) {
			s.Comments, s.OffChrtReferenceID, s.OffChrtShipperOrgDataID = new("don't panic\\\n"), new("a.b_c~d-e"), new("ship 1")
			s.Public, s.TerminationScheduledFor = new(true), &later
		}, 1},
		{"setting the same", SessionUpdate{NewSession: NewSession{Comments: new("don't panic\\\n"), Public: new(true)}}, func(*schema.Session) {}, 1},
		{"changing one", SessionUpdate{NewSession: NewSession{Public: new(false)}}, func(s *schema.Session) { s.Public = new(false) }, 2},
		{"clearing some", SessionUpdate{ClearComments: true, ClearTerminationScheduledFor: true}, func(s *schema.Session) {
			s.Comments, s.TerminationScheduledFor = nil, nil
		}, 3},
		{"clearing the rest", SessionUpdate{ClearPublic: true, ClearOffChrtReferenceID: true, ClearOffChrtShipperOrgDataID: true}, func(s *schema.Session) {
			s.Public, s.OffChrtReferenceID, s.OffChrtShipperOrgDataID = nil, nil, nil
		}, 4},
	} {
		if err := s.registry.UpdateSession(ctx, us, id, step.update); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		step.expect(&want)
		want.Version = step.version
		if d := schematest.Diff(want, stored()); d != "" {
			t.Errorf("%s (-want +stored):\n%s", step.name, d)
		}
		if d := schematest.Diff(want, s.watcher.sessions[id]); d != "" {
			t.Errorf("%s (-want +watcher):\n%s", step.name, d)
		}
	}
	if err := s.registry.UpdateSession(ctx, them, id, SessionUpdate{}); !errors.Is(err, schema.NotFound) {
		t.Errorf("another organisation's: %v, want schema.NotFound", err)
	}
	if err := s.registry.UpdateSession(ctx, us, schema.NewID(), SessionUpdate{}); !errors.Is(err, schema.NotFound) {
		t.Errorf("none: %v, want schema.NotFound", err)
	}
}

func TestUpdateSessionDoesNotReviveAnEndedOne(t *testing.T) {
	t.Parallel()
	s := newDirectory(t)
	ctx := t.Context()
	_, terminated := s.session(us, "van-1")
	if err := s.registry.TerminateSession(ctx, us, terminated); err != nil {
		t.Fatal(err)
	}
	_, due := s.session(us, "van-2")
	schedule := SessionUpdate{NewSession: NewSession{TerminationScheduledFor: new(noon.Add(time.Minute).Format(time.RFC3339))}}
	if err := s.registry.UpdateSession(ctx, us, due, schedule); err != nil {
		t.Fatal(err)
	}
	s.clock.Advance(2 * time.Minute)
	reschedule := SessionUpdate{NewSession: NewSession{TerminationScheduledFor: new(noon.Add(time.Hour).Format(time.RFC3339))}}
	for name, id := range map[string]schema.ID{"terminated": terminated, "ended by its schedule": due} {
		if err := s.registry.UpdateSession(ctx, us, id, reschedule); !errors.Is(err, schema.Conflict) {
			t.Errorf("rescheduling a session that was %s: %v, want a conflict", name, err)
		}
		if err := s.registry.UpdateSession(ctx, us, id, SessionUpdate{NewSession: NewSession{Comments: new("late")}}); err != nil {
			t.Errorf("commenting on a session that was %s: %v", name, err)
		}
	}
	if err := s.registry.UpdateSession(ctx, us, due, SessionUpdate{ClearTerminationScheduledFor: true}); !errors.Is(err, schema.Conflict) {
		t.Errorf("clearing the schedule that ended a session: %v, want a conflict", err)
	}
	if err := s.registry.UpdateSession(ctx, us, terminated, SessionUpdate{ClearTerminationScheduledFor: true}); err != nil {
		t.Errorf("clearing no schedule: %v", err)
	}
}

func TestTerminateSession(t *testing.T) {
	t.Parallel()
	s := newDirectory(t)
	ctx := t.Context()
	_, id := s.session(us, "van-1")
	if err := s.registry.TerminateSession(ctx, them, id); !errors.Is(err, schema.NotFound) {
		t.Errorf("by another organisation: %v, want schema.NotFound", err)
	}
	s.clock.Advance(time.Minute + 123456*time.Nanosecond)
	if err := s.registry.TerminateSession(ctx, us, id); err != nil {
		t.Fatal(err)
	}
	if at := s.watcher.sessions[id].TerminatedAt; at == nil || !at.Equal(noon.Add(time.Minute)) {
		t.Errorf("terminated at %v, want %v", at, noon.Add(time.Minute))
	}
	if err := s.registry.TerminateSession(ctx, us, id); !errors.Is(err, schema.Conflict) {
		t.Errorf("twice: %v, want a conflict", err)
	}
	s.restart()
	if err := s.registry.TerminateSession(ctx, us, id); !errors.Is(err, schema.Conflict) {
		t.Errorf("twice with a restart between: %v, want a conflict", err)
	}
}

func TestUpdateSharedOrgs(t *testing.T) {
	t.Parallel()
	s := newDirectory(t)
	ctx := t.Context()
	_, id := s.session(us, "van-1")
	for _, step := range []struct {
		add, remove, want []string
		version           uint64
	}{
		{nil, nil, nil, 0},
		{[]string{"org_a", "org_b", "org_a", us}, nil, []string{"org_a", "org_b"}, 1},
		{[]string{"org_b"}, []string{"org_c"}, []string{"org_a", "org_b"}, 1},
		{[]string{"org_c", "org_d"}, []string{"org_a", "org_d"}, []string{"org_b", "org_c"}, 2},
		{nil, []string{"org_b", "org_c"}, nil, 3},
	} {
		if err := s.registry.UpdateSharedOrgs(ctx, us, id, step.add, step.remove); err != nil {
			t.Fatal(err)
		}
		got := s.watcher.sessions[id]
		if d := schematest.Diff(step.want, got.SharedWithOrgIDs); d != "" || got.Version != step.version {
			t.Errorf("adding %v and removing %v gives version %d, want %d (-want +got):\n%s", step.add, step.remove, got.Version, step.version, d)
		}
	}
	if err := s.registry.UpdateSharedOrgs(ctx, them, id, []string{them}, nil); !errors.Is(err, schema.NotFound) {
		t.Errorf("by another organisation: %v, want schema.NotFound", err)
	}
	if field := schematest.InvalidField(s.registry.UpdateSharedOrgs(ctx, us, id, []string{"acme"}, nil)); field != "add_org_ids" {
		t.Errorf("adding what is no organisation: %s, want add_org_ids", field)
	}
	if field := schematest.InvalidField(s.registry.UpdateSharedOrgs(ctx, us, id, nil, []string{"org_"})); field != "remove_org_ids" {
		t.Errorf("removing what is no organisation: %s, want remove_org_ids", field)
	}
}
