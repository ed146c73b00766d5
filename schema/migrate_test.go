package schema_test

import (
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
}
