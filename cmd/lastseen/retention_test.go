package main

import (
	"testing"
	"time"
)

func TestRetentionIsWholeDays(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"0d": 0, "0": 0, "1d": 24 * time.Hour, "400d": 400 * 24 * time.Hour, "18250d": 18250 * 24 * time.Hour} {
		var r retention
		if err := r.UnmarshalText([]byte(text)); err != nil || time.Duration(r) != want {
			t.Errorf("%s: %v, %v, want %v", text, time.Duration(r), err, want)
		}
	}
	for _, text := range []string{"", "d", "1", "-1d", "1.5d", "24h", "18251d", "99999999999d", "1dd", "+1d"} {
		var r retention
		if r.UnmarshalText([]byte(text)) == nil {
			t.Errorf("%q is taken for %v", text, time.Duration(r))
		}
	}
}
