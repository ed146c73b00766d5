package judge

import "testing"

func TestALateFixBesideAGoodOneIsAsGood(t *testing.T) {
	t.Parallel()
	good := Fix{At: 1_000_000, Latitude: 480_000_000, Longitude: 110_000_000}
	for name, c := range map[string]struct {
		fix  Fix
		want bool
	}{
		"a moment before, at the place":    {Fix{At: 999_000, Latitude: 480_000_000, Longitude: 110_000_000}, true},
		"ten seconds before, 700 m north":  {Fix{At: 990_000, Latitude: 480_063_000, Longitude: 110_000_000}, true},
		"ten seconds before, 800 m north":  {Fix{At: 990_000, Latitude: 480_072_000, Longitude: 110_000_000}, false},
		"eleven seconds before, the place": {Fix{At: 989_000, Latitude: 480_000_000, Longitude: 110_000_000}, false},
		"a moment before, at 0/0":          {Fix{At: 999_000}, false},
	} {
		if got := c.fix.Beside(&good); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
}
