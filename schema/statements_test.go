package schema_test

import (
	"context"
	"testing"

	"lastseen/schema"
	"lastseen/schema/schematest"
)

func TestStatementsAreCounted(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	counts := func() map[string]schema.StatementStats {
		byKind := map[string]schema.StatementStats{}
		for _, s := range db.Stats() {
			byKind[s.Kind] = s
		}
		return byKind
	}
	before := counts()
	if err := db.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := db.InsertDataPoints(t.Context(), []schema.OwnedPoint{{DataPoint: schema.NewDataPoint(schema.NewID(), 1768469400000, 1, 1), OrgID: "org_a"}}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := db.FindDevice(t.Context(), schema.NewID()); err != nil {
		t.Fatal(err)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	db.Ping(gone) // whose caller has left: no fault of ClickHouse
	after := counts()
	for kind, begun := range map[string]uint64{"exec": 2, "insert": 1, "query": 1} {
		if got := after[kind].Begun - before[kind].Begun; got != begun || after[kind].Failed != before[kind].Failed {
			t.Errorf("%s: %d begun, want %d; failed went from %d to %d", kind, got, begun, before[kind].Failed, after[kind].Failed)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if db.Ping(t.Context()) == nil || counts()["exec"].Failed == after["exec"].Failed {
		t.Error("a statement on a closed connection was not counted as failed")
	}
}
