package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"lastseen/server/cluster/member"
	"lastseen/server/cluster/peer"
	"lastseen/server/cluster/replica"
)

// nodeStatus is what /nodes on the address for operators says.
type nodeStatus struct {
	replica.Status
	Build    string       // of lastseen
	Peers    []peer.Stats `json:"Peers"`
	Received uint64       `json:"Received"`
	// SetBack says that the node answers nothing any more, since ClickHouse was set back to an earlier state.
	SetBack bool `json:"SetBack,omitempty"`
	// Register is what has the register, RegisterSilent for how long it has not answered this node, in nanoseconds.
	Register       string
	RegisterSilent time.Duration `json:"RegisterSilent,omitempty"`
	// Others are what the other members say of themselves, where they were asked.
	Others []otherNode `json:"Others,omitempty"`
}

// otherNode is another member's answer.
type otherNode struct {
	ID      string
	Status  *nodeStatus `json:"Status,omitempty"`  // nil where there is none
	Trouble string      `json:"Trouble,omitempty"` // why
}

// status is what the node knows of itself and the others.
func (s *several) status(m *member.Member) nodeStatus {
	status := nodeStatus{Status: m.Status(), Build: version(), SetBack: s.watch.WasSetBack(), Register: s.register.Name(), RegisterSilent: s.register.Silent()}
	status.Peers, status.Received = m.Peers.Stats()
	return status
}

// encodedStatus is the status as other nodes are told it.
func (s *several) encodedStatus(m *member.Member) []byte {
	text, _ := json.Marshal(s.status(m)) // it has nothing that could not be encoded
	return text
}

// ServeHTTP implements http.Handler. With the parameter others=true all members are asked what they say of themselves.
func (s *several) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := s.member.Load()
	status := s.status(m)
	if r.URL.Query().Get("others") == "true" {
		status.Others = askOthers(r.Context(), m, status.Status)
	}
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(status) // the operator has left
}

// askOthers asks all other members side by side, each for a second at most.
func askOthers(ctx context.Context, m *member.Member, status replica.Status) []otherNode {
	members := slices.DeleteFunc(slices.Clone(status.View.Members), func(other replica.Member) bool { return other.ID == status.Self.ID })
	others := make([]otherNode, len(members))
	var asking sync.WaitGroup
	for i, other := range members {
		asking.Go(func() {
			others[i].ID = other.ID
			if err := ask(ctx, m, other, &others[i]); err != nil {
				others[i].Status, others[i].Trouble = nil, err.Error()
			}
		})
	}
	asking.Wait()
	return others
}

// ask asks one other member.
func ask(ctx context.Context, m *member.Member, other replica.Member, into *otherNode) error {
	text, err := m.Peers.Status(ctx, other.Addr)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &into.Status); err != nil {
		return fmt.Errorf("read what the node at %s says: %w", other.Addr, err)
	}
	return nil
}
