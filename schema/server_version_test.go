package schema

import (
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"
)

func TestAnOldServerIsRefused(t *testing.T) {
	t.Parallel()
	for version, ok := range map[proto.Version]bool{
		{Major: 23, Minor: 12, Patch: 6}: false,
		{Major: 24, Minor: 10, Patch: 9}: false,
		{Major: 24, Minor: 11}:           true,
		{Major: 24, Minor: 12, Patch: 1}: true,
		{Major: 26, Minor: 7, Patch: 1}:  true,
	} {
		if err := checkVersion(version); (err == nil) != ok {
			t.Errorf("%v: %v", version, err)
		}
	}
}
