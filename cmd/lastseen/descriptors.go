package main

import "log/slog"

// reservedDescriptors is how many file descriptors connections leave to the engine, whose inserts fail without any, and to
// all else, where the limit is large enough; of a smaller one they leave half.
const reservedDescriptors = 1024

// boundConnections returns how many connections may be open: as many as wanted, or fewer where the process may not have as
// many descriptors.
func boundConnections(wanted, descriptors int, log *slog.Logger) int {
	if descriptors == 0 {
		return wanted
	}
	most := max(descriptors-reservedDescriptors, descriptors/2, 1)
	if wanted <= most {
		return wanted
	}
	log.Warn("fewer connections than --max-connections says: the process may open too few files (ulimit -n)", "connections", most, "open_files", descriptors)
	return most
}
