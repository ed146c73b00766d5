//go:build later_version

package peer

// The versions of a later lastseen, for the tests of upgrades: it speaks with this one.
const (
	oldestVersion = 1
	newestVersion = 2
)
