package schema

import (
	"fmt"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"
)

// oldestServer is the oldest ClickHouse whose tables have all settings that the layout uses.
var oldestServer = proto.Version{Major: 24, Minor: 11}

// requireVersion fails on a ClickHouse that is too old.
func requireVersion(conn driver.Conn) error {
	server, err := conn.ServerVersion()
	// One from before the driver's time rejects its first question.
	if err != nil && strings.Contains(err.Error(), "Unknown setting client_protocol_version") {
		return tooOld("too old")
	}
	if err != nil {
		return fmt.Errorf("reach ClickHouse: %w", err)
	}
	return checkVersion(server.Version)
}

func checkVersion(version proto.Version) error {
	if proto.CheckMinVersion(oldestServer, version) {
		return nil
	}
	return tooOld(fmt.Sprintf("version %d.%d", version.Major, version.Minor))
}

func tooOld(found string) error {
	return fmt.Errorf("the ClickHouse server is %s: upgrade it to %d.%d or newer", found, oldestServer.Major, oldestServer.Minor)
}
