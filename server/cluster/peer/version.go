//go:build !later_version && !foreign_version

package peer

// The versions of the messages that this node speaks. Two nodes speak the newest that both do.
const (
	oldestVersion = 1
	newestVersion = 1
)
