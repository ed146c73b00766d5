package embedded_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"lastseen/schema/embedded"
)

func TestTheLockFilePinsTheVersionThatTheProgramLooksFor(t *testing.T) {
	t.Parallel()
	const name = "@chdb/lib-linux-x64-gnu"
	text, err := os.ReadFile("engine/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	var lock struct {
		Packages map[string]struct{ Version, Integrity, Resolved string }
	}
	if err := json.Unmarshal(text, &lock); err != nil {
		t.Fatal(err)
	}
	pinned := lock.Packages["node_modules/"+name]
	if pinned.Version != embedded.EngineVersion || !strings.HasPrefix(pinned.Integrity, "sha512-") {
		t.Errorf("the lock file pins version %q with the hash %q; the program looks for %q", pinned.Version, pinned.Integrity, embedded.EngineVersion)
	}
	if pinned.Resolved != "" {
		t.Errorf("the lock file names the address %s: whoever uses another registry cannot use it", pinned.Resolved)
	}
	text, err = os.ReadFile("engine/package.json")
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct{ Dependencies map[string]string }
	if err := json.Unmarshal(text, &manifest); err != nil {
		t.Fatal(err)
	}
	if got := manifest.Dependencies[name]; got != embedded.EngineVersion {
		t.Errorf("package.json asks for version %q; the program looks for %q", got, embedded.EngineVersion)
	}
}
