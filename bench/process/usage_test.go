package process

import (
	"testing"
	"time"
)

func TestProcessorTimeIsReadWhateverAProcessIsCalled(t *testing.T) {
	t.Parallel()
	stat, ok := parseStat("42 (a) name (x)) S 7 42 42 0 -1 4194560 100 0 0 0 150 50 20 5 20 0 9 0 12345 1 2")
	if !ok || stat.parent != 7 || stat.cpu != 2250*time.Millisecond {
		t.Errorf("read %+v, %v", stat, ok)
	}
	for _, text := range []string{"", "42 (a) S 7", "42 (a) S x 42 42 0 -1 4194560 100 0 0 0 150 50 20 5 20 0 9"} {
		if _, ok := parseStat(text); ok {
			t.Errorf("%q was read", text)
		}
	}
	if len(allStats()) == 0 {
		t.Error("no process was found, not even this one")
	}
}
