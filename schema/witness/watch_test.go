package witness_test

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"lastseen/schema"
	"lastseen/schema/schematest"
	"lastseen/schema/witness"
)

func TestMain(m *testing.M) { schematest.Main(m) }

// trial is a watch over a database of its own.
type trial struct {
	t  *testing.T
	db *schema.DB
	*witness.Watch
}

func newTrial(t *testing.T, retention time.Duration) *trial {
	db := schematest.OpenWith(t, schema.Options{Database: "test_" + schema.NewID().String(), Retention: retention})
	return &trial{t, db, witness.New(witness.Config{DB: db, Log: slog.New(slog.DiscardHandler)})}
}

func (k *trial) must(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

// store stores a point of a session of its own, received now.
func (k *trial) store(at time.Time) []schema.OwnedPoint {
	k.t.Helper()
	p := schema.NewDataPoint(schema.NewID(), at.UnixMilli(), 1, 1)
	p.ReceivedAt = time.Now().UnixMilli()
	points := []schema.OwnedPoint{{DataPoint: p, OrgID: "org_a", DeviceID: schema.NewID()}}
	k.must(k.db.InsertDataPoints(k.t.Context(), points))
	return points
}

// begin begins to watch.
func (k *trial) begin() {
	k.t.Helper()
	received, err := k.db.NewestReceipt(k.t.Context(), time.Now())
	k.must(err)
	k.must(k.Begin(k.t.Context(), received))
	k.t.Cleanup(k.Close)
}

// empty takes all rows of a table away.
func (k *trial) empty(table string) { schematest.ExecLocal(k.t, k.db, "TRUNCATE TABLE %s", table) }

// settles waits until what was suspected has proved to be nothing.
func (k *trial) settles() {
	k.t.Helper()
	for began := time.Now(); k.MayWrite() != nil; time.Sleep(10 * time.Millisecond) {
		if k.WasSetBack() || time.Since(began) > 20*time.Second {
			k.t.Fatalf("after %s: %v", time.Since(began), k.MayWrite())
		}
	}
}

func TestAClickHouseThatWasSetBackIsNoticed(t *testing.T) {
	t.Parallel()
	for name, setBack := range map[string]func(k *trial){
		"without a point that was seen": func(k *trial) {
			k.store(time.Now())
			k.begin()
			k.empty("session_by_device_data_points")
		},
		"without a point that was acknowledged, and much is written afterwards": func(k *trial) {
			k.begin()
			k.Points(k.store(time.Now()))
			k.Gone()
			k.settles() // and what was found is kept
			k.empty("session_by_device_data_points")
			later := k.store(time.Now())
			for range 1000 {
				k.Points(later)
			}
		},
		"with a session as it was before": func(k *trial) {
			s := schema.Session{ID: schema.NewID(), OrgID: "org_a", DeviceID: schema.NewID(), CreatedAt: time.Now(), Version: 1}
			changed := s
			changed.Version = 2
			k.begin()
			k.must(k.db.SaveSession(k.t.Context(), changed))
			k.PutSession(changed)
			k.empty("sessions")
			k.must(k.db.SaveSession(k.t.Context(), s))
		},
		"with a key that is not revoked any more": func(k *trial) {
			key := schema.APIKey{Hash: schema.KeyHash{1}, ID: schema.NewID(), Kind: schema.KindAPIKey, OrgID: "org_a", CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}
			k.must(k.db.InsertAPIKey(k.t.Context(), key))
			k.begin()
			k.must(k.db.RevokeAPIKey(k.t.Context(), key.Hash, time.Now(), "user_a"))
			k.Revoked(key.Hash)
			k.Gone()
			k.settles()
			k.empty("api_keys")
			k.must(k.db.InsertAPIKey(k.t.Context(), key))
		},
		"when less had been written of keys": func(k *trial) {
			_, err := k.db.CountKeys(k.t.Context())
			k.must(err)
			k.must(k.db.InsertAPIKey(k.t.Context(), schema.APIKey{Hash: schema.KeyHash{2}, ID: schema.NewID(), OrgID: "org_a"}))
			k.must(k.db.StoreKeyCounts(k.t.Context()))
			k.begin()
			k.empty("api_key_counts")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newTrial(t, 0)
			setBack(k)
			k.Gone() // or it is seen with the next look, some seconds later
			select {
			case <-k.SetBack():
			case <-time.After(20 * time.Second):
				t.Fatal("it is not noticed")
			}
			if err := k.MayWrite(); !errors.Is(err, witness.ErrSetBack) {
				t.Errorf("MayWrite returns %v", err)
			}
		})
	}
}

func TestWhatIsNoSettingBackIsNotTakenForIt(t *testing.T) {
	t.Parallel()
	for name, happen := range map[string]func(k *trial){
		"nothing": func(k *trial) {},
		"a table that was away for a while": func(k *trial) {
			mend := schematest.BreakTable(k.t, k.db, "sessions")
			k.Gone()
			if err := k.MayWrite(); !errors.Is(err, witness.ErrUnsure) {
				k.t.Errorf("while a table is away MayWrite returns %v", err)
			}
			mend()
		},
		"the retention that another process has set": func(k *trial) {
			k.empty("session_by_device_data_points")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newTrial(t, 30*24*time.Hour) // of which the watch was told nothing
			k.begin()
			k.Points(k.store(time.Now().Add(-29*24*time.Hour - 18*time.Hour)))
			happen(k)
			k.Gone()
			k.settles()
		})
	}
}
