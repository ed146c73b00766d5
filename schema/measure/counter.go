// Package measure counts and times what the service does, at a cost that a request does not feel: no
// lock, no allocation, and no cache line that all processors write. It knows nothing of who collects
// the numbers; package server/metrics does.
package measure

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
)

// stripeCount is how many copies of a number there are, so that processors seldom write the same
// one. It is a power of two.
const stripeCount = 8

// tokens hands out stripes. A pool keeps its values by processor, so that a processor mostly gets
// the stripe back that it wrote last, which is then in its cache.
var tokens = sync.Pool{New: func() any { return &stripeNumbers[rand.Uint32()%stripeCount] }}

var stripeNumbers = func() (numbers [stripeCount]int) {
	for i := range numbers {
		numbers[i] = i
	}
	return numbers
}()

// stripe returns the number of the stripe to write to.
func stripe() int {
	token := tokens.Get().(*int)
	number := *token
	tokens.Put(token)
	return number
}

// Counter is a number that many goroutines change at once. One that only grows counts events; one
// that also shrinks says how many there are now. The zero value is zero. It is safe for concurrent
// use.
type Counter struct {
	stripes [stripeCount]struct {
		n atomic.Int64
		_ [120]byte // two cache lines, since processors fetch them in pairs
	}
}

// Add adds n, which may be negative.
func (c *Counter) Add(n int64) { c.stripes[stripe()].n.Add(n) }

// Value returns the sum of all that was added before it was called, and perhaps some of what is being
// added meanwhile.
func (c *Counter) Value() (sum int64) {
	for i := range c.stripes {
		sum += c.stripes[i].n.Load()
	}
	return sum
}
