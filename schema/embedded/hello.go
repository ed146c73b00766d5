package embedded

import (
	"fmt"

	chproto "github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"
)

// helloQuery is what clickhouse-go asks when it connects.
const helloQuery = "SELECT displayName(), version(), revision(), timezone()"

// encodeHello answers helloQuery. clickhouse-go decodes this one answer at its
// own protocol revision and every later one at the revision that it reports:
// 0, which is the plain Native format that libchdb writes.
func encodeHello(version, zone string) ([]byte, error) {
	block := proto.NewBlock()
	for _, c := range []struct {
		name string
		kind column.Type
	}{
		{"displayName()", "String"}, {"version()", "String"}, {"revision()", "UInt32"}, {"timezone()", "String"},
	} {
		if err := block.AddColumn(c.name, c.kind); err != nil {
			return nil, fmt.Errorf("encoding the engine's hello: %w", err)
		}
	}
	if err := block.Append("embedded", version, uint32(0), zone); err != nil {
		return nil, fmt.Errorf("encoding the engine's hello: %w", err)
	}
	var buf chproto.Buffer
	if err := block.Encode(&buf, clickhouse.ClientTCPProtocolVersion); err != nil {
		return nil, fmt.Errorf("encoding the engine's hello: %w", err)
	}
	return buf.Buf, nil
}
