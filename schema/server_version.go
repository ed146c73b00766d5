package schema

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
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
		return cannotReach(err)
	}
	return checkVersion(server.Version)
}

// ClickHouse's codes of who is not let in: unknown user, wrong password, required password, authentication failed.
var notLetIn = []int32{192, 193, 194, 516}

// cannotReach says what to do about an address that did not answer its first question as ClickHouse does.
func cannotReach(err error) error {
	if slices.ContainsFunc(notLetIn, func(code int32) bool { return hasCode(err, code) }) {
		return errors.New("the ClickHouse server does not let the user in: check the user and the password in the address")
	}
	_, exception := errors.AsType[*clickhouse.Exception](err)
	_, refused := errors.AsType[*clickhouse.HTTPError](err)
	if !exception && (refused || strings.Contains(err.Error(), "block decode")) {
		return errors.New("what answers at the ClickHouse address is no ClickHouse server: give the address of its HTTP interface, usually port 8123")
	}
	return fmt.Errorf("reach ClickHouse: %w", err)
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
