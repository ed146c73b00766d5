package pages_test

import (
	"testing"

	"lastseen/schema/pages"
)

// TestMemoryStaysZeroAndWritable asks for memory of many sizes: none, parts of pages, and many pages.
func TestMemoryStaysZeroAndWritable(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 511, 512, 4096, 5000, 100_000, 1 << 20} {
		memory := pages.Written(make([]uint64, n))
		if len(memory) != n {
			t.Fatalf("%d words became %d", n, len(memory))
		}
		for i := range memory {
			if memory[i] != 0 {
				t.Fatalf("word %d of %d is %d", i, n, memory[i])
			}
			memory[i] = uint64(i)
		}
		pointers := pages.Written(make([]*uint64, n))
		for i := range pointers {
			if pointers[i] != nil {
				t.Fatalf("pointer %d of %d is not nil", i, n)
			}
			pointers[i] = &memory[i]
		}
	}
}
