package schema_test

import (
	"testing"

	"lastseen/schema"
	"lastseen/schema/clickhousetest"
	"lastseen/schema/register"
	"lastseen/schema/register/registertest"
	"lastseen/schema/schematest"
)

func openViewRegister(t *testing.T, db *schema.DB) register.Register {
	t.Helper()
	r, err := db.OpenViewRegister(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func TestARegisterInClickHouseKeepsViews(t *testing.T) {
	t.Parallel()
	if schematest.Layout() == schematest.Sharded {
		t.Skip("a cluster's register is its Keeper")
	}
	db := schematest.Open(t)
	registertest.Contract(t, func() register.Register { return openViewRegister(t, db) })
}

// TestARegisterInClickHouseLosesAnswersAndGoesAway has a server of its own, behind a proxy.
func TestARegisterInClickHouseLosesAnswersAndGoesAway(t *testing.T) {
	t.Parallel()
	schematest.OnlyOn(t, schematest.Embedded, "it has a server of its own")
	server := clickhousetest.Start(t, clickhousetest.Options{})
	proxy := clickhousetest.StartProxy(t, server.Address())
	var cuts []int
	for bytes := 100; bytes < 3000; bytes += 150 {
		cuts = append(cuts, bytes)
	}
	near := openServer(t, server.Address())
	registertest.Faults(t, openViewRegister(t, openServer(t, proxy.Address())), openViewRegister(t, near), proxy, cuts...)
}
