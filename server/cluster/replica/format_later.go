//go:build later_version

package replica

import "slices"

// The formats of a later lastseen, for the tests of upgrades: it speaks with this one.
const (
	OldestFormat = 1
	Format       = 2
)

// inFormat adds a field that only the later version knows, and in its format turns the fields round, so that this version could not
// read them.
func inFormat(format byte, frame []byte) []byte {
	frame = append(frame, "of a later version"...)
	if format == Format {
		slices.Reverse(frame[2:])
	}
	return frame
}

func fromFormat(format byte, fields []byte) []byte {
	if format == Format {
		fields = slices.Clone(fields)
		slices.Reverse(fields)
	}
	return fields
}
