package registry

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"lastseen/schema"
)

// adoptSome takes over devices with a session each, numbered from first on.
func adoptSome(r *Registry, first, count int) (sessions []schema.ID) {
	for i := range count {
		device, session := schema.NewID(), schema.NewID()
		n := first + i
		mac := fmt.Sprintf("00:00:00:%02x:%02x:%02x", n>>16&255, n>>8&255, n&255)
		r.AdoptDevice(schema.DeviceOwner{ID: device, OrgID: us, MACAddress: mac})
		r.AdoptSession(schema.Session{ID: session, OrgID: us, DeviceID: device, DeviceMACAddress: mac, CreatedAt: noon, Version: uint64(n)})
		sessions = append(sessions, session)
	}
	return sessions
}

func registryOfNothing() *Registry {
	return New(nil, &watcher{sessions: map[schema.ID]schema.Session{}}, Quotas{}, func() time.Time { return noon })
}

// TestEverythingHasAllThatWasKnownAtTheCall also while more becomes known, for which the tables grow.
func TestEverythingHasAllThatWasKnownAtTheCall(t *testing.T) {
	t.Parallel()
	r := registryOfNothing()
	known := adoptSome(r, 0, 3*stretch)
	ctx, stop := context.WithCancel(t.Context())
	var more sync.WaitGroup
	more.Go(func() {
		for n := len(known); ctx.Err() == nil && n < 20*stretch; n += 100 {
			adoptSome(r, n, 100)
		}
	})
	devices, sessions, err := r.Everything(t.Context())
	stop()
	more.Wait()
	if err != nil || len(devices) < len(known) {
		t.Fatalf("of %d devices %d are listed: %v", len(known), len(devices), err)
	}
	listed := map[schema.ID]uint64{}
	for _, s := range sessions {
		if _, twice := listed[s.ID]; twice || s.OrgID != us {
			t.Fatalf("a session is listed twice, or as that of %q", s.OrgID)
		}
		listed[s.ID] = s.Version
	}
	for n, id := range known {
		if version, is := listed[id]; !is || version != uint64(n) {
			t.Fatalf("session %d of %d is listed: %t, with version %d", n, len(known), is, version)
		}
	}
}

func TestEverythingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	r := registryOfNothing()
	adoptSome(r, 0, 10)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, sessions, err := r.Everything(ctx); !errors.Is(err, context.Canceled) || len(sessions) > 0 {
		t.Errorf("it lists %d sessions that nobody wants: %v", len(sessions), err)
	}
}
