package replica

import (
	"testing"
	"time"
)

func TestExplore(t *testing.T) {
	first, seeds := seedsOf(100)
	for i := range 25 {
		r := rule(1 << i)
		for _, o := range []simulation{{nodes: 3, lasts: time.Minute, faults: 1}} {
			o.broken = broken(r)
			began := time.Now()
			broke, _ := simulate(o, first, seeds)
			if broke != nil {
				t.Logf("rule %d: caught by seed %d in %.1f s: %s", i, broke.options.seed, time.Since(began).Seconds(), broke.bad)
			} else {
				t.Logf("rule %d: NOT caught in %.1f s", i, time.Since(began).Seconds())
			}
		}
	}
	for name, o := range map[string]simulation{"noDoor": {noDoor: true}, "dirty": {dirty: true}, "drift": {drift: 0.3}} {
		o.nodes, o.lasts, o.faults = 3, time.Minute, 1
		broke, _ := simulate(o, first, seeds)
		if broke != nil {
			t.Logf("%s: caught by seed %d: %s", name, broke.options.seed, broke.bad)
		} else {
			t.Logf("%s: NOT caught", name)
		}
	}
}
