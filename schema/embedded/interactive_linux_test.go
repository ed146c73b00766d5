package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"lastseen/schema/embedded"
)

func init() { helpers["serve"] = helpServe }

// serve runs the engine as a server on a free port.
func serve(ctx context.Context, dir string, ready func()) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if err := listener.Close(); err != nil {
		return err
	}
	return embedded.Serve(ctx, dir, embedded.ServerOptions{Host: "127.0.0.1", HTTPPort: port}, ready)
}

// helpServe runs the engine as a server, collects garbage, and ends it.
func helpServe(dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var prints string
	err := serve(ctx, dir, func() {
		for range 3 {
			collected := make(chan struct{})
			runtime.SetFinalizer(new([64]byte), func(*[64]byte) { close(collected) })
			runtime.GC()
			<-collected
		}
		prints, _ = os.Readlink("/proc/self/fd/1") // empty, and so wrong, when it fails
		cancel()
	})
	if prints != os.DevNull {
		err = errors.Join(err, fmt.Errorf("the engine prints to %q, want %s", prints, os.DevNull))
	}
	return err
}

// TestAServersOutputOutlivesTheGarbage: the engine goes on printing nowhere, and not into what is opened next.
func TestAServersOutputOutlivesTheGarbage(t *testing.T) {
	t.Parallel()
	wantHelper(t, helper(t, "serve", t.TempDir()))
}
