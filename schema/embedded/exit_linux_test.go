package embedded_test

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/ebitengine/purego"
)

func init() { helpers["exit"] = helpExit }

// helpExit runs the engine as a server, in which a thread of its own ends the process without having been asked.
func helpExit(dir string) error {
	var failure error
	err := serve(context.Background(), dir, func() {
		exit, err := purego.Dlsym(purego.RTLD_DEFAULT, "exit")
		create, createErr := purego.Dlsym(purego.RTLD_DEFAULT, "pthread_create")
		if failure = errors.Join(err, createErr); failure != nil {
			return
		}
		var startThread func(thread *uintptr, attributes, call, argument uintptr) int32
		purego.RegisterFunc(&startThread, create)
		var thread uintptr
		startThread(&thread, 0, exit, 0)
		select {}
	})
	return errors.Join(err, failure)
}

func TestAServerThatTheEngineEndsSaysSoAndFails(t *testing.T) {
	t.Parallel()
	out, err := helper(t, "exit", t.TempDir()).CombinedOutput()
	var ended *exec.ExitError
	if !errors.As(err, &ended) || ended.ExitCode() != 1 {
		t.Errorf("it ends with %v, want code 1", err)
	}
	if want := "has ended the process by itself, with code 0"; !strings.Contains(string(out), want) {
		t.Errorf("it says %q, want %q", out, want)
	}
}
