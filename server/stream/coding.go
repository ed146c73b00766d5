package stream

import "lastseen/server/input"

// Coding is a content coding of answers.
type Coding uint8

// The codings.
const (
	Identity Coding = iota
	Gzip
	Zstd
)

// String returns the coding as headers name it.
func (c Coding) String() string { return codingNames[c] }

// codingNames are the codings as headers name them.
var codingNames = [...]string{Identity: "identity", Gzip: "gzip", Zstd: "zstd"}

// Accepted returns the coding that a client likes best of those that it names; of two that it
// likes equally zstd wins, which is both the faster and the smaller. A client that names none gets
// the answer as it is, unless it refuses that and takes whatever else there is (*).
func Accepted(accepted []input.Preference) Coding {
	const unnamed = -1
	weights, any := [...]int{unnamed, unnamed, unnamed}, unnamed
	for _, p := range accepted {
		switch p.Value {
		case "*":
			any = max(any, p.Weight)
		case "identity":
			weights[Identity] = max(weights[Identity], p.Weight)
		case "gzip", "x-gzip":
			weights[Gzip] = max(weights[Gzip], p.Weight)
		case "zstd":
			weights[Zstd] = max(weights[Zstd], p.Weight)
		}
	}
	best := Identity
	for _, c := range []Coding{Gzip, Zstd} {
		if weights[c] > 0 && weights[c] >= weights[best] {
			best = c
		}
	}
	refused := weights[Identity] == 0 || weights[Identity] == unnamed && any == 0
	if best != Identity || !refused || any <= 0 {
		return best
	}
	for _, c := range []Coding{Gzip, Zstd} {
		if weights[c] == unnamed {
			return c
		}
	}
	return Identity
}
