package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Nodes tells what a node of a service of several knows of them.
type Nodes interface{ NodeStats() NodeStats }

// NodeStats is what a node knows of itself and the others.
type NodeStats struct {
	Serving, Leading bool // whether the node answers, and whether it takes changes
	Epoch            uint64
	Members          int
	Received         uint64 // messages of other nodes
	Peers            []PeerStats
	Followers        []FollowerStats // of a leader
	RegisterSilent   time.Duration   // for how long the register has not answered
}

// FollowerStats is what a leader knows of a follower.
type FollowerStats struct {
	Address string
	Silent  time.Duration // since it was last heard
	Behind  int           // changes that it has not acknowledged
}

// PeerStats is what was sent to one node.
type PeerStats struct {
	Address       string
	Connected     bool
	Sent, Dropped uint64 // messages
}

// The metrics of a service of several nodes. docs/nodes.md explains them.
var (
	nodeServing   = describe("node_serving", "Whether the node is in touch with the others, and answers.")
	nodeLeading   = describe("node_leading", "Whether the node leads, and takes changes.")
	nodeEpoch     = describe("node_epoch", "The number of the view of the nodes that the node knows of; it grows with each change of members or leader.")
	nodeMembers   = describe("node_members", "Nodes of the service, as the node knows them.")
	nodeConnected = describe("node_peer_connected", "Whether the node is connected to another one.", "peer")
	nodeSent      = describe("node_messages_sent_total", "Messages that were sent to another node.", "peer")
	nodeDropped   = describe("node_messages_dropped_total", "Messages to another node for which there was no room or no connection.", "peer")
	nodeReceived  = describe("node_messages_received_total", "Messages of other nodes.")
	nodeSilent    = describe("node_follower_silent_seconds", "On the leader: how long ago it heard a follower.", "peer")
	nodeRegister  = describe("node_register_silent_seconds", "For how long the register of the nodes has not answered this one; 0 while it does, or has not for less than 3 seconds.")
	nodeBehind    = describe("node_follower_behind", "On the leader: changes that a follower has not acknowledged.", "peer")
)

var allOfNodes = []*prometheus.Desc{nodeServing, nodeLeading, nodeEpoch, nodeMembers, nodeConnected, nodeSent, nodeDropped, nodeReceived, nodeSilent, nodeBehind, nodeRegister}

// nodesCollector reads Nodes whenever it is asked. It is safe for concurrent use.
type nodesCollector struct{ nodes Nodes }

// Describe implements prometheus.Collector.
func (c *nodesCollector) Describe(descriptions chan<- *prometheus.Desc) {
	for _, d := range allOfNodes {
		descriptions <- d
	}
}

// Collect implements prometheus.Collector.
func (c *nodesCollector) Collect(metrics chan<- prometheus.Metric) {
	out, s := sink(metrics), c.nodes.NodeStats()
	out.gauge(nodeServing, truth(s.Serving))
	out.gauge(nodeLeading, truth(s.Leading))
	out.gauge(nodeEpoch, float64(s.Epoch))
	out.gauge(nodeMembers, float64(s.Members))
	out.gauge(nodeRegister, s.RegisterSilent.Seconds())
	out.counter(nodeReceived, s.Received)
	for _, f := range s.Followers {
		out.gauge(nodeSilent, f.Silent.Seconds(), f.Address)
		out.gauge(nodeBehind, float64(f.Behind), f.Address)
	}
	for _, p := range s.Peers {
		out.gauge(nodeConnected, truth(p.Connected), p.Address)
		out.counter(nodeSent, p.Sent, p.Address)
		out.counter(nodeDropped, p.Dropped, p.Address)
	}
}
