package embedded

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/ebitengine/purego"
)

// EngineVersion is the version of the npm package that `make engine` fetches.
// It is part of the cache path, and engine/package-lock.json pins the same.
const EngineVersion = "26.7.3-stable.1"

// ErrNoEngine means that no libchdb could be found or loaded. The error that
// wraps it says how to get one.
var ErrNoEngine = errors.New("the ClickHouse engine is not installed")

// library is the part of libchdb's C interface that this package calls. The
// fields are set once by loadLibrary and only called afterwards. Handles
// (connections, results, insert streams) are addresses in the engine's memory.
type library struct {
	setSignalHandlers func(enabled int32)
	connect           func(argc int32, argv **byte) *uintptr
	closeConn         func(conn *uintptr)
	commandLine       func(argc int32, argv **byte) uintptr // runs clickhouse-local to its end

	classify func(conn uintptr, sql *byte, sqlLen uintptr, database *byte, databaseLen uintptr, out *analysis) int32

	query        startFunc // runs to the end; the result is whole
	streamQuery  startFunc // starts; the result comes by streamFetch
	streamFetch  func(conn, stream uintptr) uintptr
	streamCancel func(conn, stream uintptr)

	insertStart   startFunc
	insertAppend  func(insert uintptr, data *byte, n uintptr) int32
	insertDone    func(insert uintptr) uintptr
	insertCancel  func(insert uintptr)
	insertError   func(insert uintptr) string
	insertDestroy func(insert uintptr)

	resultBuffer  func(result uintptr) *byte
	resultLength  func(result uintptr) uintptr
	resultError   func(result uintptr) string
	resultDestroy func(result uintptr)
}

// startFunc is the signature of the functions that take a statement, a format
// and bound parameters.
type startFunc func(conn uintptr, sql *byte, sqlLen uintptr, format *byte, formatLen uintptr,
	names **byte, nameLens *uintptr, values **byte, valueLens *uintptr, count uintptr) uintptr

// analysis is libchdb's struct chdb_query_analysis_v1.
type analysis struct {
	structSize uint32
	statements uint32
	_          uint32 // flags
	class      uint32
}

// classControl is the class of statements that change the session (SET, USE,
// temporary tables) or the server (SYSTEM, KILL).
const classControl = 3

// loadLibrary loads libchdb once per process: a shared library of this size
// with threads of its own cannot be unloaded safely.
var loadLibrary = sync.OnceValues(func() (*library, error) {
	path, err := findLibrary()
	if err != nil {
		return nil, err
	}
	if err := checkWhole(path); err != nil {
		return nil, err
	}
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("%w: loading %s failed: %w", ErrNoEngine, path, err)
	}
	lib := new(library)
	for name, function := range map[string]any{
		"chdb_set_signal_handlers_enabled": &lib.setSignalHandlers,
		"chdb_connect":                     &lib.connect,
		"chdb_close_conn":                  &lib.closeConn,
		"chdb_query_cmdline":               &lib.commandLine,
		"chdb_classify_query_n":            &lib.classify,
		"chdb_query_with_params_n":         &lib.query,
		"chdb_stream_query_with_params_n":  &lib.streamQuery,
		"chdb_stream_fetch_result":         &lib.streamFetch,
		"chdb_stream_cancel_query":         &lib.streamCancel,
		"chdb_stream_insert_with_params_n": &lib.insertStart,
		"chdb_stream_append":               &lib.insertAppend,
		"chdb_stream_done":                 &lib.insertDone,
		"chdb_stream_cancel_insert":        &lib.insertCancel,
		"chdb_stream_insert_error":         &lib.insertError,
		"chdb_destroy_insert_stream":       &lib.insertDestroy,
		"chdb_result_buffer":               &lib.resultBuffer,
		"chdb_result_length":               &lib.resultLength,
		"chdb_result_error":                &lib.resultError,
		"chdb_destroy_query_result":        &lib.resultDestroy,
	} {
		address, err := purego.Dlsym(handle, name)
		if err != nil {
			return nil, fmt.Errorf("%w: %s has no %s: it must be libchdb %s or newer", ErrNoEngine, path, name, EngineVersion)
		}
		purego.RegisterFunc(function, address)
	}
	return lib, nil
})

// findLibrary returns the path of libchdb: the one that CHDB_LIB_PATH names (the file, or a directory with libchdb.so in
// it), else the one that was installed with the program, else the one that `make engine` put into the user's cache.
func findLibrary() (string, error) {
	if path := os.Getenv("CHDB_LIB_PATH"); path != "" {
		info, err := os.Stat(path)
		if err == nil && info.IsDir() {
			path = filepath.Join(path, "libchdb.so")
			_, err = os.Stat(path)
		}
		if err != nil {
			return "", fmt.Errorf("%w: CHDB_LIB_PATH must name a libchdb: %w", ErrNoEngine, err)
		}
		return path, nil
	}
	if program, err := os.Executable(); err == nil {
		if path := installedWith(program); path != "" {
			return path, nil
		}
	}
	const advice = "set CHDB_LIB_PATH to a libchdb " + EngineVersion + " that you installed, or use a ClickHouse server"
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return "", fmt.Errorf("%w: on %s/%s, %s", ErrNoEngine, runtime.GOOS, runtime.GOARCH, advice)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("%w: the cache directory is not known (%w): %s", ErrNoEngine, err, advice)
	}
	path := filepath.Join(cache, "lastseen", "engine", EngineVersion,
		"node_modules", "@chdb", "lib-linux-x64-gnu", "libchdb.so")
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w: run `make engine`, or %s", ErrNoEngine, advice)
	}
	return path, nil
}

// checkWhole refuses a library that was cut short, as by a full disk or a copy that broke off: what the loader maps of it beyond the
// file's end would end the process with a signal. The headers of the sections lie at the end.
func checkWhole(path string) error {
	if runtime.GOOS != "linux" {
		return nil
	}
	const mend = "install it again, with room on the disk"
	library, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("%w: %s is cut short, or is no library: %s (%w)", ErrNoEngine, path, mend, err)
	}
	defer library.Close()
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoEngine, err)
	}
	for _, part := range library.Progs {
		if part.Off+part.Filesz > uint64(info.Size()) {
			return fmt.Errorf("%w: %s is cut short: %s", ErrNoEngine, path, mend)
		}
	}
	return nil
}

// installedWith returns the libchdb of the package or the tarball that a program came with, PREFIX/lib/lastseen/libchdb.so
// for PREFIX/bin/lastseen, and nothing where there is none. It needs no home directory and no environment.
func installedWith(program string) string {
	if resolved, err := filepath.EvalSymlinks(program); err == nil {
		program = resolved
	}
	path := filepath.Join(filepath.Dir(filepath.Dir(program)), "lib", "lastseen", "libchdb.so")
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}
