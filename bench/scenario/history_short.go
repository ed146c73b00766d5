package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"lastseen/bench/record"
	"lastseen/bench/traffic"
)

// shortPulls measures the last hour, in turn with the bare query for the same rows.
func (s *history) shortPulls(ctx context.Context) error {
	var service, bare []float64
	for range s.Rounds {
		if err := s.pause(); err != nil {
			return err
		}
		these, those, err := s.shortRound(ctx)
		if err != nil {
			return err
		}
		service, bare = append(service, these...), append(bare, those...)
	}
	o := s.o
	slower := median(service) / median(bare)
	label := "the bare ClickHouse query, inside its process"
	if s.rig.Server != nil {
		label = "the bare ClickHouse query, over HTTP by clickhouse-go"
	}
	o.Add(record.Table{Title: "The last hour of a session, 3,600 points", Header: []string{"", "median"}, Rows: [][]string{
		{label, record.Span(median(bare))},
		{"**lastseen** data_points, over HTTP", record.Span(median(service))},
	}})
	o.Figure("last_hour/lastseen_p50", median(service))
	o.Figure("last_hour/bare_query_p50", median(bare))
	o.Judge("latency of the last hour beside the bare query's", "at most "+record.Times(mostOfBareQuery)+" ×", record.Times(slower)+" ×", slower <= mostOfBareQuery)
	return nil
}

// shortRound pulls the last hour many times over one connection, and returns how many nanoseconds each pull
// took, and each bare query.
func (s *history) shortRound(ctx context.Context) (service, bare []float64, err error) {
	p, err := traffic.NewPuller(ctx, s.on.Host, traffic.Bearer(s.on.Catalogue.Keys[0][0]))
	if err != nil {
		return nil, nil, err
	}
	defer p.Close()
	end := s.long.NewestTimestamp(0) + 1
	start := end - time.Hour.Milliseconds()
	path := traffic.HistoryPath(s.on.Catalogue.ID(0), start, end)
	bareURL := fmt.Sprintf("http://%s/bare_query?session=%s&start=%d&end=%d", s.engine.Host, s.long.SessionID(0), start, end)
	for range shortPulls {
		got, err := p.Pull(ctx, path, "identity", true)
		if err != nil {
			return nil, nil, fmt.Errorf("pull the last hour: %w", err)
		}
		if err := got.CheckPoints(min(3600, s.long.PointsPerSession)); err != nil {
			return nil, nil, fmt.Errorf("pull the last hour: %w", err)
		}
		took, err := bareQuery(ctx, bareURL)
		if err != nil {
			return nil, nil, err
		}
		service, bare = append(service, float64(got.Took)), append(bare, float64(took))
	}
	return service, bare, nil
}

// bareQuery returns how long the engine took, by its own process's clock.
func bareQuery(ctx context.Context, address string) (time.Duration, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	var took struct{ Nanoseconds int64 }
	if err := json.Unmarshal(text, &took); err != nil || response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("the bare query answered %s: %.300s", response.Status, text)
	}
	return time.Duration(took.Nanoseconds), nil
}
