package bench

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

func TestWhatIsMeasuredSideBySideTakesTurns(t *testing.T) {
	t.Parallel()
	var seen []string
	rounds := func(name string, n int, failure error) func(func() error) error {
		return func(pause func() error) error {
			for i := range n {
				if err := pause(); err != nil {
					seen = append(seen, name+" ended")
					return fmt.Errorf("%s: %w", name, errors.Join(err, pause()))
				}
				seen = append(seen, fmt.Sprintf("%s%d", name, i))
			}
			return failure
		}
	}
	if err := inTurn([]func(func() error) error{rounds("a", 3, nil), rounds("b", 1, nil), rounds("c", 2, nil)}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"a0", "b0", "c0", "a1", "c1", "a2"}; !slices.Equal(seen, want) {
		t.Errorf("the order is %v, want %v", seen, want)
	}

	seen = nil
	broken := errors.New("broken")
	err := inTurn([]func(func() error) error{rounds("a", 9, nil), rounds("b", 2, broken)})
	if want := []string{"a0", "b0", "a1", "b1", "a ended"}; !slices.Equal(seen, want) {
		t.Errorf("after a failure the order is %v, want %v", seen, want)
	}
	if !errors.Is(err, broken) || errors.Is(err, errAnotherFailed) {
		t.Errorf("the error is %v, want the one that was first", err)
	}
}
