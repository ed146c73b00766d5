package embedded

import "testing"

func TestMergePool(t *testing.T) {
	t.Parallel()
	for processors, want := range map[int]int{1: 1, 2: 1, 3: 1, 4: 2, 22: 11, 32: 16, 128: 16} {
		if threads, _ := mergePool(processors); threads != want {
			t.Errorf("on %d processors %d threads merge, want %d", processors, threads, want)
		}
	}
	for processors := range 200 {
		if threads, each := mergePool(processors); threads*each < mergesUnderWay {
			t.Errorf("on %d processors %d merges are under way, want at least %d", processors, threads*each, mergesUnderWay)
		}
	}
}
