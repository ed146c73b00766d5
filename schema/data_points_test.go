package schema_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"lastseen/schema"
	"lastseen/schema/schematest"
)

func TestInsertDataPointsKeepsEveryValue(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	session := schema.NewID()
	extremes := []schema.DataPoint{
		schema.NewDataPoint(session, 946684800000, -90e7, -180e7),
		{
			SessionID: session, Timestamp: 1768469400120, ReceivedAt: 1768469400121, Latitude: 90e7, Longitude: 180e7, Altitude: -120000,
			Accuracy: 1e8, Temperature: -273.15, Speed: 65000, Heading: 3599, Battery: 10000, Outlier: schema.OutlierByUser, Version: math.MaxUint32,
		},
		{SessionID: session, Timestamp: 4102444799999, Altitude: 1e6, Temperature: 1e4},
	}
	insert(t, db, extremes...)
	reader, err := db.ReadDataPoints(t.Context(), session, 0, math.MaxInt32*10000)
	wantPoints(t, extremes, collect(t, reader, err))
}

func TestInsertDataPointsTakesManyMonthsAndOwnersAtOnce(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	random := rand.New(rand.NewPCG(1, 2))
	sessions := []schema.ID{schema.NewID(), schema.NewID(), schema.NewID()}
	want := map[schema.ID][]schema.DataPoint{}
	var points []schema.OwnedPoint
	for month := range 130 { // ClickHouse by itself allows 100 partitions in an insert
		for i, session := range sessions {
			at := time.Date(2010, time.Month(1+month), 1+i, 0, 0, 0, 0, time.UTC)
			p := randomPoint(random, session, at.UnixMilli())
			want[session] = append(want[session], p)
			points = append(points, schema.OwnedPoint{DataPoint: p, OrgID: []string{"org_a", "org_b"}[i%2], DeviceID: schema.NewID()})
		}
	}
	random.Shuffle(len(points), func(i, j int) { points[i], points[j] = points[j], points[i] })
	if err := db.InsertDataPoints(t.Context(), points); err != nil {
		t.Fatal(err)
	}
	for _, session := range sessions {
		reader, err := db.ReadDataPoints(t.Context(), session, 0, 1<<42)
		wantPoints(t, want[session], collect(t, reader, err))
	}
}

func TestInsertDataPointsStopsWithItsContext(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := schema.NewDataPoint(schema.NewID(), 1, 2, 3)
	if err := db.InsertDataPoints(ctx, []schema.OwnedPoint{{DataPoint: p}}); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want context.Canceled", err)
	}
	if err := db.InsertDataPoints(t.Context(), nil); err != nil {
		t.Errorf("inserting nothing: %v", err)
	}
	found, err := db.FindDataPoints(t.Context(), []schema.PointKey{{SessionID: p.SessionID, Timestamp: 1}})
	if err != nil || len(found) != 0 {
		t.Errorf("found %v, %v, want nothing", found, err)
	}
}

func TestDataPointsOfEveryWriterAreThere(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	session := schema.NewID()
	errs := make(chan error)
	for writer := range 4 {
		go func() {
			var points []schema.OwnedPoint
			for i := range 100 {
				points = append(points, schema.OwnedPoint{DataPoint: schema.NewDataPoint(session, int64(4*i+writer), 1, 2), OrgID: "org_a"})
			}
			errs <- db.InsertDataPoints(t.Context(), points)
		}()
	}
	for range 4 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	reader, err := db.ReadDataPoints(t.Context(), session, 0, 1000)
	got := collect(t, reader, err)
	if len(got) != 400 || !slices.IsSortedFunc(got, byTime) {
		t.Errorf("%d points are there, want 400 in order", len(got))
	}
}

func TestNewestReceipt(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	db := schematest.Open(t)
	want := func(what string, received int64) {
		t.Helper()
		if got, err := db.NewestReceipt(t.Context(), now); err != nil || got != received {
			t.Errorf("%s: %d, %v, want %d", what, got, err, received)
		}
	}
	want("no point", 0)
	for _, ago := range []time.Duration{9000 * time.Hour, 300 * time.Hour, 2 * time.Hour, time.Second, -time.Hour} {
		p := schema.NewDataPoint(schema.NewID(), now.UnixMilli(), 1, 1)
		p.ReceivedAt = now.Add(-ago).UnixMilli()
		insert(t, db, p)
		want("received "+ago.String()+" ago", p.ReceivedAt)
	}
}
