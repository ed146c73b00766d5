package schematest

import (
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Diff returns how two values differ (- want, + got), empty when they do not. NaN, which stands for no
// temperature, equals itself, and an empty slice or map one that is nil.
func Diff(want, got any) string {
	return cmp.Diff(want, got, cmpopts.EquateNaNs(), cmpopts.EquateEmpty())
}
