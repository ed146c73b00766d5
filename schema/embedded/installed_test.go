package embedded

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTheEngineIsFoundBesideTheProgramThatItWasInstalledWith(t *testing.T) {
	t.Parallel()
	prefix := t.TempDir()
	program := filepath.Join(prefix, "bin", "lastseen")
	if path := installedWith(program); path != "" {
		t.Errorf("without an engine it finds %s", path)
	}
	library := filepath.Join(prefix, "lib", "lastseen", "libchdb.so")
	for _, name := range []string{program, library} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(t.TempDir(), "lastseen")
	if err := os.Symlink(program, link); err != nil {
		t.Fatal(err)
	}
	for _, started := range []string{program, link} {
		if path := installedWith(started); path != library {
			t.Errorf("for %s it finds %q, want %s", started, path, library)
		}
	}
}
