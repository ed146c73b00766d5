//go:build later_version

package replica

// appendLater adds a field that only a later version knows, for the tests of upgrades.
func appendLater(frame []byte) []byte { return append(frame, "of a later version"...) }
