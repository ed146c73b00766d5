package schema_test

import (
	"strings"
	"sync"
	"testing"

	"lastseen/schema"
	"lastseen/schema/schematest"
)

func TestMigrate(t *testing.T) {
	t.Parallel()
	t.Run("may run again", func(t *testing.T) {
		t.Parallel()
		db := schematest.Open(t)
		if err := db.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("may run from several nodes at once", func(t *testing.T) {
		t.Parallel()
		database := "test_" + schema.NewID().String()
		var nodes sync.WaitGroup
		for range 4 {
			nodes.Go(func() { schematest.OpenNamed(t, database) })
		}
		nodes.Wait()
	})
	t.Run("refuses what a newer version has migrated, in one sentence, and changes nothing", func(t *testing.T) {
		t.Parallel()
		db := schematest.Open(t)
		schematest.Exec(t, db, "INSERT INTO schema_migrations VALUES (1000, 'of a later version', now64(3))")
		err := db.Migrate(t.Context())
		const want = "the database is at schema version 1000 and this binary knows only "
		if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.HasSuffix(err.Error(), ": run a newer lastseen") || strings.Contains(err.Error(), "\n") {
			t.Errorf("it says %v", err)
		}
	})
}
