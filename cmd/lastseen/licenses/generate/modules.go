package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// linked is a package that is linked into the program.
type linked struct {
	Dir      string
	Standard bool
	Module   *struct {
		Path, Version, Dir string
		Main               bool
		Replace            *struct{ Path, Version, Dir string }
	}
}

// notice is one licence file, and whose it is.
type notice struct {
	owners []string // such as "example.org/module v1.2.3 (LICENSE)"
	text   string
}

// noticeFile matches the names of files that a licence asks to be passed on.
var noticeFile = regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying|copyright|notice|patents)([.-].*)?$`)

// moduleNotices returns the notices of Go and of all modules that are linked into the program on any of its platforms. A text
// that several share is there once.
func moduleNotices() ([]byte, error) {
	owned := map[string][]string{} // by text
	for _, arch := range []string{"amd64", "arm64"} {
		packages, err := linkedPackages(arch)
		if err != nil {
			return nil, err
		}
		for _, p := range packages {
			if err := p.collect(owned); err != nil {
				return nil, err
			}
		}
	}
	if err := collectGo(owned); err != nil {
		return nil, err
	}
	return write(owned), nil
}

// linkedPackages returns the packages of the program on Linux.
func linkedPackages(arch string) (all []linked, err error) {
	list := exec.Command("go", "list", "-deps", "-json=Dir,Standard,Module", "./cmd/lastseen")
	list.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0")
	list.Stderr = os.Stderr
	output, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("list the packages that are linked in: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(output))
	for {
		var p linked
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("read the list of packages: %w", err)
		}
		if !p.Standard && !p.ours() {
			all = append(all, p)
		}
	}
}

// ours reports whether a package is of this repository: of its module, or of one that lies in a folder of it.
func (p *linked) ours() bool {
	return p.Module.Main || p.Module.Replace != nil && p.Module.Replace.Version == ""
}

// collect adds the notices that hold for a package: those of its folder and of all above it within its module.
func (p *linked) collect(owned map[string][]string) error {
	name, root := p.Module.Path+" "+p.Module.Version, p.Module.Dir
	if p.Module.Replace != nil {
		name, root = name+", replaced by "+p.Module.Replace.Path+" "+p.Module.Replace.Version, p.Module.Replace.Dir
	}
	found := false
	for dir := p.Dir; ; dir = filepath.Dir(dir) {
		names, err := collectFolder(owned, name, root, dir)
		if err != nil {
			return err
		}
		found = found || names > 0
		if dir == root {
			break
		}
	}
	if !found {
		return fmt.Errorf("%s has no licence file: look for its licence, and whether it may be used", name)
	}
	return nil
}

// collectFolder adds the notices of one folder and returns how many there are.
func collectFolder(owned map[string][]string, name, root, dir string) (files int, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, fmt.Errorf("look for the licence of %s: %w", name, err)
	}
	for _, entry := range entries {
		if entry.IsDir() || !noticeFile.MatchString(entry.Name()) || strings.HasSuffix(entry.Name(), ".go") {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		text, err := os.ReadFile(path)
		if err != nil {
			return 0, fmt.Errorf("read the licence of %s: %w", name, err)
		}
		within, err := filepath.Rel(root, path)
		if err != nil {
			return 0, err
		}
		add(owned, fmt.Sprintf("%s (%s)", name, filepath.ToSlash(within)), string(text))
		files++
	}
	return files, nil
}

// collectGo adds the licence of Go's standard library and run time.
func collectGo(owned map[string][]string) error {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("find Go: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "LICENSE"))
	if err != nil {
		return fmt.Errorf("read Go's licence: %w", err)
	}
	add(owned, "the Go standard library and run time (LICENSE)", string(text))
	return nil
}

// add remembers that a text is an owner's. Line ends and the space around it do not tell texts apart.
func add(owned map[string][]string, owner, text string) {
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	if !slices.Contains(owned[text], owner) {
		owned[text] = append(owned[text], owner)
	}
}

// write writes all notices, ordered by their first owner.
func write(owned map[string][]string) []byte {
	var all []notice
	for text, owners := range owned {
		slices.Sort(owners)
		all = append(all, notice{owners, text})
	}
	slices.SortFunc(all, func(a, b notice) int { // one owner may have several texts
		return cmp.Or(strings.Compare(a.owners[0], b.owners[0]), strings.Compare(a.text, b.text))
	})
	var out bytes.Buffer
	for _, n := range all {
		for _, owner := range n.owners {
			fmt.Fprintln(&out, "----", owner)
		}
		fmt.Fprintf(&out, "\n%s\n\n", n.text)
	}
	return out.Bytes()
}
