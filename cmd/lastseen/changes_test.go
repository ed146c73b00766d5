package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lastseen/keys"
)

const changesPath = "/tracking/timeseries/session_by_device/last_seen_changes/v1"

// TestConsumersOfChangesEndWithWhatTheirOrganisationSees lets somebody write points of the sessions of two organisations,
// late ones too, mark outliers, share sessions and take that back, end sessions and make new ones, while consumers follow
// one of the organisations, by pages and by events. They drop their connections at random, and the service is killed, and
// later stopped, under all of it.
func TestConsumersOfChangesEndWithWhatTheirOrganisationSees(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	c := &changesTrial{dir: t.TempDir(), rng: rand.New(rand.NewPCG(seed, 1))}
	for i := range 4 {
		c.consumers = append(c.consumers, &changesConsumer{rng: rand.New(rand.NewPCG(seed, uint64(10+i))), events: i%2 == 0, has: map[string]string{}})
	}
	c.start(t)
	for i := range 12 {
		c.make(t, i)
	}
	c.run(t, c.kill)
	c.start(t)
	c.run(t, c.terminate)
	c.start(t)
	c.run(t, nil)
	want := c.seen(t)
	if len(want) == 0 {
		t.Error("the trial ends with nothing to see")
	}
	for i, consumer := range c.consumers {
		consumer.events, consumer.drops = false, false
		for more := true; more; {
			var err error
			if more, err = consumer.page(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(want, consumer.has); diff != "" {
			t.Errorf("consumer %d does not have what there is (- there, + consumer):\n%s", i, diff)
		}
		t.Logf("consumer %d: %d answers or events, %d resets, %d times dropped", i, consumer.got, consumer.resets, consumer.dropped)
	}
}

// changesTrial is a service under a writer and its consumers.
type changesTrial struct {
	*service
	dir          string
	rng          *rand.Rand
	owner, other string // tokens
	key          string
	sessions     []changesSession
	second       int64
	consumers    []*changesConsumer
	stopping     atomic.Bool
}

// changesSession is a session, and the credential of its owner.
type changesSession struct{ id, owner string }

func (c *changesTrial) start(t *testing.T) {
	t.Helper()
	s, err := startService(c.dir, "--ingest-interval", "5ms")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.process.ProcessState == nil {
			s.kill()
		}
	})
	c.service = s
	c.stopping.Store(false)
	c.owner, c.other = s.token(t, "org_follows", keys.RoleOwner), s.token(t, "org_shares", keys.RoleOwner)
	if c.key == "" {
		c.key, _ = s.newKey(t, c.owner, "consumer")
	}
}

// make makes a session, every third one the other organisation's.
func (c *changesTrial) make(t *testing.T, number int) {
	owner := c.owner
	if number%3 == 2 {
		owner = c.other
	}
	c.sessions = append(c.sessions, changesSession{c.newSession(t, owner, fmt.Sprintf("changes-%d", number)), owner})
}

// run lets all work for some acts of the writer, stops the service, if so wanted, and waits for all to end.
func (c *changesTrial) run(t *testing.T, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	following, end := context.WithCancel(ctx)
	defer end()
	var consuming sync.WaitGroup
	for _, consumer := range c.consumers {
		consuming.Go(func() {
			for following.Err() == nil {
				if err := consumer.live(following, c); err != nil && !c.stopping.Load() && following.Err() == nil {
					t.Errorf("a consumer: %v", err)
					return
				}
			}
		})
	}
	for range 150 {
		if err := c.act(ctx); err != nil {
			t.Errorf("the writer: %v", err)
			break
		}
	}
	if stop != nil {
		c.stopping.Store(true)
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
	end()
	consuming.Wait()
}

// act changes something.
func (c *changesTrial) act(ctx context.Context) error {
	s := c.sessions[c.rng.IntN(len(c.sessions))]
	post := func(path string, query url.Values, body string) error {
		status, answer, err := c.do(ctx, http.MethodPost, path, query, s.owner, body)
		if err == nil && status != http.StatusOK && status != http.StatusConflict { // ended before
			err = fmt.Errorf("%s: %d %s", path, status, answer)
		}
		return err
	}
	switch c.rng.IntN(12) {
	case 0:
		change := []string{"add_org_ids", "remove_org_ids"}[c.rng.IntN(2)]
		org := map[bool]string{true: "org_follows", false: "org_else"}[s.owner == c.other]
		return post("/tracking/sessions/update_shared_orgs/v1", nil, fmt.Sprintf(`{"session_id":%q,%q:[%q]}`, s.id, change, org))
	case 1:
		if c.rng.IntN(6) > 0 {
			return nil
		}
		return post("/tracking/sessions/terminate/v1", url.Values{"session_id": {s.id}}, "")
	case 2, 3:
		at := time.UnixMilli(c.at(1 + c.rng.Int64N(c.second+1)))
		return post("/tracking/timeseries/session_by_device/outlier/v1", nil,
			fmt.Sprintf(`{"outlier":%t,"tracking_session_by_device_data_point_ids":["%s.%d"]}`, c.rng.IntN(3) > 0, s.id, at.UnixMilli()))
	}
	var lines []string
	for range 1 + c.rng.IntN(4) {
		second := c.second
		if c.rng.IntN(3) > 0 {
			c.second++
			second = c.second
		}
		lines = append(lines, fmt.Sprintf(`{"session_id":%q,"timestamp":%q,"latitude":%d,"longitude":2}`, s.id, time.UnixMilli(c.at(second)).UTC().Format(time.RFC3339), c.rng.IntN(90)))
	}
	return post("/tracking/timeseries/session_by_device/ingest/v1", nil, "["+strings.Join(lines, ",")+"]")
}

// at is the time of a point, Unix milliseconds.
func (c *changesTrial) at(second int64) int64 {
	return time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC).Add(time.Duration(second) * time.Second).UnixMilli()
}

// seen asks for what the organisation sees: the newest point of each session that has not ended, as it is answered.
func (c *changesTrial) seen(t *testing.T) map[string]string {
	t.Helper()
	var list struct {
		Items []struct {
			ID string `json:"_id"`
		}
	}
	c.get(t, "/tracking/sessions/list/v1", url.Values{"page_size": {"1000"}, "filter_terminated": {"false"}}, c.key, &list)
	points := map[string]string{}
	for _, item := range list.Items {
		var point json.RawMessage
		c.get(t, "/tracking/timeseries/session_by_device/last_seen/v1", url.Values{"session_id": {item.ID}}, c.key, &point)
		if string(point) != "null" {
			points[item.ID] = string(point)
		}
	}
	return points
}

// changesConsumer keeps what it is told, and where to go on.
type changesConsumer struct {
	rng                  *rand.Rand
	events, drops        bool
	cursor               string
	has                  map[string]string // the point of each session
	got, resets, dropped int
}

// live follows for a while, and then drops its connection, which is no error.
func (c *changesConsumer) live(ctx context.Context, trial *changesTrial) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if c.events {
		return c.stream(ctx, trial, 1+c.rng.IntN(40))
	}
	c.drops = c.rng.IntN(4) == 0
	_, err := c.page(ctx, trial)
	return err
}

// open asks for changes from where it is.
func (c *changesConsumer) open(ctx context.Context, trial *changesTrial, query url.Values) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, trial.base+changesPath+"?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+trial.key)
	if c.events {
		request.Header.Set("Accept", "text/event-stream")
		if c.cursor != "" {
			request.Header.Set("Last-Event-ID", c.cursor)
		}
	} else {
		request.Header.Set("Prefer", "wait=1")
	}
	response, err := requests.Do(request)
	if err == nil && response.StatusCode != http.StatusOK {
		response.Body.Close()
		return nil, fmt.Errorf("changes are answered %s", response.Status)
	}
	return response, err
}

// page takes an answer, of which nothing counts unless it came whole.
func (c *changesConsumer) page(ctx context.Context, trial *changesTrial) (more bool, err error) {
	query := url.Values{"limit": {[]string{"1", "3", "1000"}[c.rng.IntN(3)]}}
	if c.cursor != "" {
		query.Set("cursor", c.cursor)
	}
	response, err := c.open(ctx, trial, query)
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	if c.drops {
		c.dropped++
		return true, nil
	}
	var page struct {
		DataPoints  []json.RawMessage `json:"data_points"`
		Gone        []string
		NextCursor  string `json:"next_cursor"`
		More, Reset bool
	}
	if err := json.NewDecoder(response.Body).Decode(&page); err != nil {
		return false, err
	}
	if page.Reset {
		c.reset()
	}
	for _, point := range page.DataPoints {
		if err := c.keep(point); err != nil {
			return false, err
		}
	}
	for _, id := range page.Gone {
		delete(c.has, id)
	}
	c.got++
	c.cursor = page.NextCursor
	return page.More || len(page.DataPoints)+len(page.Gone) > 0, nil
}

func (c *changesConsumer) reset() {
	c.resets++
	clear(c.has)
}

func (c *changesConsumer) keep(point []byte) error {
	var of struct {
		Metadata struct {
			SessionID string `json:"session_id"`
		}
	}
	if err := json.Unmarshal(point, &of); err != nil {
		return err
	}
	c.has[of.Metadata.SessionID] = string(point)
	return nil
}

// stream takes some events, and keeps the last id among them.
func (c *changesConsumer) stream(ctx context.Context, trial *changesTrial, events int) error {
	response, err := c.open(ctx, trial, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var name, data, id string
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch field {
		case "event":
			name = value
		case "data":
			data = value
		case "id":
			id = value
		case "":
			if err := c.apply(name, data); err != nil {
				return err
			}
			if id != "" {
				c.cursor = id
			}
			if c.got, events = c.got+1, events-1; events == 0 {
				c.dropped++
				return nil
			}
			name, data, id = "", "", ""
		}
	}
	return nil // the connection broke, or the service is stopping
}

func (c *changesConsumer) apply(name, data string) error {
	var gone struct {
		SessionID string `json:"session_id"`
	}
	switch name {
	case "":
	case "reset":
		c.reset()
	case "gone":
		err := json.Unmarshal([]byte(data), &gone)
		delete(c.has, gone.SessionID)
		return err
	case "last_seen":
		return c.keep([]byte(data))
	default:
		return errors.New("an event of the name " + name)
	}
	return nil
}
