package embedded

import (
	"fmt"
	"path/filepath"
	"strconv"
)

const mebibyte = 1 << 20

// engineArguments are the arguments of chdb_connect. The first connection
// starts the engine with them; the settings among them apply to every one.
func engineArguments(dir string, options Options) []string {
	args := []string{
		"lastseen",
		"--path=" + dir,
		// Without this the engine reads ./config.xml and others that happen to
		// lie about. Nothing can exist below a file, so it reads none.
		"--config-file=" + filepath.Join(dir, lockName, "none.xml"),
	}
	if options.MaxMemory > 0 {
		args = append(args, "--max_server_memory_usage="+strconv.FormatInt(options.MaxMemory, 10))
	} else {
		args = append(args, "--max_server_memory_usage_to_ram_ratio=0.5")
	}
	// A server's caches fill up to gigabytes; these are for one process among
	// others, whose tables are narrow.
	for _, cache := range []struct {
		name string
		mib  int
	}{
		{"mark_cache_size", 128},
		{"primary_index_cache_size", 128},
		{"index_mark_cache_size", 16},
		{"query_condition_cache_size", 16},
		{"compiled_expression_cache_size", 16},
	} {
		args = append(args, fmt.Sprintf("--%s=%d", cache.name, cache.mib*mebibyte))
	}
	// libchdb changes these from what a server has: take them back, so that a
	// mistyped statement is an error on either engine.
	return append(args, "--implicit_select=0", "--allow_introspection_functions=0")
}
