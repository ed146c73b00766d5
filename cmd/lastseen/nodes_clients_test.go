package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// track is a session, and the least that each poll of it must return.
type track struct {
	session string
	mu      sync.Mutex
	floor   int64          // the newest time that was acknowledged or returned, Unix milliseconds
	sent    map[int64]bool // and whether it was acknowledged
}

func (k *track) least() int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.floor
}

func (k *track) raise(to int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.floor = max(k.floor, to)
}

// write sends points of a session, one after the other, until ctx ends.
func (k *nodesTrial) write(ctx context.Context, of *track, last *atomic.Int64) {
	for at := time.Now().Add(-24 * time.Hour).UnixMilli(); ctx.Err() == nil; at += 1000 {
		latitude, longitude := valuesAt(at)
		of.mu.Lock()
		of.sent[at] = false
		of.mu.Unlock()
		status, answer := k.ask(k.nodes[rand.IntN(3)], http.MethodPost, "/tracking/timeseries/session_by_device/ingest/v1", nil, k.token,
			fmt.Sprintf(`{"points":[{"session_id":%q,"timestamp":%q,"latitude":%v,"longitude":%v}]}`, of.session, wireTime(at), latitude, longitude))
		switch status {
		case http.StatusOK:
			of.mu.Lock()
			of.sent[at] = true
			of.floor = max(of.floor, at)
			of.mu.Unlock()
			k.acknowledged.Add(1)
			now := time.Now().UnixNano()
			if gap := now - last.Swap(now); gap > k.longest.Load() {
				k.longest.Store(gap)
			}
		case 0, http.StatusServiceUnavailable, http.StatusTooManyRequests:
			time.Sleep(50 * time.Millisecond)
		default:
			k.t.Errorf("a point is answered %d %s", status, answer)
		}
	}
}

// poll polls sessions until ctx ends: each answer must be as new as everything that was known before it was asked for.
func (k *nodesTrial) poll(ctx context.Context, n *trialNode) {
	for ctx.Err() == nil {
		of := k.tracks[rand.IntN(len(k.tracks))]
		floor := of.least()
		status, answer := k.ask(n, http.MethodGet, lastSeenPath, url.Values{"session_id": {of.session}}, k.key, "")
		switch status {
		case http.StatusOK:
			var point *dataPoint
			if err := json.Unmarshal(answer, &point); err != nil {
				k.t.Errorf("last_seen: %v in %s", err, answer)
			}
			at := int64(0)
			if point != nil {
				at = point.Timestamp.UnixMilli()
			}
			if at < floor {
				k.t.Errorf("the node at %s answers %s, and %s was known before it was asked", n.base, wireTime(at), wireTime(floor))
			}
			of.raise(at)
			k.polls.Add(1)
		case 0, http.StatusServiceUnavailable:
			k.refused.Add(1)
			time.Sleep(20 * time.Millisecond)
		default:
			k.t.Errorf("a poll is answered %d %s", status, answer)
		}
	}
}

// revoke makes and revokes keys until ctx ends: when that is acknowledged no node may accept the key.
func (k *nodesTrial) revoke(ctx context.Context) {
	for ctx.Err() == nil {
		key, id := k.newKey()
		query := url.Values{"session_id": {k.tracks[0].session}}
		for _, n := range k.nodes {
			k.ask(n, http.MethodGet, lastSeenPath, query, key, "") // so that each knows it
		}
		if !k.change("/orgs/api_keys/revoke/v1", url.Values{"api_key_id": {id}}, "", nil) {
			return
		}
		for _, n := range k.nodes {
			if status, answer := k.ask(n, http.MethodGet, lastSeenPath, query, key, ""); status == http.StatusOK {
				k.t.Errorf("after its revocation the node at %s accepts a key: %s", n.base, answer)
			}
		}
		k.revoked.Add(1)
	}
}

// create has two begin a session of one device at the same time until ctx ends: one may.
func (k *nodesTrial) create(ctx context.Context) {
	for i := 0; ctx.Err() == nil; i++ {
		var device string
		if !k.change("/tracking/devices/register_to_org/v1", nil, fmt.Sprintf(`{"device_mac_address":"00:00:00:01:%02x:%02x","schema_version":1}`, i>>8, i&255), &device) {
			return
		}
		var made atomic.Int64
		var racing sync.WaitGroup
		for range 2 {
			racing.Go(func() {
				status, _ := k.ask(k.nodes[rand.IntN(3)], http.MethodPost, "/tracking/sessions/create_session/v1", url.Values{"device_id": {device}}, k.token, `{"schema_version":1}`)
				if status/100 == 2 {
					made.Add(1)
				}
			})
		}
		racing.Wait()
		if made.Load() > 1 {
			k.t.Errorf("%d sessions of one device are active", made.Load())
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// askUntil asks a node until it answers: one that is ready at the end of a fault may be about to notice what that has done.
func (k *nodesTrial) askUntil(n *trialNode, path string, query url.Values) (status int, answer []byte) {
	for began := time.Now(); time.Since(began) < readyWithin; time.Sleep(50 * time.Millisecond) {
		if status, answer = k.ask(n, http.MethodGet, path, query, k.key, ""); !uncertain(status) {
			break
		}
	}
	return status, answer
}

// check holds the history, as every node tells it, against what was acknowledged.
func (k *nodesTrial) check() {
	for _, n := range k.nodes {
		for _, of := range k.tracks {
			status, answer := k.askUntil(n, "/tracking/timeseries/session_by_device/data_points/v1", url.Values{
				"session_id": {of.session}, "start_timestamp": {"2000-01-01T00:00:00Z"}, "end_timestamp": {"2100-01-01T00:00:00Z"},
			})
			var got wireHistory
			if err := json.Unmarshal(answer, &got); err != nil || status != http.StatusOK {
				k.t.Fatalf("the history is answered %d: %v", status, err)
			}
			times := map[int64]int{}
			for _, p := range got.Points {
				times[p.Timestamp.UnixMilli()]++
			}
			for at, acknowledged := range of.sent {
				if acknowledged && times[at] != 1 {
					k.t.Errorf("on the node at %s the acknowledged point at %s is there %d times", n.base, wireTime(at), times[at])
				}
			}
			for at, count := range times {
				if _, sent := of.sent[at]; !sent || count > 1 {
					k.t.Errorf("on the node at %s the point at %s is there %d times, sent %t", n.base, wireTime(at), count, sent)
				}
			}
		}
	}
}
