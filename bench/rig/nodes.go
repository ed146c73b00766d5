package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"lastseen/bench/dataset"
	"lastseen/bench/process"
	"lastseen/keys/people"
)

// Nodes are a service of several nodes on the rig's ClickHouse server. One goroutine uses it.
type Nodes struct {
	// All are the nodes, those included that do not run.
	All []*Node

	rig  *Rig
	name string
}

// Node is one of them.
type Node struct {
	*Service
	admin   string // where it tells of the nodes
	launch  process.Launch
	process *process.Process
}

// StartNodes loads a data set into the rig's server and starts so many nodes on it, with some more flags, and makes keys and credentials.
func StartNodes(ctx context.Context, r *Rig, name string, spec dataset.Spec, count int, flags ...string) (*Nodes, error) {
	if err := r.Load(ctx, name, spec); err != nil {
		return nil, err
	}
	n := &Nodes{rig: r, name: name}
	for range count {
		if err := n.add(flags); err != nil {
			return nil, err
		}
	}
	if err := n.shareIssuer(ctx, spec); err != nil {
		return nil, err
	}
	r.Say("starting %d nodes", count)
	for i := range n.All {
		if err := errors.Join(n.Start(i), n.AwaitReady(ctx, i)); err != nil {
			return nil, errors.Join(err, n.Stop())
		}
	}
	first := n.All[0]
	if err := r.giveKeys(ctx, first.Service, n.folder(0), spec); err != nil {
		return nil, errors.Join(err, n.Stop())
	}
	for _, node := range n.All {
		node.Catalogue, node.API.tokens = first.Catalogue, first.API.tokens
		node.PollWithProbes()
	}
	return n, nil
}

// folder is the name of a node's folder.
func (n *Nodes) folder(i int) string { return fmt.Sprintf("%s-%d", n.name, i) }

// add makes the folder of one more node and says how to start it.
func (n *Nodes) add(flags []string) error {
	name := n.folder(len(n.All))
	dir, err := n.rig.Folder(name)
	if err != nil {
		return err
	}
	addresses := make([]string, 3)
	for i := range addresses {
		if addresses[i], err = process.FreeAddress(); err != nil {
			return err
		}
	}
	node := &Node{admin: "http://" + addresses[1], Service: n.rig.service(addresses[0], nil)}
	flags = append([]string{"--admin-addr", addresses[1], "--peer-addr", addresses[2]}, flags...)
	node.launch = n.rig.launch(name, dir, addresses[0], n.rig.ServerCPUs, flags...)
	node.launch.Env = []string{"LASTSEEN_CLICKHOUSE=" + n.rig.Server.database(n.name)}
	node.Name, node.processes = name, nil
	n.All = append(n.All, node)
	return os.MkdirAll(n.rig.dataDir(name), 0o700)
}

// shareIssuer gives all nodes one issuer, which the first makes.
func (n *Nodes) shareIssuer(ctx context.Context, spec dataset.Spec) error {
	if _, err := n.rig.token(ctx, n.folder(0), spec.OrgID(0)); err != nil {
		return err
	}
	key, err := os.ReadFile(filepath.Join(n.rig.dataDir(n.folder(0)), people.IssuerFile))
	for i := 1; i < len(n.All) && err == nil; i++ {
		err = os.WriteFile(filepath.Join(n.rig.dataDir(n.folder(i)), people.IssuerFile), key, 0o600)
	}
	if err != nil {
		return fmt.Errorf("share the issuer's key: %w", err)
	}
	return nil
}

// Start starts a node that does not run.
func (n *Nodes) Start(i int) error { return n.All[i].start() }

// Pin starts nodes from now on on one processor each, the first on processor 0.
func (n *Nodes) Pin() {
	for i, node := range n.All {
		node.launch.CPUs = []int{i}
	}
}

func (n *Node) start() error {
	p, err := n.launch.Start()
	if err != nil {
		return err
	}
	n.process, n.processes = p, []*process.Process{p}
	return nil
}

// AwaitReady waits until a node is ready.
func (n *Nodes) AwaitReady(ctx context.Context, i int) error {
	return n.All[i].awaitReady(ctx, n.All[i].process)
}

// Kill ends a node as it is.
func (n *Node) Kill() error { return n.process.Kill() }

// Leave asks a node to end, and waits for it.
func (n *Node) Leave() error { return n.process.Stop() }

// Signal sends a node's process a signal.
func (n *Node) Signal(signal syscall.Signal) error { return n.process.Signal(signal) }

// Stop ends all nodes, whatever state they are in.
func (n *Nodes) Stop() error {
	var errs []error
	for _, node := range n.All {
		if node.process != nil {
			_ = node.Signal(syscall.SIGCONT) // one that is stopped would not hear; one that has ended is as it should be
			errs = append(errs, node.process.Stop())
		}
	}
	return errors.Join(errs...)
}

// nodeStatus is the part of what a node says of the nodes that the suite looks at.
type nodeStatus struct {
	Self, View struct {
		ID      string
		Leader  string
		Members []struct{ ID string }
	}
}

// Leader waits until all nodes are members of one view, and returns which leads.
func (n *Nodes) Leader(ctx context.Context) (int, error) {
	for ctx.Err() == nil {
		leader, settled := 0, true
		for i, node := range n.All {
			var status nodeStatus
			if err := node.status(ctx, &status); err != nil {
				return 0, err
			}
			settled = settled && len(status.View.Members) == len(n.All)
			if status.Self.ID == status.View.Leader {
				leader = i
			}
		}
		if settled {
			return leader, nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return 0, fmt.Errorf("wait until all nodes are members: %w", context.Cause(ctx))
}

// Others are all nodes but one.
func (n *Nodes) Others(but int) []*Node {
	return slices.Delete(slices.Clone(n.All), but, but+1)
}

func (n *Node) status(ctx context.Context, into *nodeStatus) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, n.admin+"/nodes", nil)
	if err != nil {
		return fmt.Errorf("ask for the nodes: %w", err)
	}
	response, err := n.API.Client.Do(request)
	if err != nil {
		return fmt.Errorf("ask for the nodes: %w", err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return fmt.Errorf("read what %s says of the nodes: %w", n.Name, err)
	}
	return nil
}
