package embedded

import (
	"errors"
	"fmt"
	"os"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// Up to 26.7 clickhouse-local ends the whole process when a connection's handler fails, because a client
// has hung up or sent what is no packet, unless it was told that it is interactive and its standard input
// is a terminal (ClickHouse's issue 115666).

// interactiveArguments are those of a server that beInteractive is called for.
var interactiveArguments = []string{
	"--interactive", "--history_file=" + os.DevNull, "--progress=off", "--progress-table=off", "--enable-progress-table-toggle=0",
}

// replaced is what os.Stdout was before beInteractive. The runtime closes the descriptor of a file that nobody refers to, and this
// one's is the engine's by then: closed, it would be the next socket or file that is opened, into which the engine would print.
var replaced []os.File

// beInteractive gives the process a terminal as its standard input, until hangUp is called, which ends what
// the engine reads there. What the engine prints for the one who sits there goes nowhere: os.Stdout is what
// it was, by another descriptor than the engine's.
func beInteractive() (hangUp func(), err error) {
	master, terminal, err := pty.Open()
	if err != nil {
		return nil, fmt.Errorf("opening a terminal for the server: %w", err)
	}
	hangUp = func() {
		master.Close()
		terminal.Close()
	}
	nowhere, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		hangUp()
		return nil, fmt.Errorf("opening the server's output: %w", err)
	}
	defer nowhere.Close()
	const stdin, stdout = 0, 1
	kept, err := unix.FcntlInt(stdout, unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		replaced = append(replaced, *os.Stdout)
		*os.Stdout = *os.NewFile(uintptr(kept), "/dev/stdout")
		err = errors.Join(unix.Dup3(int(nowhere.Fd()), stdout, 0), unix.Dup3(int(terminal.Fd()), stdin, 0))
	}
	if err != nil {
		hangUp()
		return nil, fmt.Errorf("giving the server a terminal: %w", err)
	}
	return hangUp, nil
}
