//go:build unix

package main

import "syscall"

// descriptorLimit returns how many file descriptors the process may have open, 0 where that is not known. Go raises the
// soft limit to the hard one at its start.
func descriptorLimit() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return int(min(limit.Cur, 1<<30))
}
