package embedded

import (
	"path/filepath"
	"runtime"
	"strconv"
)

const (
	mebibyte = 1 << 20
	// mergesUnderWay is what ClickHouse's defaults come to: 16 threads with 2 merges each. With fewer than 25
	// it does not start.
	mergesUnderWay = 32
)

// mergePool returns how many threads merge, half of the processors, but at least one and no more than the 16
// of a server, and how many merges each of them has under way.
func mergePool(processors int) (threads, mergesEach int) {
	threads = min(max(processors/2, 1), mergesUnderWay/2)
	return threads, (mergesUnderWay + threads - 1) / threads
}

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
	args = append(args, logArguments(dir)...)
	// Only statements of this process reach the engine, so BACKUP and RESTORE may use any folder that the process may.
	args = append(args, "--backups.allowed_path=/")
	for _, setting := range engineSettings(options.MaxMemory) {
		args = append(args, "--"+setting.name+"="+setting.value)
	}
	return append(args, sessionArguments...)
}

// sessionArguments take back what libchdb changes from what a server has, so
// that a mistyped statement is an error on either engine.
var sessionArguments = []string{"--implicit_select=0", "--allow_introspection_functions=0"}

// engineSetting is one of the settings that ClickHouse calls a server's.
type engineSetting struct{ name, value string }

// engineSettings are what the engine may use, of which maxMemory is in bytes, 0
// for half of the machine's.
func engineSettings(maxMemory int64) []engineSetting {
	settings := []engineSetting{{"max_server_memory_usage_to_ram_ratio", "0.5"}}
	if maxMemory > 0 {
		settings = []engineSetting{{"max_server_memory_usage", strconv.FormatInt(maxMemory, 10)}}
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
		settings = append(settings, engineSetting{cache.name, strconv.Itoa(cache.mib * mebibyte)})
	}
	// As many merges may be under way as on a server, but they share half of the processors: more of them
	// at once made the inserts beside them up to four times slower.
	threads, mergesEach := mergePool(runtime.NumCPU())
	return append(settings,
		engineSetting{"background_pool_size", strconv.Itoa(threads)},
		engineSetting{"background_merges_mutations_concurrency_ratio", strconv.Itoa(mergesEach)},
		// What merges have replaced is removed every half a minute, by 128 threads unless told otherwise. All of them want the
		// folder of the table, in which an insert makes its part: for seconds each insert waited for the 128 of them,
		// 100 to 180 ms, where one usually takes 6. As many threads as merge remove what merges replace.
		engineSetting{"max_parts_cleaning_thread_pool_size", strconv.Itoa(threads)})
}
