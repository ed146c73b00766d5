package history_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"lastseen/query/history/stays"
	"lastseen/query/querytest"
	"lastseen/schema"
)

// TestMoreStaysThanAreKeptAreAllWritten asks for a history with a stay for every two points, more than are kept in memory
// while the points are made, and suspends it at each piece of the rest.
func TestMoreStaysThanAreKeptAreAllWritten(t *testing.T) {
	t.Parallel()
	const all = 1<<14 + 100
	s := querytest.NewSession()
	var points []schema.OwnedPoint
	for i := range int64(all) {
		for _, second := range []int64{0, 2} {
			p := querytest.At(s.ID, i*20+second)
			p.Latitude = int32(i%1000) * 100_000
			points = append(points, p)
		}
	}
	h, _ := historyOf(t, s, points...)
	request := wanted(s.ID)
	request.Clusters = stays.Rule{DistanceMeters: 10, Minimum: time.Second, Gap: 5 * time.Second}
	stream, err := h.Open(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	suspensions := 0
	_, err = writeTo(stream, writerFunc(func(p []byte) (int, error) {
		out.Write(p)
		if suspended, err := stream.Suspend(); err != nil || !suspended {
			t.Errorf("a history in JSON is not suspended: %v", err)
		}
		suspensions++
		return len(p), nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Points []json.RawMessage `json:"data_points"`
		Stays  []struct {
			Start  time.Time `json:"start_timestamp"`
			Points int       `json:"point_count"`
		} `json:"stationary_clusters"`
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Points) != len(points) || len(got.Stays) != all || suspensions < 10 {
		t.Fatalf("%d points and %d stays after %d suspensions, want %d and %d", len(got.Points), len(got.Stays), suspensions, len(points), all)
	}
	for i, stay := range got.Stays {
		if want := points[2*i].Timestamp; stay.Start.UnixMilli() != want || stay.Points != 2 {
			t.Fatalf("stay %d begins at %d and has %d points, want %d and 2", i, stay.Start.UnixMilli(), stay.Points, want)
		}
	}
	request.Limit = 1 // the range is looked at, and the answer has but one point
	if diff := len(pull(t, h, request)) - stayBytes(out.Bytes()); diff < 0 {
		t.Errorf("a page has %d bytes fewer than the stays of the range", -diff)
	}
}

// stayBytes is how long the stays of an answer are.
func stayBytes(answer []byte) int {
	return len(answer) - bytes.Index(answer, []byte(`"stationary_clusters"`))
}
