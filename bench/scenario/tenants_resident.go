package scenario

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"lastseen/bench/rig"
	"lastseen/bench/traffic"
)

// residence is what the resident does in one turn beside its polls.
type residence struct {
	on          *rig.Service
	felt        *experience
	warm, until time.Time // what ends before warm is not counted
	refused     atomic.Int64
}

// write writes points one at a time, each when the one before is acknowledged.
func (r *residence) write(ctx context.Context) error {
	c := r.on.Catalogue
	session := c.Own[resident][0]
	for time.Now().Before(r.until) && ctx.Err() == nil {
		timestamp := max(time.Now().UnixMilli(), c.Newest(session)+1)
		body := map[string]any{"points": []map[string]any{traffic.Point(c.ID(session), timestamp)}}
		ok := r.time(r.felt.writes, func() error {
			return r.on.API.Call(ctx, http.MethodPost, traffic.PathIngest, nil, c.Writers[resident], body, nil)
		})
		if ok {
			c.Seen(session, timestamp)
		}
	}
	return nil
}

// revoke makes keys and revokes them.
func (r *residence) revoke(ctx context.Context) error {
	tick := time.NewTicker(revokeEvery)
	defer tick.Stop()
	for time.Now().Before(r.until) {
		key, err := r.on.API.CreateKey(ctx, resident)
		if err != nil {
			r.refused.Add(1)
		} else {
			r.time(r.felt.revocations, func() error { return r.on.API.RevokeKey(ctx, resident, key.ID) })
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// time adds how long a call took, or counts that it was refused, and reports whether it was not.
func (r *residence) time(into samples, call func() error) bool {
	began := time.Now()
	if err := call(); err != nil {
		r.refused.Add(1)
		return false
	}
	if began.After(r.warm) {
		into.add(time.Since(began))
	}
	return true
}
