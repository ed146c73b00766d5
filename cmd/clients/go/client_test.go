package client

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// serve starts a server with one answer after the other, the last one for good, and returns a client
// that does not wait and the waits that it would have made.
func serve(t *testing.T, answers ...http.HandlerFunc) (*Client, *[]time.Duration, *atomic.Int64) {
	t.Helper()
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(requests.Add(1))
		answers[min(n, len(answers))-1](w, r)
	}))
	t.Cleanup(server.Close)
	c, err := New(server.URL, "secret")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	waits := &[]time.Duration{}
	c.wait = func(_ context.Context, d time.Duration) error {
		*waits = append(*waits, d)
		return nil
	}
	return c, waits, &requests
}

func answer(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func hangUp(w http.ResponseWriter, _ *http.Request) {
	panic(http.ErrAbortHandler)
}

func TestARequestIsMadeAgain(t *testing.T) {
	t.Parallel()
	busy := answer(503, `{"detail":"Try again."}`, "Retry-After", "3")
	ok := answer(200, `{"accepted":1,"rejected":[]}`)
	t.Run("after 503 and 429, as late as the server asks", func(t *testing.T) {
		t.Parallel()
		c, waits, _ := serve(t, busy, answer(429, "", "Retry-After", "60"), ok)
		result, err := c.Ingest(t.Context(), []byte("{}\n"))
		if err != nil || result.Accepted != 1 {
			t.Fatalf("Ingest = %+v, %v", result, err)
		}
		if len(*waits) != 2 || (*waits)[0] != 3*time.Second || (*waits)[1] != time.Minute {
			t.Errorf("waited %v, want 3s and 1m", *waits)
		}
	})
	t.Run("but not when the server asks for longer than a minute", func(t *testing.T) {
		t.Parallel()
		c, waits, _ := serve(t, answer(429, `{"detail":"Slow down."}`, "Retry-After", "61"))
		_, err := c.Ingest(t.Context(), nil)
		if problem, is := errors.AsType[*Problem](err); !is || problem.RetryAfter != 61*time.Second || len(*waits) != 0 {
			t.Errorf("error %v after %d waits", err, len(*waits))
		}
	})
	t.Run("after a broken connection, when repeating it is harmless", func(t *testing.T) {
		t.Parallel()
		c, _, requests := serve(t, hangUp, hangUp, ok)
		if _, err := c.Ingest(t.Context(), nil); err != nil || requests.Load() < 3 {
			t.Errorf("%d requests, error %v", requests.Load(), err)
		}
	})
	t.Run("but not for ever", func(t *testing.T) {
		t.Parallel()
		c, waits, requests := serve(t, busy)
		_, err := c.Ingest(t.Context(), nil)
		if !HasStatus(err, 503) || !strings.Contains(err.Error(), "after 8 attempts") || requests.Load() != attempts {
			t.Errorf("%d requests, error %v", requests.Load(), err)
		}
		total := time.Duration(0)
		for _, wait := range *waits {
			total += wait
		}
		if total > time.Minute {
			t.Errorf("waits of %v in all", total)
		}
	})
	t.Run("but not a key's rotation on a broken connection", func(t *testing.T) {
		t.Parallel()
		c, waits, _ := serve(t, hangUp)
		if _, err := c.RotateKey(t.Context(), "n", 0, time.Time{}); err == nil || len(*waits) != 0 {
			t.Errorf("error %v after %d waits", err, len(*waits))
		}
	})
	t.Run("a key's creation under its name, and one whose text was lost is revoked", func(t *testing.T) {
		t.Parallel()
		var names []string
		named := func(next http.HandlerFunc) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				names = append(names, r.URL.Path[len("/orgs/api_keys/"):]+" "+r.Header.Get("Idempotency-Key")+r.URL.Query().Get("api_key_id"))
				next(w, r)
			}
		}
		c, _, _ := serve(t, named(hangUp), named(answer(409, `{"detail":"It has made one.","_id":"first"}`)),
			named(answer(200, `{"_id":"first","created_at_timestamp":"2026-01-15T09:30:00Z","expires_at_timestamp":"2026-01-15T09:30:00Z"}`)),
			named(answer(201, `{"_id":"second","key":"ak_x","created_at_timestamp":"2026-01-15T09:30:00Z","expires_at_timestamp":"2026-01-15T09:30:00Z"}`)))
		record, err := c.CreateKey(t.Context(), NewKey{Name: "n", ExpiresAt: time.Now()})
		if err != nil || record.ID != "second" || record.Key != "ak_x" {
			t.Fatalf("CreateKey = %+v, %v", record, err)
		}
		if len(names) != 4 || names[0] != names[1] || len(names[0]) < 30 || names[2] != "revoke/v1 first" || names[3] == names[0] || len(names[3]) < 30 {
			t.Errorf("the requests are %q", names)
		}
	})
	t.Run("but not after an answer that will not change", func(t *testing.T) {
		t.Parallel()
		c, _, requests := serve(t, answer(403, `{"detail":"Ask an owner.","errors":[{"loc":["body","x"],"msg":"too long"}]}`))
		_, err := c.ListKeys(t.Context(), nil)
		if requests.Load() != 1 || err == nil || err.Error() != "list the API keys: the server answered 403: Ask an owner.; [body x]: too long" {
			t.Errorf("%d requests, error %v", requests.Load(), err)
		}
	})
	t.Run("but not once the caller has given up", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		c, _, requests := serve(t, func(w http.ResponseWriter, r *http.Request) { cancel(); busy(w, r) })
		c.wait = waitFor
		if _, err := c.Ingest(ctx, nil); !errors.Is(err, context.Canceled) || requests.Load() != 1 {
			t.Errorf("%d requests, error %v", requests.Load(), err)
		}
	})
}

func TestIngestSendsCompressedLinesWithTheCredential(t *testing.T) {
	t.Parallel()
	c, _, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		unzipped, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		body, _ := io.ReadAll(unzipped)
		if string(body) != "{}\n" || r.Header.Get("Authorization") != "Bearer secret" || r.Header.Get("Content-Type") != "application/x-ndjson" {
			t.Errorf("body %q, headers %v", body, r.Header)
		}
		answer(200, `{"accepted":0,"rejected":[{"index":0,"detail":"The session is missing."}]}`)(w, r)
	})
	result, err := c.Ingest(t.Context(), []byte("{}\n"))
	if err != nil || len(result.Rejected) != 1 || result.Rejected[0].Detail != "The session is missing." {
		t.Errorf("Ingest = %+v, %v", result, err)
	}
}

func TestEnsureSessionTakesTheActiveOne(t *testing.T) {
	t.Parallel()
	c, _, _ := serve(t,
		answer(200, `"new"`),
		answer(409, `{"detail":"The device has an active session."}`),
		func(w http.ResponseWriter, r *http.Request) {
			if q := r.URL.Query(); q.Get("filter_device_id") != "d" || q.Get("filter_terminated") != "false" || q.Get("org_scope") != "owned" {
				t.Errorf("asked for %v", q)
			}
			answer(200, `{"items":[{"_id":"old"}],"total_count":1}`)(w, r)
		})
	if id, created, err := c.EnsureSession(t.Context(), "d", NewSession{}); id != "new" || !created || err != nil {
		t.Errorf("first: %q, %t, %v", id, created, err)
	}
	if id, created, err := c.EnsureSession(t.Context(), "d", NewSession{}); id != "old" || created || err != nil {
		t.Errorf("second: %q, %t, %v", id, created, err)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "http://", "ftp://host", "::"} {
		if _, err := New(address, ""); err == nil {
			t.Errorf("New(%q) took it", address)
		}
	}
	c, _, _ := serve(t, answer(200, "<html>"))
	if _, err := c.ListKeys(t.Context(), nil); !errors.Is(err, ErrAnswer) {
		t.Errorf("an answer that is not JSON: %v", err)
	}
	nobody, err := New("127.0.0.1:1", "secret")
	if err != nil {
		t.Fatal(err)
	}
	nobody.wait = func(context.Context, time.Duration) error { return nil }
	if _, err := nobody.ListKeys(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "is it running?") || strings.Contains(err.Error(), "secret") {
		t.Errorf("nobody there: %v", err)
	}
}
