package replicated

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"lastseen/schema"
)

// doorsEvery is how often the leader looks whether its doors are there, doorsTimeout how long a look may take.
const doorsEvery, doorsTimeout = 2 * time.Second, 10 * time.Second

// KeepDoors looks whether the doors of a node's term are there while that leads, until ctx ends. Without one of them nothing of its table is written
// any more, and without the way from one what is written is lost. To make them anew would be wrong: between the look and the making another node may
// have begun to lead and have closed them, and what this one then wrote would be in nobody's memory. So it steps down, and the next term has
// doors of its own.
func KeepDoors(ctx context.Context, db *schema.DB, node Node, log *slog.Logger) {
	every(ctx, doorsEvery, func() {
		if err := lookAtDoors(ctx, db, node, log); err != nil && ctx.Err() == nil {
			log.Debug("whether the doors are there is looked at later", "error", err)
		}
	})
}

// lookAtDoors looks once.
func lookAtDoors(ctx context.Context, db *schema.DB, node Node, log *slog.Logger) error {
	term, err := node.Lead()
	if err != nil {
		return nil // another one may lead
	}
	ctx, cancel := context.WithTimeout(ctx, doorsTimeout)
	defer cancel()
	missing, err := db.MissingDoors(ctx, term)
	if err != nil || len(missing) == 0 {
		return err
	}
	if still, err := node.Lead(); err != nil || still != term {
		return nil // another one may have begun to lead meanwhile, which closes them
	}
	log.Error("tables through which the nodes write to ClickHouse were dropped: this node steps down, and who leads next makes its own; leave the tables alone whose names have _door_ in them",
		"tables", strings.Join(missing, ", "))
	return node.StepDown(ctx, term, "tables through which it wrote were dropped: "+strings.Join(missing, ", "))
}
