package replicated

import (
	"context"
	"strings"
	"time"
)

// doorsEvery is how often the leader looks whether its doors are there, doorsTimeout how long a look may take.
const doorsEvery, doorsTimeout = 2 * time.Second, 10 * time.Second

// KeepDoors looks whether the doors of this node's term are there while it leads, until ctx ends. Without one of them nothing of its table is written
// any more, and without the way from one what is written is lost. To make them anew would be wrong: between the look and the making another node may
// have begun to lead and have closed them, and what this one then wrote would be in nobody's memory. So it steps down, and the next term has
// doors of its own.
func (s *State) KeepDoors(ctx context.Context) {
	ticker := time.NewTicker(doorsEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if err := s.lookAtDoors(ctx); err != nil && ctx.Err() == nil {
			s.parts.Log.Debug("whether the doors are there is looked at later", "error", err)
		}
	}
}

// lookAtDoors looks once.
func (s *State) lookAtDoors(ctx context.Context) error {
	term, err := s.node.Lead()
	if err != nil {
		return nil // another one may lead
	}
	ctx, cancel := context.WithTimeout(ctx, doorsTimeout)
	defer cancel()
	missing, err := s.parts.DB.MissingDoors(ctx, term)
	if err != nil || len(missing) == 0 {
		return err
	}
	if still, err := s.node.Lead(); err != nil || still != term {
		return nil // another one may have begun to lead meanwhile, which closes them
	}
	s.parts.Log.Error("tables through which the nodes write to ClickHouse were dropped: this node steps down, and who leads next makes its own; leave the tables alone whose names have _door_ in them",
		"tables", strings.Join(missing, ", "))
	return s.node.StepDown(ctx, term, "tables through which it wrote were dropped: "+strings.Join(missing, ", "))
}
