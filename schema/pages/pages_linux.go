package pages

import (
	"os"
	"syscall"
	"unsafe"
)

// populateWrite is MADV_POPULATE_WRITE of Linux 5.14.
const populateWrite = 23

var pageSize = uintptr(os.Getpagesize())

// populate has the kernel make the pages that lie in so many bytes of memory as a whole. It reports false where the kernel cannot do so, and
// where there are too few of them for that to be worth a call.
func populate(memory unsafe.Pointer, size uintptr) bool {
	const few = 4
	skip := -uintptr(memory) % pageSize
	if size < skip+few*pageSize {
		return false
	}
	_, _, err := syscall.Syscall(syscall.SYS_MADVISE, uintptr(unsafe.Add(memory, skip)), (size-skip)/pageSize*pageSize, populateWrite)
	return err == 0
}
