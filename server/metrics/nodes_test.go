package metrics

import (
	"os"
	"strings"
	"testing"
)

// twoNodes are what a node knows of itself and another one.
type twoNodes struct{}

func (twoNodes) NodeStats() NodeStats {
	return NodeStats{Serving: true, Epoch: 7, Members: 2, Received: 1, Peers: []PeerStats{{Address: "b:9465", Connected: true, Sent: 5, Dropped: 2}}}
}

func TestThePageOfNodesListsEveryMetricOfThem(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/nodes.md")
	if err != nil {
		t.Fatal(err)
	}
	of := sources()
	alone := families(t, NewRegistry(of))
	of.Nodes = twoNodes{}
	more := 0
	for name := range families(t, NewRegistry(of)) {
		if _, usual := alone[name]; usual {
			continue
		}
		if more++; !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/nodes.md does not list %s", name)
		}
	}
	if more != len(allOfNodes) {
		t.Errorf("a node of several has %d metrics more than one that is alone, want %d", more, len(allOfNodes))
	}
}
