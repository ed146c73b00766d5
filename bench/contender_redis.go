package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"

	"lastseen/bench/loadgen"
	"lastseen/query/wire"
	"lastseen/schema"
)

// startRedis starts redis-server with the finished answers as its values. It checks no key and speaks
// a leaner protocol than HTTP, both in its favour.
func (s *suite) startRedis(ctx context.Context, beside *service) (on *service, absent string, err error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, "redis-server is not installed", nil
	}
	address, err := freeAddress()
	if err != nil {
		return nil, "", err
	}
	dir, err := s.folder("redis")
	if err != nil {
		return nil, "", err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, "", err
	}
	p, err := launch{
		name: "redis", path: path, dir: dir, cpus: s.processors.server,
		args: []string{"--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", dir},
	}.start()
	if err != nil {
		return nil, "", err
	}
	on = &service{
		name: "redis", label: "redis-server GET", version: redisVersion(path), processes: []*process{p},
		catalogue: beside.catalogue, target: loadgen.Target{Address: address, Codec: loadgen.RESP{}},
	}
	on.source = func(d draws, start int) loadgen.Source {
		return &redisReader{poller{catalogue: on.catalogue, draws: d, at: start}}
	}
	waiting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err = p.await(waiting, func() bool { return s.fillRedis(address) == nil })
	if err != nil {
		return nil, "", errors.Join(err, on.stop())
	}
	return on, "", nil
}

// redisVersion leaves the build's hashes out of what redis-server says of itself.
func redisVersion(path string) string {
	for word := range strings.FieldsSeq(programVersion(path, "--version")) {
		if version, ok := strings.CutPrefix(word, "v="); ok {
			return "Redis " + version
		}
	}
	return "Redis of an unknown version"
}

// fillRedis stores the newest point of every session, many commands at a time.
func (s *suite) fillRedis(address string) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	w, r := bufio.NewWriter(conn), bufio.NewReader(conn)
	const together = 1000
	var value []byte
	for from := 0; from < s.spec.Sessions; from += together {
		to := min(from+together, s.spec.Sessions)
		for i := from; i < to; i++ {
			var p schema.DataPoint
			s.spec.Point(i, s.spec.PointsPerSession-1, &p)
			value = wire.AppendDataPoint(value[:0], &p)
			fmt.Fprintf(w, "*3\r\n$3\r\nSET\r\n$24\r\n%s\r\n$%d\r\n%s\r\n", p.SessionID, len(value), value)
		}
		if err := w.Flush(); err != nil {
			return err
		}
		for range to - from {
			if line, err := r.ReadString('\n'); err != nil || line != "+OK\r\n" {
				return fmt.Errorf("store the answers in Redis: %q, %w", line, err)
			}
		}
	}
	return nil
}
