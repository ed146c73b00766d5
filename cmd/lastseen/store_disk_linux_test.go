package main

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"lastseen/schema/clickhousetest"
	"lastseen/schema/schematest"
)

// TestAServiceOutlivesAFullDiskOfItsStore fills the file system of a ClickHouse server to the last byte and makes room
// again. The file system is one of memory, which only root may mount.
func TestAServiceOutlivesAFullDiskOfItsStore(t *testing.T) {
	t.Parallel()
	schematest.OnlyOn(t, schematest.Embedded, "the test starts its own server")
	const size = 256 << 20
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=256m"); err != nil {
		t.Skipf("a file system of its own cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	server := clickhousetest.Start(t, clickhousetest.Options{Dir: filepath.Join(disk, "data")})
	f := &faultTrial{server: server, storeService: startOnStore(t, nil, t.TempDir(), "http://"+server.Address()+"/lastseen", "--admin-addr=", "--disk-reserve=0")}
	f.begin(t, "org_full_disk")
	ballast := filepath.Join(disk, "ballast")
	f.outlive(t, storeFault{
		says: "disk", retryAfter: "30", reads: true,
		begin: func(*faultTrial) error { return fill(ballast, size) },
		end:   func(*faultTrial) error { return os.Remove(ballast) },
	})
	if status, _ := f.sendPoints(t, 1000); status != http.StatusOK {
		t.Errorf("with room again points are answered %d", status)
	}
	f.checkHistory(t)
	if err := f.terminate(); err != nil {
		t.Error(err)
	}
}

// fill writes a file until its file system has no room for a byte more, or it has a size.
func fill(name string, size int) (err error) {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer file.Close()
	for piece := make([]byte, 1<<20); size > 0 && len(piece) > 0; {
		n, err := file.Write(piece)
		size -= n
		if err != nil {
			piece = piece[:len(piece)/2]
		}
	}
	return nil
}
