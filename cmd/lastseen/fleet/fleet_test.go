package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lastseen.example/client"
)

// station is a server that remembers timestamps by session.
type station struct {
	mu      sync.Mutex
	points  map[string][]time.Time
	where   map[string]position
	batches map[string][]int
	down    bool
}

func newStation() *station {
	return &station{points: map[string][]time.Time{}, where: map[string]position{}, batches: map[string][]int{}}
}

func (s *station) RegisterDevice(_ context.Context, device client.Device) (string, error) {
	return device.MACAddress, nil
}

func (s *station) EnsureSession(_ context.Context, deviceID string, _ client.NewSession) (string, bool, error) {
	return "session-" + deviceID, true, nil
}

func (s *station) Ingest(_ context.Context, ndjson []byte) (client.IngestResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return client.IngestResult{}, errors.New("down")
	}
	lines := bytes.Split(bytes.TrimSpace(ndjson), []byte("\n"))
	session := ""
	for _, line := range lines {
		var p struct {
			SessionID string    `json:"session_id"`
			Timestamp time.Time `json:"timestamp"`
			Latitude  float64   `json:"latitude"`
			Longitude float64   `json:"longitude"`
		}
		if err := json.Unmarshal(line, &p); err != nil {
			return client.IngestResult{}, err
		}
		session = p.SessionID
		s.points[session] = append(s.points[session], p.Timestamp)
		s.where[session] = position{p.Timestamp, p.Latitude, p.Longitude}
	}
	s.batches[session] = append(s.batches[session], len(lines))
	return client.IngestResult{Accepted: len(lines)}, nil
}

// position is where a session is.
type position struct {
	at                  time.Time
	latitude, longitude float64
}

func (s *station) LastSeen(_ context.Context, session string) (*client.DataPoint, error) {
	p, known := s.position(session)
	if !known {
		return nil, nil
	}
	point := &client.DataPoint{Timestamp: p.at}
	point.Location.Geometry.Coordinates = []float64{p.longitude, p.latitude}
	return point, nil
}

func (s *station) position(session string) (p position, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, known = s.where[session]
	return p, known
}

func newFleet(t *testing.T, s *station, vehicles int) *Fleet {
	t.Helper()
	f, err := New(t.Context(), s, s, Options{Vehicles: vehicles, Past: 3 * time.Hour, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestTheFleetHasAPastAndDrivesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation()
		f := newFleet(t, s, 20)
		points, err := f.Backfill(t.Context(), func() {})
		if err != nil || points < 20*3*3600/30 {
			t.Fatalf("backfilled %d points, error %v", points, err)
		}
		before := map[string]int{}
		for session, timestamps := range s.points {
			before[session] = len(timestamps)
			if first := time.Since(timestamps[0]); first > 3*time.Hour || first < 3*time.Hour-time.Minute {
				t.Errorf("%s begins %v ago", session, first)
			}
		}
		drive(t, f, 30*time.Minute, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.down = !s.down // for five minutes at a time
		})
		late := 0
		for session, timestamps := range s.points {
			if len(timestamps) <= before[session] {
				t.Errorf("%s has not moved on", session)
			}
			for i := 1; i < len(timestamps); i++ {
				if gap := timestamps[i].Sub(timestamps[i-1]); gap <= 0 || gap > parkedInterval {
					t.Fatalf("%s: %v from one point to the next, so one is lost or doubled", session, gap)
				}
			}
			for _, n := range s.batches[session][1:] {
				if n > 10 {
					late++
				}
			}
		}
		if late == 0 {
			t.Error("no late batch in half an hour")
		}
	})
}

// drive lets the fleet drive, and calls every five minutes.
func drive(t *testing.T, f *Fleet, length time.Duration, every func()) {
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	ticks := time.NewTicker(5 * time.Minute)
	defer ticks.Stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.Drive(ctx)
	}()
	for {
		select {
		case <-ticks.C:
			every()
		case <-done:
			return
		}
	}
}

func TestASecondRunGoesOnWhereTheFirstStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation()
		if _, err := newFleet(t, s, 5).Backfill(t.Context(), func() {}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Minute)
		before := map[string]position{}
		for session, p := range s.where {
			before[session] = p
		}
		again := newFleet(t, s, 5)
		for _, tracker := range again.trackers {
			last := before[tracker.session]
			if gap := tracker.vehicle.at.Sub(last.at); gap != drivingInterval {
				t.Errorf("%s goes on %v after it stopped", tracker.name, gap)
			}
			if jump := tracker.vehicle.from.place().distance(placeAt(last.latitude, last.longitude)); jump > 200 {
				t.Errorf("%s goes on %.0f m from where it stopped", tracker.name, jump)
			}
		}
		if points, err := again.Backfill(t.Context(), func() {}); err != nil || points > 5*20*60/5 || points < 5*20*60/30/2 {
			t.Errorf("the second run sent %d points, error %v", points, err)
		}
	})
}

func TestTheVehicleThatKeepsMovingIsElsewhereEveryFewSeconds(t *testing.T) {
	t.Parallel()
	for _, vehicles := range []int{1, 10} {
		synctest.Test(t, func(t *testing.T) {
			s := newStation()
			f := newFleet(t, s, vehicles)
			if _, err := f.Backfill(t.Context(), func() {}); err != nil {
				t.Fatal(err)
			}
			chosen := f.KeepMoving()
			before, late := s.where[chosen.SessionID], 0
			drive(t, f, time.Hour, func() {
				now, _ := s.position(chosen.SessionID)
				if time.Since(now.at) > 2*drivingInterval {
					late++
				}
				if now == before {
					t.Errorf("%s is where it was", chosen.Name)
				}
				before = now
			})
			if late > 0 {
				t.Errorf("%s was late %d times", chosen.Name, late)
			}
		})
	}
}

func TestAVehicleThatKeepsMovingNeverStands(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 15, 9, 0, 0, 0, time.UTC)
	for seed := range uint64(20) {
		v := newVehicle(seed, randomCorner(seed), start)
		for v.at.Before(start.Add(time.Hour)) {
			v.step()
		}
		now := v.at
		v.keepMoving(now)
		last := v.step()
		for range 2000 {
			next := v.step()
			moved := placeAt(last.latitude, last.longitude).distance(placeAt(next.latitude, next.longitude))
			if !next.online || next.at.Sub(last.at) != drivingInterval || moved < 2 {
				t.Fatalf("seed %d: online %v, %v and %.1f m after the report before", seed, next.online, next.at.Sub(last.at), moved)
			}
			last = next
		}
	}
}
