package embedded

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
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

// TestALibraryThatWasCutShortIsRefused: to load it would end the process.
func TestALibraryThatWasCutShortIsRefused(t *testing.T) {
	t.Parallel()
	whole, err := findLibrary()
	if err != nil {
		t.Skip(err)
	}
	if err := checkWhole(whole); err != nil {
		t.Errorf("the whole one: %v", err)
	}
	file, err := os.Open(whole)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, size := range []int64{0, 40, 4096, 1 << 20} {
		cut := filepath.Join(t.TempDir(), "libchdb.so")
		text, err := io.ReadAll(io.LimitReader(file, size))
		if err == nil {
			err = os.WriteFile(cut, text, 0o600)
		}
		if _, seek := file.Seek(0, io.SeekStart); errors.Join(err, seek) != nil {
			t.Fatal(err, seek)
		}
		if err := checkWhole(cut); !errors.Is(err, ErrNoEngine) || !strings.Contains(err.Error(), cut+" is cut short") {
			t.Errorf("%d bytes of it: %v", size, err)
		}
	}
}
