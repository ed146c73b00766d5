package traffic

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
)

// Draws is a fixed sequence of sessions by popularity, drawn beforehand because drawing takes as
// long as sending.
type Draws []uint32

// drawCount is the length of the sequence, after which it begins again.
const drawCount = 1 << 20

// Zipf draws sessions so that the k-th most popular one is asked for in proportion to 1/k^exponent.
// An exponent of 0 asks for all alike. Which sessions are popular is up to the seed.
func Zipf(sessions int, exponent float64, seed uint64) (Draws, error) {
	if sessions < 1 || exponent < 0 {
		return nil, fmt.Errorf("cannot draw from %d sessions with the exponent %v", sessions, exponent)
	}
	random := rand.New(rand.NewPCG(seed, 0))
	below := make([]float64, sessions) // the weight of the sessions up to and with this one
	sum := 0.0
	for k := range below {
		sum += math.Pow(float64(k+1), -exponent)
		below[k] = sum
	}
	who := random.Perm(sessions)
	d := make(Draws, drawCount)
	for i := range d {
		k := sort.SearchFloat64s(below, random.Float64()*sum)
		d[i] = uint32(who[min(k, sessions-1)])
	}
	return d, nil
}

// Distinct returns the sessions that occur in the sequence, each once.
func (d Draws) Distinct() []int {
	seen := make(map[uint32]bool)
	var all []int
	for _, session := range d {
		if !seen[session] {
			seen[session] = true
			all = append(all, int(session))
		}
	}
	return all
}
