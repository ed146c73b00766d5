//go:build foreign_version

package peer

// The versions of a lastseen that this one cannot speak with, for the tests of upgrades.
const (
	oldestVersion = 2
	newestVersion = 2
)
