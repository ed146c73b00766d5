//go:build !linux

package loadgen

import (
	"context"
	"time"
)

// ProcessCPU returns 0: it is known on Linux only.
func ProcessCPU() time.Duration { return 0 }

func (l *Load) work(context.Context, *Measurement) ([]*result, error) {
	return nil, ErrUnsupported
}
