package bench

import "testing"

func TestWhatCannotBeMeasuredIsRefused(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*Config){
		"an unknown scenario": func(c *Config) { c.Scenarios = []string{"nope"} },
		"an unknown baseline": func(c *Config) { c.Baselines = []string{"nope"} },
		"one organisation":    func(c *Config) { c.Organisations = 1 },
		"another ClickHouse":  func(c *Config) { c.ClickHouse = []string{"redis"} },
		"two servers":         func(c *Config) { c.ClickHouse = []string{OnServer, "http://127.0.0.1:8123"} },
		"no ClickHouse":       func(c *Config) { c.ClickHouse = nil },
		"no rounds":           func(c *Config) { c.Rounds = 0 },
		"no time":             func(c *Config) { c.Duration = 0 },
	} {
		config := Defaults()
		if err := config.check(); err != nil {
			t.Fatal(err)
		}
		spoil(&config)
		if config.check() == nil {
			t.Errorf("%s passed", name)
		}
	}
}
