package record

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
)

// Machine is what a measurement was taken on.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory string `json:"memory"`
	Kernel string `json:"kernel"`
	OS     string `json:"os"`
}

// String says it in a line.
func (m Machine) String() string {
	return fmt.Sprintf("%s, %d cores, %s of memory, Linux %s, %s", m.CPU, m.Cores, m.Memory, m.Kernel, m.OS)
}

// ThisMachine describes the machine; what it cannot find out it calls unknown.
func ThisMachine() Machine {
	return Machine{
		CPU:    field("/proc/cpuinfo", "model name", ":"),
		Cores:  runtime.NumCPU(),
		Memory: memory(field("/proc/meminfo", "MemTotal", ":")),
		Kernel: firstLine("/proc/sys/kernel/osrelease"),
		OS:     strings.Trim(field("/etc/os-release", "PRETTY_NAME", "="), `"`),
	}
}

func memory(kilobytes string) string {
	var n int64
	if _, err := fmt.Sscanf(kilobytes, "%d kB", &n); err != nil {
		return "unknown"
	}
	return fmt.Sprintf("%.0f GiB", float64(n)/(1<<20))
}

// field returns the value of the first line of a file that begins with a name.
func field(path, name, separator string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		key, value, found := strings.Cut(line, separator)
		if found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func firstLine(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}

// libraries are those whose versions matter to a measurement.
var libraries = []string{
	"github.com/valyala/fasthttp", "github.com/ClickHouse/clickhouse-go/v2", "github.com/ClickHouse/ch-go",
	"github.com/dgraph-io/ristretto/v2", "github.com/jackc/pgx/v5",
}

// Versions lists what the binary is made of, a line each.
func Versions() []string {
	all := []string{runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return all
	}
	for _, module := range info.Deps {
		if slices.Contains(libraries, module.Path) {
			all = append(all, strings.TrimPrefix(module.Path, "github.com/")+" "+module.Version)
		}
	}
	return all
}

// Commit returns the commit that the binary was built from, or what the caller was told where the
// binary does not say, as when it was built with -buildvcs=false.
func Commit(told string) string {
	if told == "" {
		told = "unknown"
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return told
	}
	revision, modified := told, ""
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision":
			revision = setting.Value[:min(12, len(setting.Value))]
		case setting.Key == "vcs.modified" && setting.Value == "true":
			modified = " with changes"
		}
	}
	return revision + modified
}

// ProgramVersion returns the first line that a program prints about its version.
func ProgramVersion(path string, args ...string) string {
	out, err := exec.Command(path, args...).Output()
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}
