package main

import (
	order "encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// wallClockVariable names, in a process's environment, the file with what its wall clock is off by.
const wallClockVariable = "LASTSEEN_TEST_WALL_CLOCK"

// jumpSource is a file more of the standard library's package time: by how many seconds the wall clock is off is in a file that the
// process has mapped, so that the clock jumps when a test writes it. The monotonic clock is left alone, as it is when somebody sets the
// time of a machine.
const jumpSource = `package time

import (
	"syscall"
	"unsafe"
)

var wallClockFile []byte

func init() {
	path, set := syscall.Getenv("` + wallClockVariable + `")
	if !set {
		return
	}
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err == nil {
		wallClockFile, err = syscall.Mmap(fd, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	}
	if err != nil {
		panic("the file of the wall clock: " + err.Error())
	}
}

func wallClockJump() int64 {
	if wallClockFile == nil {
		return 0
	}
	return *(*int64)(unsafe.Pointer(&wallClockFile[0]))
}
`

// buildWithJumpingClock builds a lastseen whose wall clock jumps, which is done by the processes themselves: the machine's own clock
// belongs to others too.
func buildWithJumpingClock(t *testing.T) (path string) {
	t.Helper()
	dir := t.TempDir()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	library := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	source, err := os.ReadFile(filepath.Join(library, "time.go"))
	if err != nil {
		t.Fatal(err)
	}
	const reads = "sec, nsec, mono := runtimeNow()\n"
	if strings.Count(string(source), reads) != 1 {
		t.Fatalf("time.Now of this toolchain does not read the clock by %q once", reads)
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for name, text := range map[string]string{
		"time.go":      strings.Replace(string(source), reads, reads+"\tsec += wallClockJump()\n", 1),
		"wall_jump.go": jumpSource,
	} {
		replacement := filepath.Join(dir, name)
		if err := os.WriteFile(replacement, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay.Replace[filepath.Join(library, name)] = replacement
	}
	text, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, text, 0o600); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "lastseen")
	if output, err := exec.Command("go", "build", "-overlay", list, "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return path
}

// wallClock is a process's, as far as a test moves it.
type wallClock struct{ path string }

// newWallClock makes one that is right, in a directory.
func newWallClock(t *testing.T, dir string) *wallClock {
	t.Helper()
	c := &wallClock{filepath.Join(dir, "wall-clock")}
	if err := c.set(0); err != nil {
		t.Fatal(err)
	}
	return c
}

// env is what the process is given.
func (c *wallClock) env() string { return fmt.Sprint(wallClockVariable, "=", c.path) }

// set says by how much the clock is off from now on. The file's eight bytes are written at once, in place, since processes have it mapped.
func (c *wallClock) set(off time.Duration) error {
	file, err := os.OpenFile(c.path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.WriteAt(order.NativeEndian.AppendUint64(nil, uint64(int64(off/time.Second))), 0)
	return err
}
