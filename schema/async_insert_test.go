package schema_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"lastseen/schema"
	"lastseen/schema/clickhousetest"
)

// TestNoInsertWaitsForOthersInTheServer looks at what is sent with every statement, since the server that tests have does not
// collect inserts whatever it is told: others do, from 26.3 on unless they are told not to.
func TestNoInsertWaitsForOthersInTheServer(t *testing.T) {
	t.Parallel()
	server := clickhousetest.Start(t, clickhousetest.Options{})
	to, err := url.Parse("http://" + server.Address())
	if err != nil {
		t.Fatal(err)
	}
	var statements atomic.Int64
	pass := httputil.NewSingleHostReverseProxy(to)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ping" {
			pass.ServeHTTP(w, r)
			return
		}
		statements.Add(1)
		if got := r.URL.Query().Get("async_insert"); got != "0" {
			t.Errorf("%s was sent with async_insert=%q, want 0", r.URL.Query().Get("query"), got)
		}
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	db, err := schema.Open(ctx, schema.Options{ClickHouse: proxy.URL + "/lastseen"})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(ctx); err != nil {
		t.Error(err)
	}
	if err := db.InsertDataPoints(ctx, []schema.OwnedPoint{{OrgID: "org_a", DataPoint: schema.DataPoint{SessionID: schema.ID{1}, Timestamp: 1_760_000_000_000}}}); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	if statements.Load() == 0 {
		t.Error("saw no statement")
	}
}
