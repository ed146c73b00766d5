package clickhousetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// NewCluster makes servers, all down, that are the shards of one cluster, without replicas. Each has the
// macros shard, from 1, and replica. They share a secret, so that what one asks of another it asks as the user
// who has asked it, and not as the other's user default.
func NewCluster(name string, shards int, options Options) ([]*Server, error) {
	var servers []*Server
	var definition strings.Builder
	fmt.Fprintf(&definition, "<remote_servers><%s><secret>sesame</secret>", name)
	for range shards {
		server, err := New(options)
		if err != nil {
			return nil, errors.Join(err, closeAll(servers))
		}
		servers = append(servers, server)
		fmt.Fprintf(&definition, "<shard><internal_replication>true</internal_replication><replica><host>%s</host><port>%d</port></replica></shard>",
			host, server.TCPPort)
	}
	fmt.Fprintf(&definition, "</%s></remote_servers>", name)
	for i, server := range servers {
		server.Configure(fmt.Sprintf("%s<macros><shard>%d</shard><replica>%d</replica></macros>", definition.String(), i+1, server.TCPPort))
	}
	return servers, nil
}

// StartCluster starts the servers of NewCluster for as long as the test lasts.
func StartCluster(tb testing.TB, name string, shards int, options Options) []*Server {
	tb.Helper()
	servers, err := NewCluster(name, shards, options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := closeAll(servers); err != nil {
			tb.Error(err)
		}
	})
	for _, server := range servers {
		if err := server.Start(); err != nil {
			tb.Fatal(err)
		}
	}
	return servers
}

func closeAll(servers []*Server) (err error) {
	for _, server := range servers {
		err = errors.Join(err, server.Close())
	}
	return err
}
