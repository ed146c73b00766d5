package naive_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/bench/baseline"
	"lastseen/bench/baselines/naive"
	"lastseen/bench/dataset"
	"lastseen/bench/loadgen"
	"lastseen/bench/traffic"
)

var spec = dataset.Spec{Seed: 5, Sessions: 20, Organisations: 2, PointsPerSession: 3, Interval: 1000, NewestAt: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC).UnixMilli()}

// get asks the service for a path with a key, which may be empty.
func get(n *naive.Service, path, key string) *fasthttp.Response {
	var c fasthttp.RequestCtx
	c.Request.SetRequestURI(path)
	c.Request.Header.Set("Authorization", "Bearer "+key)
	n.Handle(&c)
	return &c.Response
}

func TestTheNaiveServiceAnswersAsTheSuiteExpects(t *testing.T) {
	t.Parallel()
	n, err := naive.Open(context.Background(), baseline.Config{
		Store: dataset.Store{DataDir: t.TempDir()}, Dataset: spec, Keys: [][]string{{"ak_first"}, {"ak_second"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}()
	catalogue := traffic.NewCatalogue(spec)
	for session := range spec.Sessions {
		path := fmt.Sprintf("%s?session_id=%s", traffic.PathLastSeen, catalogue.ID(session))
		own, other := []string{"ak_first", "ak_second"}[catalogue.Orgs[session]], []string{"ak_second", "ak_first"}[catalogue.Orgs[session]]
		answer := get(n, path, own)
		exchange := &loadgen.Exchange{Subject: session, Floor: catalogue.Newest(session)}
		if err := catalogue.CheckPoint(exchange, &loadgen.Answer{Status: answer.StatusCode(), Body: answer.Body()}); err != nil {
			t.Errorf("session %d: %v", session, err)
		}
		if status := get(n, path, other).StatusCode(); status != http.StatusNotFound {
			t.Errorf("session %d: a key of another organisation got status %d", session, status)
		}
		if status := get(n, path, "ak_nobody").StatusCode(); status != http.StatusUnauthorized {
			t.Errorf("session %d: a wrong key got status %d", session, status)
		}
	}

	span := fmt.Sprintf("?session=%s&start=%d&end=%d", catalogue.ID(3), spec.NewestAt-10_000, spec.NewestAt+1)
	for _, path := range []string{"/json_each_row", "/scan"} {
		body := string(get(n, path+span, "").Body())
		if lines := strings.Count(body, "\n"); lines != spec.PointsPerSession || strings.Count(body, string(catalogue.ID(3))) < lines {
			t.Errorf("%s brings %d points, want %d: %.300s", path, lines, spec.PointsPerSession, body)
		}
	}
	var inserted baseline.Inserted
	if err := json.Unmarshal(get(n, "/insert?batch=50&milliseconds=1&first=3", "").Body(), &inserted); err != nil || inserted.Rows < 50 || inserted.P50 <= 0 {
		t.Errorf("plain inserts: %+v, %v", inserted, err)
	}
}
