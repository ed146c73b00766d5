package scenario

import (
	"testing"
	"time"

	"lastseen/bench/loadgen"
)

func TestFiguresAreMediansAndRatiosAreTakenRoundByRound(t *testing.T) {
	t.Parallel()
	at := func(rate int64) *loadgen.Measurement {
		return &loadgen.Measurement{Elapsed: time.Second, Served: rate}
	}
	// The machine halves its speed from round to round: the ratio does not change.
	a, b := []*loadgen.Measurement{at(90), at(45), at(22)}, []*loadgen.Measurement{at(100), at(50), at(25)}
	if got := ratio(a, b, throughput); got < 0.87 || got > 0.91 {
		t.Errorf("the ratio is %v, want 0.9", got)
	}
	if got := over(a, throughput); got != 45 {
		t.Errorf("the median is %v, want 45", got)
	}
	if got := median([]float64{4, 1, 3, 2}); got != 2.5 {
		t.Errorf("the median of four is %v, want 2.5", got)
	}
	if median(nil) != 0 {
		t.Error("nothing has a median")
	}
}
