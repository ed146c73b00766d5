//go:build !later_version && !foreign_version

package replica

// The formats of messages that this version of lastseen writes and reads. Two nodes speak the newest that both know, and refuse each
// other where there is none (package peer). What an earlier version could not understand gets a new format; OldestFormat is raised
// when upgrades from versions that know only what was before need not be possible any more.
const (
	OldestFormat = 1
	Format       = 1
)

// inFormat returns the frame of a message in a format, as it is written; fromFormat what it was in this version's own.
func inFormat(_ byte, frame []byte) []byte { return frame }

func fromFormat(_ byte, fields []byte) []byte { return fields }
