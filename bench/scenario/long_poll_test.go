package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"lastseen/bench/dataset"
	"lastseen/bench/loadgen"
	"lastseen/bench/record"
	"lastseen/bench/rig"
	"lastseen/bench/traffic"
)

// longPollServer answers polls that wait, as API.md describes them. It stands in for the service so
// that it can misbehave on purpose.
type longPollServer struct {
	mu       sync.Mutex
	newest   map[string]int64
	changed  chan struct{} // closed and replaced at every point
	forgets  bool          // never wakes anybody
	wakesAll bool          // wakes everybody with what they have already
}

// ServeHTTP implements http.Handler.
func (s *longPollServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		s.ingest(w, r)
		return
	}
	id := r.URL.Query().Get("session_id")
	for {
		s.mu.Lock()
		timestamp, changed := s.newest[id], s.changed
		s.mu.Unlock()
		tag := fmt.Sprintf("%q", fmt.Sprint(timestamp))
		if r.Header.Get("If-None-Match") != tag && !s.forgets {
			s.answer(w, id, tag, timestamp)
			return
		}
		select {
		case <-changed:
			if s.wakesAll {
				s.answer(w, id, tag, timestamp)
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

func (s *longPollServer) answer(w http.ResponseWriter, id, tag string, timestamp int64) {
	w.Header().Set("Preference-Applied", "wait=300")
	w.Header().Set("ETag", tag)
	point := traffic.Point([]byte(id), timestamp)
	fmt.Fprintf(w, `{"timestamp":%q,"location":{"coordinates":[%v,%v]},"metadata":{"session_id":%q}}`, point["timestamp"], point["longitude"], point["latitude"], id)
}

func (s *longPollServer) ingest(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Points []struct {
			SessionID string    `json:"session_id"`
			Timestamp time.Time `json:"timestamp"`
		} `json:"points"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	s.mu.Lock()
	for _, point := range body.Points {
		s.newest[point.SessionID] = point.Timestamp.UnixMilli()
	}
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()
	io.WriteString(w, `{"accepted":1,"rejected":[]}`)
}

func TestALongPollWakesThoseWhoWaitAndNobodyElse(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		server *longPollServer
		wrong  string
	}{
		{name: "a good service", server: &longPollServer{}},
		{name: "one that forgets those who wait", server: &longPollServer{forgets: true}, wrong: "was not woken"},
		{name: "one that wakes everybody", server: &longPollServer{wakesAll: true}, wrong: "woken without a new point"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := traffic.NewCatalogue(dataset.Spec{Seed: 3, Sessions: 40, Organisations: 2, PointsPerSession: 2, Interval: 1000, NewestAt: 1_780_000_000_000})
			for organisation := range c.Keys {
				c.Keys[organisation], c.Writers[organisation] = []string{"ak_key"}, "dk_credential"
			}
			fake := test.server
			fake.newest, fake.changed = map[string]int64{}, make(chan struct{})
			for i := range c.Sessions() {
				fake.newest[string(c.ID(i))] = c.Newest(i)
				c.Etags[i] = fmt.Sprintf("%q", fmt.Sprint(c.Newest(i)))
			}
			server := httptest.NewServer(fake)
			defer server.Close()
			address := server.Listener.Addr().String()
			w := newWaiters(&rig.Service{
				Catalogue: c, Host: address, API: rig.NewAPI(server.URL), Target: loadgen.Target{Address: address, Codec: loadgen.HTTP{}},
			}, 20)
			if fake.forgets {
				w.patience = 50 * time.Millisecond
			}
			_, err := w.run(context.Background(), nil)
			if test.wrong != "" {
				if !errors.Is(err, loadgen.ErrWrongAnswer) || !strings.Contains(err.Error(), test.wrong) {
					t.Errorf("the error is %v, want %q", err, test.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(w.delays) != wakes*waitersASession {
				t.Errorf("%d requests were woken by %d points, want %d each", len(w.delays), wakes, waitersASession)
			}
			var o record.Outcome
			w.report(&o, 0, 0)
			if len(o.Tables) != 1 || len(o.Verdicts) != 2 {
				t.Errorf("the report is %+v", o)
			}
		})
	}
}
