package schema_test

import (
	"testing"

	"lastseen/schema"
	"lastseen/schema/schematest"
)

func TestReadAround(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	one, other, third := schema.NewID(), schema.NewID(), schema.NewID()
	at := func(session schema.ID, second int64) schema.DataPoint {
		p := schema.NewDataPoint(session, may2026+1000*second, 10, 20)
		p.ReceivedAt = p.Timestamp
		return p
	}
	for second := range int64(10) {
		insert(t, db, at(one, second), at(other, second), at(third, second))
	}
	marked := at(one, 4)
	marked.Outlier, marked.Version = schema.OutlierTooFast, 1
	insert(t, db, marked)

	times := []schema.Around{
		{Session: one, From: may2026 + 3000, At: may2026 + 4000, Through: may2026 + 5000}, {Session: other, From: may2026 + 7000, At: may2026 + 7000, Through: may2026 + 60_000},
		{Session: schema.NewID(), From: may2026, At: may2026, Through: may2026 + 60_000},
	}
	got, err := db.ReadAround(t.Context(), times, 100, 100)
	if err != nil {
		t.Fatal(err)
	}
	want := map[schema.ID][]schema.DataPoint{
		one: {at(one, 3), marked, at(one, 5)}, other: {at(other, 7), at(other, 8), at(other, 9)},
	}
	if d := schematest.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	got, err = db.ReadAround(t.Context(), []schema.Around{{Session: other, From: may2026, At: may2026 + 4000, Through: may2026 + 60_000}}, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	if d := schematest.Diff(map[schema.ID][]schema.DataPoint{other: {at(other, 2), at(other, 3), at(other, 4)}}, got); d != "" {
		t.Errorf("the last two before and the first after (-want +got):\n%s", d)
	}
	if none, err := db.ReadAround(t.Context(), nil, 2, 2); err != nil || len(none) != 0 {
		t.Errorf("of nothing: %v, %v", none, err)
	}
}
