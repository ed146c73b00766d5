package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"lastseen/schema/embedded"
)

// The lock files of what comes from npm: the engine beside the program, and what the console's pages are made of.
var locks = []string{"schema/embedded/engine/package-lock.json", "server/console/vendor/package-lock.json"}

// sbom returns the list of components in the file name, which cyclonedx-gomod has made of the Go modules, as that of a release:
// with its version, the engine and the console's parts.
func sbom(name, version string) ([]byte, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read the list of Go modules: %w", err)
	}
	var list map[string]any
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("read the list of Go modules: %w", err)
	}
	metadata, _ := list["metadata"].(map[string]any)
	program, _ := metadata["component"].(map[string]any)
	components, _ := list["components"].([]any)
	if program == nil || len(components) == 0 {
		return nil, fmt.Errorf("%s names no program or no components", name)
	}
	program["version"] = version
	delete(program, "purl") // it is in no registry
	for _, lock := range locks {
		parts, err := npmComponents(lock)
		if err != nil {
			return nil, err
		}
		components = append(components, parts...)
	}
	list["components"] = append(components, map[string]any{
		"type": "data", "name": "Natural Earth", "description": "land of the console's map, in world-atlas",
		"licenses": []any{map[string]any{"license": map[string]any{"name": "public domain"}}},
	})
	return json.MarshalIndent(list, "", "  ")
}

// npmComponents returns the packages that a lock file pins, but for those that only build.
func npmComponents(lock string) (components []any, err error) {
	text, err := os.ReadFile(lock)
	if err != nil {
		return nil, err
	}
	var content struct {
		Packages map[string]struct {
			Version, License string
			Dev, DevOptional bool
		}
	}
	if err := json.Unmarshal(text, &content); err != nil {
		return nil, fmt.Errorf("read %s: %w", lock, err)
	}
	for _, path := range slices.Sorted(maps.Keys(content.Packages)) {
		p := content.Packages[path]
		at := strings.LastIndex(path, "node_modules/")
		if at < 0 || p.Dev || p.DevOptional {
			continue
		}
		name := path[at+len("node_modules/"):]
		component := map[string]any{
			"type": "library", "name": name, "version": p.Version,
			"purl": "pkg:npm/" + strings.ReplaceAll(name, "@", "%40") + "@" + p.Version,
		}
		component["bom-ref"] = component["purl"]
		if p.License != "" {
			component["licenses"] = []any{map[string]any{"license": map[string]any{"id": p.License}}}
		}
		if strings.HasPrefix(name, "@chdb/") {
			component["description"] = "the ClickHouse engine " + embedded.EngineVersion + "; lastseen licenses lists what it is made of"
		}
		components = append(components, component)
	}
	return components, nil
}
