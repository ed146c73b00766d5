package clickhousetest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
)

// The ports of servers, and the addresses that tests are given, lie below those that the system gives to outgoing connections, so that none
// takes the port of a server that is down for a while.
const firstPort, pastLastPort = 20_000, 32_000

// taken are the ports that this process has given out.
var taken sync.Map

// FreeAddress returns a loopback address on which nobody listens, and which nobody else in this process is given.
func FreeAddress(tb testing.TB) string {
	tb.Helper()
	port, err := freePort()
	if err != nil {
		tb.Fatal(err)
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// freePort returns a port of the loopback address on which nobody listens.
func freePort() (int, error) {
	for range 1000 {
		port := firstPort + rand.IntN(pastLastPort-firstPort)
		if _, given := taken.LoadOrStore(port, true); given {
			continue
		}
		listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			return 0, fmt.Errorf("give a port free: %w", err)
		}
		return port, nil
	}
	return 0, fmt.Errorf("find a free port from %d to %d", firstPort, pastLastPort-1)
}
