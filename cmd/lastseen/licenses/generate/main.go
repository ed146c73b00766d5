// Command generate makes the notices that `lastseen licenses` prints, in the folder above it: modules.txt from the Go modules
// that are linked in, and, with -engine, engine.txt.zst from what libchdb says of itself. With -sbom it writes a release's
// list of components to standard output instead.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

// folder is where the files are, from the module's root.
const folder = "cmd/lastseen/licenses"

func main() {
	withEngine := flag.Bool("engine", false, "make the engine's notices too; it must have been fetched")
	modules := flag.String("sbom", "", "CycloneDX `file` of the Go modules, to be completed as that of a release")
	version := flag.String("version", "", "version of the release")
	flag.Parse()
	if err := run(*withEngine, *modules, *version); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(withEngine bool, modules, version string) error {
	if modules == "" {
		return generate(withEngine)
	}
	list, err := sbom(modules, version)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(append(list, '\n'))
	return err
}

func generate(withEngine bool) error {
	modules, err := moduleNotices()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "modules.txt"), modules, 0o644); err != nil {
		return err
	}
	if !withEngine {
		return nil
	}
	engine, err := engineNotices()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "engine.txt.zst"), engine, 0o644)
}
