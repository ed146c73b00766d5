package clickhousetest

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// zooKeeperJar is where Debian's package zookeeper has its classes.
const zooKeeperJar = "/usr/share/java/zookeeper.jar"

// Keeper is a ZooKeeper in a process of its own, which ClickHouse servers use as their Keeper.
type Keeper struct {
	port int
}

// StartKeeper starts a ZooKeeper for as long as the test lasts, or skips the test where there is none.
func StartKeeper(tb testing.TB) *Keeper {
	tb.Helper()
	if _, err := os.Stat(zooKeeperJar); err != nil {
		if os.Getenv("LASTSEEN_REQUIRE_ZOOKEEPER") != "" {
			tb.Fatal("there is no ZooKeeper (on Debian: apt-get install zookeeper)")
		}
		tb.Skip("there is no ZooKeeper (on Debian: apt-get install zookeeper)")
	}
	port, err := freePort()
	if err != nil {
		tb.Fatal(err)
	}
	dir := tb.TempDir()
	config := filepath.Join(dir, "zoo.cfg")
	content := fmt.Sprintf("tickTime=500\ndataDir=%s\nclientPort=%d\nclientPortAddress=%s\nadmin.enableServer=false\n", dir, port, host)
	if err := os.WriteFile(config, []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
	output, err := os.Create(filepath.Join(dir, "output.txt"))
	if err != nil {
		tb.Fatal(err)
	}
	command := exec.Command("java", "-cp", "/etc/zookeeper/conf_example:"+zooKeeperJar, "-Xmx256m",
		"-Dzookeeper.root.logger=WARN,CONSOLE", "-Dzookeeper.log.dir="+dir, "org.apache.zookeeper.server.quorum.QuorumPeerMain", config)
	command.Stdout, command.Stderr = output, output
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, ended := make(chan error), make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // the system kills a child whose parent's thread ends
		defer runtime.UnlockOSThread()
		err := command.Start()
		started <- err
		if err == nil {
			_ = command.Wait() // it is killed
		}
	}()
	if err := <-started; err != nil {
		tb.Fatalf("start ZooKeeper: %v", err)
	}
	tb.Cleanup(func() {
		_ = command.Process.Kill() // it may have ended by itself
		<-ended
		output.Close()
	})
	k := &Keeper{port: port}
	k.waitReady(tb, ended, output.Name())
	return k
}

// waitReady waits until ZooKeeper serves.
func (k *Keeper) waitReady(tb testing.TB, ended <-chan struct{}, output string) {
	tb.Helper()
	tick, timeout := time.NewTicker(20*time.Millisecond), time.After(startTime)
	defer tick.Stop()
	for {
		if k.serves() {
			return
		}
		select {
		case <-tick.C:
		case <-timeout:
			tb.Fatalf("ZooKeeper is not ready after %s", startTime)
		case <-ended:
			text, _ := os.ReadFile(output)
			tb.Fatalf("ZooKeeper has ended: %s", text)
		}
	}
}

// serves asks ZooKeeper by one of its commands of four letters, since it takes connections before it serves.
func (k *Keeper) serves() bool {
	conn, err := net.DialTimeout("tcp", k.Address(), time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return false
	}
	_, _ = conn.Write([]byte("srvr")) // what is read tells
	answer, _ := io.ReadAll(conn)
	return strings.Contains(string(answer), "Mode: standalone")
}

// Address is where the Keeper listens.
func (k *Keeper) Address() string { return net.JoinHostPort(host, strconv.Itoa(k.port)) }

// Config are the elements of a config.xml that make a server use the Keeper.
func (k *Keeper) Config() string {
	return fmt.Sprintf("<zookeeper><node><host>%s</host><port>%d</port></node></zookeeper>", host, k.port)
}
