package embedded

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"github.com/ebitengine/purego"
	"golang.org/x/sys/unix"
)

// exitWatch tells who asked for it when the engine ends the whole process by the C library's exit, as it has done now and then without a
// word and with code 0. Go's own os.Exit does not come this way, nor does what ends the process at once (_exit, a signal).
type exitWatch struct{ asked atomic.Bool }

// watchExit begins to watch. A process can be watched once.
func watchExit() (*exitWatch, error) {
	address, err := purego.Dlsym(purego.RTLD_DEFAULT, "on_exit")
	if err != nil {
		return nil, fmt.Errorf("watching for the engine's exit: %w", err)
	}
	var onExit func(call uintptr, argument uintptr) int32
	purego.RegisterFunc(&onExit, address)
	w := new(exitWatch)
	if onExit(purego.NewCallback(w.exiting), 0) != 0 {
		return nil, errors.New("watching for the engine's exit: there is no room for it")
	}
	return w, nil
}

// ask says that the engine may end the process from here on.
func (w *exitWatch) ask() { w.asked.Store(true) }

// exiting is called by the C library, before anything else that is to be done at the end.
func (w *exitWatch) exiting(code int32, _ uintptr) uintptr {
	if w.asked.Load() {
		return 0
	}
	fmt.Fprintf(os.Stderr, "lastseen: the ClickHouse engine has ended the process by itself, with code %d: start it again; its log may say why\n", code)
	unix.Exit(max(1, int(code))) // at once: a program with the race detector would come here again by os.Exit
	return 0
}
