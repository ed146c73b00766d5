package main

import (
	"bufio"
	"context"
	"fmt"
	"net"

	"lastseen/bench/dataset"
	"lastseen/query/wire"
	"lastseen/schema"
)

// fillRedis stores the newest point of every session as its finished answer, many commands at a time.
func fillRedis(ctx context.Context, address string, spec dataset.Spec) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("connect to Redis: %w", err)
	}
	defer conn.Close() // everything was acknowledged, or there is an error already
	w, r := bufio.NewWriter(conn), bufio.NewReader(conn)
	const together = 1000
	var value []byte
	for from := 0; from < spec.Sessions; from += together {
		to := min(from+together, spec.Sessions)
		for i := from; i < to; i++ {
			var p schema.DataPoint
			spec.Point(i, spec.PointsPerSession-1, &p)
			value = wire.AppendDataPoint(value[:0], &p)
			fmt.Fprintf(w, "*3\r\n$3\r\nSET\r\n$24\r\n%s\r\n$%d\r\n%s\r\n", p.SessionID, len(value), value)
		}
		if err := w.Flush(); err != nil {
			return fmt.Errorf("store the answers in Redis: %w", err)
		}
		for range to - from {
			line, err := r.ReadString('\n')
			if err != nil {
				return fmt.Errorf("store the answers in Redis: %w", err)
			}
			if line != "+OK\r\n" {
				return fmt.Errorf("store the answers in Redis: it answered %q", line)
			}
		}
	}
	return nil
}
