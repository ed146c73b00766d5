package scenario

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"lastseen/bench/loadgen"
	"lastseen/bench/record"
	"lastseen/bench/rig"
	"lastseen/bench/traffic"
)

const (
	revocationPollers = 8
	pollsBefore       = 200 // with a key before it is revoked
	pollsAfter        = 400 // and after
)

// revocation revokes keys while they are in use, and looks at every request that was sent after the
// revocation was acknowledged.
type revocation struct {
	*Stage
	o *record.Outcome
}

// Run implements Runner.
func (s *revocation) Run(ctx context.Context) error {
	o := s.o
	main, err := s.Lastseen(ctx)
	if err != nil {
		return err
	}
	o.Describe(fmt.Sprintf("%d keys, each polled over %d connections without a pause when it is revoked", s.Revocations, revocationPollers))
	var calls, first []float64
	var after int64
	for i := range s.Revocations {
		r, err := s.revokeInUse(ctx, main, i%s.spec.Organisations)
		if err != nil {
			return err
		}
		calls = append(calls, float64(r.call))
		first = append(first, float64(r.refusedAt.Load()-r.acknowledgedAt.Load()))
		after += r.acceptedAfter.Load()
	}
	o.Add(record.Table{
		Title: "Over all keys", Header: []string{"", "median", "longest"},
		Rows: [][]string{
			{"the revoke request", record.Span(median(calls)), record.Span(maximum(calls))},
			{"from its answer to the first rejection (less than nothing: rejected before the answer was here)", record.Signed(median(first)), record.Signed(maximum(first))},
		},
	})
	o.Figure("revoke_p50", median(calls))
	o.Figure("first_rejection_p50", median(first))
	o.Figure("accepted_after", float64(after))
	o.Judge("requests accepted that were sent after the revocation was acknowledged", "0", fmt.Sprint(after), after == 0)
	if after > 0 {
		return fmt.Errorf("%w: %d requests with revoked keys were accepted", loadgen.ErrWrongAnswer, after)
	}
	return nil
}

// revokedKey is the fate of one key. Times are Unix nanoseconds.
type revokedKey struct {
	call                      time.Duration
	acknowledgedAt, refusedAt atomic.Int64
	polls, pollsAfterwards    atomic.Int64
	acceptedAfter             atomic.Int64
	used                      chan struct{} // closed when the key is in use
}

// revokeInUse makes a key, polls with it, revokes it, and polls on.
func (s *revocation) revokeInUse(ctx context.Context, on *rig.Service, organisation int) (*revokedKey, error) {
	key, err := on.API.CreateKey(ctx, organisation)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	r := &revokedKey{used: make(chan struct{})}
	request := fmt.Appendf(nil, "GET %s%s?session_id=%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n",
		on.Prefix, traffic.PathLastSeen, on.Catalogue.ID(on.Catalogue.Own[organisation][0]), on.Host, key.Key)
	polling := make(chan error, 1)
	go func() {
		_, err := loadgen.Load{
			Target: on.Target, Connections: revocationPollers, Workers: 1, Duration: time.Minute, CPUs: s.loads.CPUs,
			Source: func(int) loadgen.Source { return &revokedPoller{r, request} },
		}.Run(ctx)
		polling <- err
	}()
	select {
	case <-r.used:
	case err := <-polling:
		return nil, fmt.Errorf("poll with a new key: %w", err)
	}
	began := time.Now()
	revokeErr := on.API.RevokeKey(ctx, organisation, key.ID)
	r.call = time.Since(began)
	r.acknowledgedAt.Store(time.Now().UnixNano())
	if err := <-polling; err != nil {
		return nil, fmt.Errorf("poll with a key that is revoked: %w", err)
	}
	if revokeErr != nil {
		return nil, fmt.Errorf("revoke a key: %w", revokeErr)
	}
	if r.refusedAt.Load() == 0 {
		return nil, fmt.Errorf("%w: a revoked key was never refused", loadgen.ErrWrongAnswer)
	}
	return r, nil
}

// revokedPoller polls with one key until it has polled enough after the revocation.
type revokedPoller struct {
	*revokedKey
	request []byte
}

// Prepare implements loadgen.Source.
func (r *revokedPoller) Prepare(x *loadgen.Exchange) bool {
	x.Request, x.Expect = r.request, 0
	if r.acknowledgedAt.Load() != 0 { // read before the request is sent
		x.Expect = 1
		return r.pollsAfterwards.Add(1) <= pollsAfter
	}
	return true
}

// Check implements loadgen.Source.
func (r *revokedPoller) Check(x *loadgen.Exchange, a *loadgen.Answer) (loadgen.Outcome, error) {
	if r.polls.Add(1) == pollsBefore {
		close(r.used)
	}
	switch a.Status {
	case 200:
		if x.Expect == 1 {
			r.acceptedAfter.Add(1)
		}
		return loadgen.Served, nil
	case 401:
		r.refusedAt.CompareAndSwap(0, time.Now().UnixNano())
		return loadgen.Refused, nil
	}
	return 0, fmt.Errorf("a poll with a key that is being revoked got status %d: %.300s", a.Status, a.Body)
}

func maximum(values []float64) float64 {
	most := values[0]
	for _, v := range values {
		most = max(most, v)
	}
	return most
}
