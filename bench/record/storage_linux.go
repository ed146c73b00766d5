package record

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Storage says what file system holds a directory. Of ext4 it says whether there is a journal, since one
// without makes files slowly after many were deleted (docs/load-suite.md).
func Storage(dir string) string {
	var stat unix.Stat_t
	if err := unix.Stat(dir, &stat); err != nil {
		return "unknown"
	}
	device := fmt.Sprintf("%d:%d", unix.Major(stat.Dev), unix.Minor(stat.Dev))
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(mounts)) {
		mount, system, found := strings.Cut(line, " - ")
		fields, kind := strings.Fields(mount), strings.Fields(system)
		if !found || len(fields) < 3 || fields[2] != device || len(kind) == 0 {
			continue
		}
		if kind[0] != "ext4" {
			return kind[0]
		}
		if name, err := os.Readlink("/sys/dev/block/" + device); err == nil {
			if journals, _ := filepath.Glob("/proc/fs/jbd2/" + filepath.Base(name) + "-*"); len(journals) == 0 {
				return "ext4 without a journal"
			}
		}
		return "ext4"
	}
	return "unknown"
}
