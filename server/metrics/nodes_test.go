package metrics

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// twoNodes are what a leader knows of itself and another node.
type twoNodes struct{}

func (twoNodes) NodeStats() NodeStats {
	return NodeStats{Serving: true, Leading: true, Epoch: 7, Members: 2, Received: 1, Peers: []PeerStats{{Address: "b:9465", Connected: true, Sent: 5, Dropped: 2}}, Followers: []FollowerStats{{Address: "b:9465", Silent: time.Second, Behind: 1}}}
}

// sourcesOfNodes are those of a node of several.
func sourcesOfNodes() Sources {
	of := sources()
	of.Nodes = twoNodes{}
	return of
}

func TestThePageOfNodesListsEveryMetricOfThem(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/nodes.md")
	if err != nil {
		t.Fatal(err)
	}
	alone := families(t, NewRegistry(sources()))
	more := 0
	for name := range families(t, NewRegistry(sourcesOfNodes())) {
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

func TestTheDashboardAndTheAlertsNameMetricsThatANodeHas(t *testing.T) {
	t.Parallel()
	there := families(t, NewRegistry(sourcesOfNodes()))
	for _, file := range []string{"grafana-dashboard.json", "alerts.yml"} {
		page, err := os.ReadFile("../../docs/" + file)
		if err != nil {
			t.Fatal(err)
		}
		names := regexp.MustCompile(`\blastseen_node_[a-z0-9_]+`).FindAllString(string(page), -1)
		if len(names) == 0 {
			t.Errorf("%s names no metric of several nodes", file)
		}
		for _, name := range names {
			if _, is := there[name]; !is {
				t.Errorf("%s names %s, which no node shows", file, name)
			}
		}
	}
}
