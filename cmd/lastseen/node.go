package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"

	"lastseen/schema"
	"lastseen/schema/lease"
	"lastseen/server/cluster"
)

// nodeFile is the file in the data directory with the node's id and the process that uses it. Its lock is held by that process.
const nodeFile = "node"

// node is a data directory that this process has for itself, which proves that the process that had it before is dead.
type node struct {
	id, dir string
	lock    *flock.Flock
}

// openNode takes a data directory, and gives it an id the first time.
func openNode(dataDir string) (*node, error) {
	dir, err := filepath.Abs(dataDir)
	if err != nil {
		return nil, fmt.Errorf("find the data directory: %w", err)
	}
	path := filepath.Join(dir, nodeFile)
	n := &node{dir: dir, lock: flock.New(path, flock.SetPermissions(0o600))}
	taken, err := n.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	id, pid, err := readNode(path)
	switch {
	case !taken:
		return nil, fmt.Errorf("the data directory %s is in use by process %s: stop it, or choose another --data-dir", dir, pid)
	case err != nil:
		return nil, errors.Join(err, n.close())
	case id == "":
		id = schema.NewID().String()
	}
	n.id = id
	if err := os.WriteFile(path, fmt.Appendf(nil, "%s %d\n", id, os.Getpid()), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("write the node's id: %w", err), n.close())
	}
	return n, nil
}

// readNode returns the id, empty where there is none, and the process that wrote it.
func readNode(path string) (id, pid string, err error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", "", fmt.Errorf("read the node's id: %w", err)
	}
	fields := strings.Fields(string(content))
	if len(fields) != 2 {
		return "", "unknown", nil
	}
	return fields[0], fields[1], nil
}

// holder is the node as others see it in the lease.
func (n *node) holder() lease.Holder {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return lease.Holder{Node: n.id, Dir: n.dir, Host: host, PID: os.Getpid()}
}

// close lets another process have the directory.
func (n *node) close() error {
	if err := n.lock.Unlock(); err != nil {
		return fmt.Errorf("give the data directory up: %w", err)
	}
	return nil
}

// leaseOwner owns every session until another process has taken the lease, and with it whatever comes after.
type leaseOwner struct{ lease *lease.Lease }

// Own implements cluster.Owner.
func (o leaseOwner) Own(schema.ID) error {
	select {
	case <-o.lease.Lost():
		return cluster.ErrElsewhere
	default:
		return nil
	}
}
