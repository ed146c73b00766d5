//go:build foreign_version

package replica

// The formats of a lastseen that this one cannot speak with, for the tests of upgrades.
const (
	OldestFormat = 2
	Format       = 2
)

func inFormat(_ byte, frame []byte) []byte { return frame }

func fromFormat(_ byte, fields []byte) []byte { return fields }
