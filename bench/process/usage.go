package process

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of processor time in /proc, which is the same on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// CPU returns the processor time that processes and all that they started have spent, the children that
// are gone included. A process that has ended counts as nothing.
func CPU(processes ...*Process) time.Duration {
	if len(processes) == 0 {
		return 0
	}
	stats := allStats()
	var total time.Duration
	for _, p := range processes {
		total += treeCPU(stats, p.cmd.Process.Pid)
	}
	return total
}

func treeCPU(stats map[int]processStat, pid int) time.Duration {
	total := stats[pid].cpu
	for child, stat := range stats {
		if stat.parent == pid {
			total += treeCPU(stats, child)
		}
	}
	return total
}

// processStat is what /proc/PID/stat says.
type processStat struct {
	parent int
	cpu    time.Duration
}

func allStats() map[int]processStat {
	stats := make(map[int]processStat)
	paths, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is good
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has just ended
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if stat, ok := parseStat(string(text)); ok && err == nil {
			stats[pid] = stat
		}
	}
	return stats
}

// parseStat reads a stat file. The name, which may hold anything, ends at the last parenthesis.
func parseStat(text string) (processStat, bool) {
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 15 {
		return processStat{}, false
	}
	parent, err := strconv.Atoi(fields[1])
	var ticks int64
	for _, field := range fields[11:15] { // own user and system time, then that of children waited for
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return processStat{}, false
		}
		ticks += n
	}
	return processStat{parent, time.Duration(ticks) * clockTick}, err == nil
}

// Resident returns the process's memory that is in use, in bytes, by the kernel's count.
func (p *Process) Resident() (int64, error) {
	pid := p.cmd.Process.Pid
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, fmt.Errorf("read the memory of process %d: it has ended", pid)
}

// Sockets returns how many sockets the process has open, 0 where that cannot be told.
func (p *Process) Sockets() (open int) {
	files := fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid)
	entries, err := os.ReadDir(files)
	if err != nil {
		return 0
	}
	for _, entry := range entries {
		// One that is closed meanwhile is none.
		if target, err := os.Readlink(filepath.Join(files, entry.Name())); err == nil && strings.HasPrefix(target, "socket:") {
			open++
		}
	}
	return open
}
