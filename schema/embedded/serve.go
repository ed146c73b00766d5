package embedded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// ServerOptions say where Serve listens.
type ServerOptions struct {
	Host     string // an address of this machine's, such as 127.0.0.1
	HTTPPort int
	TCPPort  int // of ClickHouse's native protocol; 0 for none
	// Config is the path of a file in the form of a ClickHouse server's config.xml, whose elements go
	// before what Serve sets; "" for none. Users, macros and clusters are set there. The engine starts no
	// listeners with TLS.
	Config string
	// MaxMemory is that of Options.
	MaxMemory int64
	// Backups is the folder in which BACKUP may write and RESTORE may read, as the user of this process, for whoever reaches the
	// server; "" for none.
	Backups string
}

// Serve runs the engine on dir as a ClickHouse server that other processes reach over HTTP and over the
// native protocol, with ClickHouse's own listeners, until ctx ends. The directory is the same as Open's,
// and is held in the same way: what was written through the one is there through the other, and the engine
// logs to LogName in it. Serve calls ready, once, when the server answers. A process can have one engine at
// a time, and after Serve it should end. The error matches [ErrNoEngine] and [ErrLocked] as that of Open
// does.
func Serve(ctx context.Context, dir string, options ServerOptions, ready func()) error {
	lib, err := loadLibrary()
	if err != nil {
		return err
	}
	if !opened.TryLock() {
		return errors.New("starting the server: an engine is open in this process already; close it first")
	}
	defer opened.Unlock()
	if dir, err = filepath.Abs(dir); err != nil {
		return fmt.Errorf("finding the data directory: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the data directory: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return err
	}
	config, err := writeServerConfig(dir, options)
	if err != nil {
		return errors.Join(err, lock.release())
	}
	return errors.Join(lib.serve(ctx, config, options, ready), lock.release())
}

// serve runs clickhouse-local until its last statement has read the end of a pipe, which is when ctx
// ends. A statement before it, which comes after those that start the listeners, says on another pipe
// that they listen.
func (lib *library) serve(ctx context.Context, config string, options ServerOptions, ready func()) error {
	isReady, readyEnd, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("starting the server: %w", err)
	}
	defer isReady.Close()
	defer readyEnd.Close()
	endRead, end, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("starting the server: %w", err)
	}
	defer endRead.Close()
	defer end.Close()

	statements := append(options.listenStatements(),
		fmt.Sprintf("INSERT INTO FUNCTION file(%d, 'TSV', 'word String') SELECT 'ready'", readyEnd.Fd()),
		fmt.Sprintf("SELECT * FROM file(%d, 'LineAsString') FORMAT Null", endRead.Fd()))
	args := append([]string{"lastseen", "--config-file=" + config, logLevel, "--query=" + strings.Join(statements, "; ")}, sessionArguments...)
	args = append(args, interactiveArguments...)
	hangUp, err := beInteractive()
	if err != nil {
		return err
	}
	run := &commandLine{ended: make(chan struct{})}
	keepNotice(func() {
		keepSignalHandlers(func() {
			go run.run(lib, args)
			err = run.waitReady(isReady)
		})
	})
	// Late, so that it comes before what the engine's start has left to be done at an exit.
	watch, watchErr := watchExit()
	if err = errors.Join(err, watchErr); err == nil {
		ready()
		select {
		case <-run.ended:
			err = errors.New("the server has ended by itself")
		case <-ctx.Done():
		}
	}
	if watchErr == nil {
		watch.ask()
	}
	end.Close()
	hangUp()
	<-run.ended
	return errors.Join(err, run.err)
}

// commandLine is a run of clickhouse-local.
type commandLine struct {
	ended chan struct{}
	err   error // what it says went wrong, once it has ended
}

// run runs clickhouse-local with arguments, of which it leaves out the first.
func (c *commandLine) run(lib *library, args []string) {
	defer close(c.ended)
	runtime.LockOSThread() // the engine keeps things by thread, for as long as it runs
	defer runtime.UnlockOSThread()
	argv := newStrings(args)
	defer argv.free()
	result := lib.commandLine(int32(len(args)), argv.first())
	if result == 0 {
		c.err = errors.New("the engine gave no result")
		return
	}
	defer lib.resultDestroy(result)
	if text := lib.resultError(result); text != "" {
		c.err = newException(text)
	}
}

// waitReady waits until the engine says that it is ready, or has ended.
func (c *commandLine) waitReady(isReady *os.File) error {
	said := make(chan error, 1)
	go func() {
		_, err := bufio.NewReader(isReady).ReadString('\n')
		said <- err
	}()
	select {
	case err := <-said:
		return err
	case <-c.ended:
		isReady.Close() // so that the goroutine ends
		<-said
		return errors.New("the server did not start")
	}
}

// listenStatements start the listeners.
func (o *ServerOptions) listenStatements() (statements []string) {
	for _, listener := range []struct {
		name string
		port int
	}{{"HTTP", o.HTTPPort}, {"TCP", o.TCPPort}} {
		if listener.port != 0 {
			statements = append(statements, "SYSTEM START LISTEN "+listener.name)
		}
	}
	return statements
}
