package server

import (
	"testing"

	"lastseen/schema/schematest"
)

func TestMain(m *testing.M) { schematest.Main(m, endSharedBrowser) }
