//go:build unix

package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"lastseen/ingest"
	"lastseen/keys"
	"lastseen/query/latest"
	"lastseen/schema"
)

// busyNotices keep the committer busy: from the first points on that are written, until they are let go.
type busyNotices struct {
	*latest.Table
	told chan struct{} // has room for one
	free chan struct{}
}

func (b *busyNotices) Publish(points []schema.OwnedPoint) error {
	select {
	case b.told <- struct{}{}:
	default:
	}
	<-b.free
	return b.Table.Publish(points)
}

func TestPointsWhoseClientHasGoneAreWrittenNoMore(t *testing.T) {
	t.Parallel()
	busy := &busyNotices{told: make(chan struct{}, 1), free: make(chan struct{})}
	s := start(t, func(with *setup) {
		with.services.Writer.Close()
		busy.Table = with.services.LastSeen
		with.services.Writer = ingest.NewWriter(with.db, with.services.Registry, busy.Table, busy, ingest.WriterOptions{})
	})
	t.Cleanup(s.Server.services.Writer.Close)
	session, driver := s.session("org_a", "00:00:00:00:0f:41"), s.token("org_a", keys.RoleDriver)
	first := make(chan error, 1)
	go func() {
		r, err := s.try("POST", pathIngest, driver, strings.NewReader(point(session, 1)), header{"Content-Type", "application/x-ndjson"})
		if err == nil && r.StatusCode != 200 {
			err = errors.New(r.Status)
		}
		first <- err
	}()
	<-busy.told
	conn, body := dial(t, s.address), point(session, 2)
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n%s", pathIngest, driver, len(body), body)
	conn.Close()
	s.until(func() bool { return strings.Contains(s.log.String(), `"status":499`) })
	close(busy.free)
	if err := <-first; err != nil {
		t.Fatalf("the points of who stays: %v", err)
	}
	if status := s.keepOpen().ask("POST", pathIngest, driver, point(session, 3)); status != 200 {
		t.Fatalf("points that come later are answered %d", status)
	}
	id, _ := schema.ParseID(session)
	day := time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC).UnixMilli()
	keys := make([]schema.PointKey, 3)
	for n := range keys {
		keys[n] = schema.PointKey{SessionID: id, Timestamp: day + int64(n+1)*1000}
	}
	found, err := s.db.FindDataPoints(context.Background(), keys)
	if _, written := found[keys[1]]; err != nil || len(found) != 2 || written {
		t.Errorf("there are %d points, that of the client that went among them: %v (%v)", len(found), written, err)
	}
}
