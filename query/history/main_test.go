package history_test

import (
	"testing"

	"lastseen/schema/schematest"
)

func TestMain(m *testing.M) { schematest.Main(m) }
