package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lastseen/keys"
)

const lastSeenPath = "/tracking/timeseries/session_by_device/last_seen/v1"

// TestNoPollSeesAnOlderPointThanWasAcknowledged runs writers and pollers against each other: a poll
// that starts after an acknowledgement sees that point or a newer one, and never goes back; and it sees one whole point,
// not the time of one and the place of another.
func TestNoPollSeesAnOlderPointThanWasAcknowledged(t *testing.T) {
	t.Parallel()
	const sessions, pollersOfEach, batches = 4, 3, 60
	s := sharedServer(t)
	token := s.token(t, "org_fresh", keys.RoleOwner)
	key, _ := s.newKey(t, token, "poller")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var writers, pollers sync.WaitGroup
	var polls atomic.Int64
	stop := make(chan struct{})
	for i := range sessions {
		session := s.newSession(t, token, fmt.Sprintf("fresh-%d", i))
		acknowledged := new(atomic.Int64) // the newest timestamp
		writers.Go(func() { writeFresh(ctx, t, s, token, session, batches, acknowledged) })
		for range pollersOfEach {
			pollers.Go(func() {
				seen := int64(0)
				for {
					select {
					case <-stop:
						return
					default:
					}
					floor := max(seen, acknowledged.Load())
					status, body, err := s.do(ctx, http.MethodGet, lastSeenPath, url.Values{"session_id": {session}}, key, "")
					var point *dataPoint
					if err != nil || status != http.StatusOK || json.Unmarshal(body, &point) != nil {
						t.Errorf("poll: %d %s %v", status, body, err)
						return
					}
					if point != nil {
						seen = point.Timestamp.UnixMilli()
						place := point.Location.Geometry.Coordinates
						if lat, lon := freshPlace(seen, 0); place[1] != lat || place[0] != lon {
							if lat, lon := freshPlace(seen, 1); place[1] != lat || place[0] != lon {
								t.Errorf("a poll saw what was at %v, %v at %d somewhere else: %s", lat, lon, seen, body)
								return
							}
						}
					}
					if seen < floor {
						t.Errorf("a poll saw %d after %d was acknowledged or seen", seen, floor)
						return
					}
					polls.Add(1)
				}
			})
		}
	}
	writers.Wait()
	close(stop)
	pollers.Wait()
	if polls.Load() < sessions*batches {
		t.Errorf("only %d polls, too few to prove anything", polls.Load())
	}
}

// writeFresh writes batches, some of which end with points older than those before.
func writeFresh(ctx context.Context, t *testing.T, s *service, token, session string, batches int, acknowledged *atomic.Int64) {
	begin := time.Now().Add(-time.Hour).UnixMilli()
	for i := range int64(batches) {
		newest := begin + i*1000
		line := func(at int64, value int) string {
			latitude, longitude := freshPlace(at, value)
			return fmt.Sprintf(`{"session_id":%q,"timestamp":%q,"latitude":%v,"longitude":%v}`, session, wireTime(at), latitude, longitude)
		}
		body := "[" + line(newest, 0) + "," + line(newest-700*(i%3), 1) + "]"
		status, answer, err := s.do(ctx, http.MethodPost, "/tracking/timeseries/session_by_device/ingest/v1", nil, token, body)
		if err != nil || status != http.StatusOK {
			t.Errorf("ingest: %d %s %v", status, answer, err)
			return
		}
		acknowledged.Store(newest)
	}
}

// freshPlace is where a device is at a time (Unix milliseconds), by one of two values, which are near enough to be true.
func freshPlace(at int64, value int) (latitude, longitude float64) {
	return float64(400_000_000+at/100%80_000+3*int64(value)) / 1e7, float64(400_000_000+at/100%160_000+3*int64(value)) / 1e7
}

func wireTime(ms int64) string {
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}

// TestNoRequestAfterARevocationIsAccepted polls with keys while they are revoked: a request that starts
// after the answer to the revocation is refused.
func TestNoRequestAfterARevocationIsAccepted(t *testing.T) {
	t.Parallel()
	const rounds, pollers = 8, 4
	s := sharedServer(t)
	token := s.token(t, "org_revoked", keys.RoleAdministrator)
	session := s.newSession(t, token, "revoked-1")
	for round := range rounds {
		key, id := s.newKey(t, token, fmt.Sprintf("round %d", round))
		var revoked atomic.Bool
		var polling sync.WaitGroup
		var accepted atomic.Int64
		warm := make(chan struct{}, pollers)
		for range pollers {
			polling.Go(func() {
				for refusals, polls := 0, 0; refusals < 20; polls++ {
					if polls == 5 {
						warm <- struct{}{} // the key is in the cache
					}
					mustRefuse := revoked.Load()
					status, body, err := s.do(t.Context(), http.MethodGet, lastSeenPath, url.Values{"session_id": {session}}, key, "")
					switch {
					case err != nil || status != http.StatusOK && status != http.StatusUnauthorized:
						t.Errorf("poll: %d %s %v", status, body, err)
						return
					case status == http.StatusOK && mustRefuse:
						t.Error("a request that began after the revocation was acknowledged was accepted")
						return
					case status == http.StatusOK:
						accepted.Add(1)
					case mustRefuse:
						refusals++
					}
				}
			})
		}
		if round%2 == 0 { // else the revocation races with the first look-up
			for range pollers {
				<-warm
			}
		}
		var record struct {
			Status    string     `json:"status"`
			RevokedAt *time.Time `json:"revoked_at_timestamp"`
		}
		s.post(t, "/orgs/api_keys/revoke/v1", url.Values{"api_key_id": {id}}, token, "", &record)
		revoked.Store(true)
		polling.Wait()
		if record.Status != "revoked" || record.RevokedAt == nil || round%2 == 0 && accepted.Load() < pollers*5 {
			t.Errorf("round %d: %+v, %d polls accepted before", round, record, accepted.Load())
		}
	}
}
