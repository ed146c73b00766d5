package main

import (
	"log/slog"
	"testing"
)

func TestConnectionsLeaveDescriptors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ wanted, descriptors, want int }{
		{16_384, 0, 16_384}, {16_384, 1 << 20, 16_384}, {16_384, 10_000, 8_976}, {16_384, 1024, 512}, {100, 1024, 100}, {16_384, 1, 1},
	} {
		if got := boundConnections(test.wanted, test.descriptors, slog.New(slog.DiscardHandler)); got != test.want {
			t.Errorf("of %d wanted with %d descriptors %d may be open, want %d", test.wanted, test.descriptors, got, test.want)
		}
	}
}
