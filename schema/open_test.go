package schema_test

import (
	"testing"

	"lastseen/schema"
	"lastseen/schema/schematest"
)

// TestTheNameOfTheDatabase: who gives none must find what others wrote who gave none or "lastseen".
func TestTheNameOfTheDatabase(t *testing.T) {
	t.Parallel()
	schematest.OnlyOn(t, schematest.Embedded, "the database lastseen may hold what others need")
	for name, want := range map[string]string{"": "lastseen", "lastseen": "lastseen", "fleet_2": "fleet_2"} {
		db, err := schema.OpenOn(t.Context(), schematest.Engine(t), schema.Options{Database: name})
		if err != nil {
			t.Fatal(err)
		}
		if got := db.Database(); got != want {
			t.Errorf("%q is the database %q, want %q", name, got, want)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}
