package registry

import (
	"math/rand/v2"
	"testing"
)

// TestATableFindsWhatAMapWould puts entries in whose hashes are often the same, some again and again.
func TestATableFindsWhatAMapWould(t *testing.T) {
	t.Parallel()
	type entry struct{ key, value int }
	for _, hashes := range []uint64{1, 7, 1 << 20} {
		hashOf := func(key int) uint64 { return uint64(key) % hashes * 0x9e3779b97f4a7c15 }
		var got table[entry]
		if hashes == 7 {
			got.reserve(100)
		}
		want := map[int]*entry{}
		rng := rand.New(rand.NewPCG(hashes, 1))
		for i := range 3000 {
			e := &entry{key: rng.IntN(2000), value: i}
			want[e.key] = e
			got.put(e, hashOf(e.key), func(other *entry) bool { return other.key == e.key }, func(e *entry) uint64 { return hashOf(e.key) })
		}
		for key := range 2100 {
			if found := got.get(hashOf(key), func(e *entry) bool { return e.key == key }); found != want[key] {
				t.Fatalf("with %d hashes the table has %v for %d, the map %v", hashes, found, key, want[key])
			}
		}
		if got.used != len(want) {
			t.Errorf("with %d hashes the table has %d entries, the map %d", hashes, got.used, len(want))
		}
	}
}
