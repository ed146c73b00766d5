package registry

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lastseen/schema"
)

func TestAnOrganisationHasAsManyDevicesAsItMay(t *testing.T) {
	t.Parallel()
	s := newDirectory(t)
	s.session(us, "van-1")
	s.quotas = Quotas{Devices: 3}
	s.restart() // which counts what is stored
	var made atomic.Int64
	var racing sync.WaitGroup
	for i := range 12 {
		racing.Go(func() {
			_, err := s.registry.RegisterDevice(t.Context(), us, newDevice(fmt.Sprintf("truck-%d", i)))
			said, _ := errors.AsType[*schema.Error](err)
			switch {
			case err == nil:
				made.Add(1)
			case !errors.Is(err, schema.Conflict) || !strings.Contains(said.Sentence, "--devices-per-organisation"):
				t.Errorf("a device past the quota: %v", err)
			}
		})
	}
	racing.Wait()
	if made.Load() != 2 {
		t.Errorf("an organisation that may have 3 devices and had one made %d more", made.Load())
	}
	if _, err := s.registry.RegisterDevice(t.Context(), us, newDevice("van-1")); err != nil {
		t.Errorf("a device that it has, again: %v", err)
	}
	if _, err := s.registry.RegisterDevice(t.Context(), them, newDevice("their-van")); err != nil {
		t.Errorf("a device of another organisation: %v", err)
	}
	if err := s.registry.Introduce(t.Context(), us, "phone"); !errors.Is(err, schema.Conflict) {
		t.Errorf("a device that an app introduces past the quota: %v", err)
	}
}

func TestAnOrganisationHasAsManyActiveSessionsAsItMay(t *testing.T) {
	t.Parallel()
	s := newDirectory(t)
	var devices []schema.ID
	for i := range 6 {
		device, err := s.registry.RegisterDevice(t.Context(), us, newDevice(fmt.Sprintf("van-%d", i)))
		if err != nil {
			t.Fatal(err)
		}
		devices = append(devices, device)
	}
	s.quotas = Quotas{Sessions: 2}
	s.restart()
	begin := func(device int, wanted NewSession) (schema.ID, error) {
		return s.registry.CreateSession(t.Context(), us, devices[device], wanted)
	}
	past := func(device int) {
		t.Helper()
		_, err := begin(device, newSession())
		said, _ := errors.AsType[*schema.Error](err)
		if !errors.Is(err, schema.Conflict) || !strings.Contains(said.Sentence, "--sessions-per-organisation") {
			t.Errorf("a session past the quota: %v", err)
		}
	}
	first, err := begin(0, newSession())
	if err != nil {
		t.Fatal(err)
	}
	ending := newSession()
	ending.TerminationScheduledFor = new(noon.Add(time.Hour).Format(time.RFC3339))
	if _, err := begin(1, ending); err != nil {
		t.Fatal(err)
	}
	past(2)
	if err := s.registry.TerminateSession(t.Context(), us, first); err != nil {
		t.Fatal(err)
	}
	if _, err := begin(2, newSession()); err != nil {
		t.Errorf("a session in the place of one that was terminated: %v", err)
	}
	past(3)
	s.clock.Advance(2 * time.Hour) // the second one has ended by its schedule
	if _, err := begin(3, newSession()); err != nil {
		t.Errorf("a session in the place of one whose termination was scheduled: %v", err)
	}
	past(4)
	s.restart()
	past(4)
	s.session(them, "their-van") // another organisation is none the worse for it
}

func TestSessionsThatHaveEndedCountAmongAllSessions(t *testing.T) {
	t.Parallel()
	s := newDirectory(t)
	device, err := s.registry.RegisterDevice(t.Context(), us, newDevice("van-1"))
	if err != nil {
		t.Fatal(err)
	}
	s.quotas = Quotas{AllSessions: 3}
	s.restart()
	for i := range 4 {
		id, err := s.registry.CreateSession(t.Context(), us, device, newSession())
		if i < 3 {
			if err != nil {
				t.Fatal(err)
			}
			if err := s.registry.TerminateSession(t.Context(), us, id); err != nil {
				t.Fatal(err)
			}
			if i == 1 {
				s.restart() // which counts what is stored
			}
			continue
		}
		said, _ := errors.AsType[*schema.Error](err)
		if !errors.Is(err, schema.Conflict) || !strings.Contains(said.Sentence, "--all-sessions-per-organisation") {
			t.Errorf("a session past the quota: %v", err)
		}
	}
	s.session(them, "their-van")
}
