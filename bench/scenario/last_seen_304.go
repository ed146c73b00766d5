package scenario

import (
	"context"
	"fmt"

	"lastseen/bench/loadgen"
	"lastseen/bench/record"
	"lastseen/bench/traffic"
)

// lastSeen304 compares polls that find nothing new with those that fetch the point.
type lastSeen304 struct {
	*Stage
	o *record.Outcome
}

// Run implements Runner.
func (s *lastSeen304) Run(ctx context.Context) error {
	main, err := s.Lastseen(ctx)
	if err != nil {
		return err
	}
	if err := s.loads.Sweep(ctx, main); err != nil { // writes of an earlier scenario have changed the tags
		return fmt.Errorf("learn the entity tags: %w", err)
	}
	s.describeLoad(s.o)
	conditional := traffic.NewPolls(main.Catalogue, main.Host, main.Prefix)
	conditional.Conditional = true
	full := s.lane(main, nil)
	full.name, full.label = "200", "last_seen, 200 with the point"
	unchanged := s.lane(main, func(l *loadgen.Load) { l.Source = s.loads.Sources(conditional.Start) })
	unchanged.name, unchanged.label = "304", "last_seen, 304 Not Modified"
	lanes := []lane{full, unchanged}
	all, err := s.rounds(ctx, lanes)
	if err != nil {
		return err
	}
	s.o.Add(loadTable("Closed loop", lanes, all))
	figures(s.o, "closed", lanes, all)
	limits(s.o, lanes, all)
	share := ratio(all[1], all[0], throughput)
	s.o.Judge("throughput of 304 beside 200", "at least 1.00 ×", record.Times(share)+" ×", share >= 1)
	return nil
}
