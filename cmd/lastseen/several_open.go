package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"lastseen/schema"
	"lastseen/schema/lease"
	"lastseen/schema/register"
	"lastseen/server/cluster/replica"
	"lastseen/server/cluster/replicated"
)

// openNodes takes the data directory and opens the register of the nodes.
func openNodes(ctx context.Context, a *App, db *schema.DB) error {
	n, err := openNode(a.config.schema.DataDir)
	if err != nil {
		return err
	}
	a.onStop("the data directory", func(context.Context) error { return n.close() })
	a.loading.waitsFor(errOtherLease)
	defer a.loading.waitsFor(errLoading)
	if err := refuseLease(ctx, a, db, n); err != nil {
		return err
	}
	r, place, err := a.config.nodes.openRegister(ctx, a, db)
	if err != nil {
		return err
	}
	a.onStop("the register of the nodes", func(context.Context) error { return r.Close() })
	if err := claimPlace(ctx, db, place); err != nil {
		return err
	}
	watched := register.Watch(r, a.config.nodes.registerName(), a.config.log)
	a.onStop("watching the register of the nodes", func(context.Context) error {
		watched.Close()
		return nil
	})
	a.nodes = &several{State: replicated.New(), node: n, process: rand.Uint64(), register: watched, place: place}
	return nil
}

// placed fails with replicated.ErrMoved where the nodes of the database have noted another place of their register than this one's.
func (s *several) placed(ctx context.Context, db *schema.DB) error {
	writers, err := db.FindWriterRegister(ctx)
	if err != nil {
		return err
	}
	defer writers.Close()
	noted, err := writers.Place(ctx)
	if err != nil || noted == "" || noted == s.place {
		return err
	}
	return fmt.Errorf("%w, from %s to %s: restart it with the --keeper of the others, or without one if they have none", replicated.ErrMoved, s.place, noted)
}

// nodesRegister is a register that can be closed.
type nodesRegister interface {
	register.Register
	Close() error
}

// registerName is what operators know the register by.
func (c nodesConfig) registerName() string {
	if len(c.keeper) > 0 {
		return "the Keeper " + strings.Join(c.keeper, ",")
	}
	return schema.InClickHouse
}

// openRegister opens the register and says where it is.
func (c nodesConfig) openRegister(ctx context.Context, a *App, db *schema.DB) (r nodesRegister, place string, err error) {
	if len(c.keeper) > 0 {
		a.loading.waitsFor(errNoKeeper)
		a.config.log.Info("waiting for the Keeper, which has the register of the nodes", "keeper", strings.Join(c.keeper, ","))
		keeper, err := register.OpenKeeper(ctx, c.keeper, db.Database(), a.config.log)
		if err != nil {
			return nil, "", err
		}
		return keeper, "the Keeper's register " + keeper.ID(), nil
	}
	views, err := db.OpenViewRegister(ctx)
	if err != nil {
		return nil, "", err
	}
	return views, schema.InClickHouse, nil
}

// claimPlace fails where the nodes of the database have their register elsewhere than in a place. Where none was noted the register is new, or was
// moved: then epochs begin anew, and the doors of those before are closed, which a leader would take for later ones, or for its own.
func claimPlace(ctx context.Context, db *schema.DB, place string) error {
	writers, err := db.FindWriterRegister(ctx)
	if err != nil {
		return err
	}
	defer writers.Close()
	before, err := writers.Place(ctx)
	if err == nil && before == "" {
		err = db.CloseDoors(ctx, math.MaxUint64)
	}
	if err != nil {
		return err
	}
	noted, err := writers.ClaimPlace(ctx, place)
	switch {
	case err != nil:
		return err
	case noted != place:
		return otherPlace(noted, place)
	case before == "": // a node that was forgotten, and leads by another register, may have made its own anew; from now on it does not
		return db.CloseDoors(ctx, math.MaxUint64)
	}
	return nil
}

func otherPlace(noted, place string) error {
	return fmt.Errorf("the nodes of this database have their register in %s, and this node looks in %s: give all nodes the same --keeper, or none; to move the register, stop all nodes and drop the table nodes_register",
		noted, place)
}

// refuseNodes fails where several nodes use the database, and closes the doors of those that did. It is for a node that is alone.
func refuseNodes(ctx context.Context, a *App, db *schema.DB) error {
	writers, err := db.FindWriterRegister(ctx)
	if err != nil {
		return err
	}
	defer writers.Close()
	noted, err := writers.Place(ctx)
	if err != nil {
		return err
	}
	if noted == "" { // there were never several, or somebody dropped what they had noted
		return db.CloseDoors(ctx, math.MaxUint64)
	}
	if noted != schema.InClickHouse && len(a.config.nodes.keeper) == 0 {
		return errors.New("several nodes use this database, or did, and have their register in a Keeper: give --peer-addr and --keeper to be one of them, or stop them first and give --keeper once, to go on alone")
	}
	r, place, err := a.config.nodes.openRegister(ctx, a, db)
	if err != nil {
		return err
	}
	defer r.Close()
	if place != noted {
		return otherPlace(noted, place)
	}
	if err := refuseBeats(ctx, r); err != nil {
		return err
	}
	if err := db.CloseDoors(ctx, math.MaxUint64); err != nil {
		return err
	}
	return writers.ForgetPlace(ctx)
}

// refuseBeats fails where somebody leads several nodes.
func refuseBeats(ctx context.Context, views register.Register) error {
	before, err := views.Look(ctx)
	if err != nil {
		return err
	}
	select {
	case <-time.After(2 * replica.DefaultTiming().RegisterBeat):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	now, err := views.Look(ctx)
	if err != nil {
		return err
	}
	if now.Epoch != before.Epoch || now.Beat != before.Beat {
		return errors.New("several nodes use this database: give --peer-addr to be one of them, or stop them first")
	}
	return nil
}

// refuseLease fails where a node that is alone writes to the database. One that was killed is waited for once.
func refuseLease(ctx context.Context, a *App, db *schema.DB, n *node) error {
	writers, err := db.FindWriterRegister(ctx)
	if err != nil {
		return err
	}
	defer writers.Close()
	return lease.Retire(ctx, writers, n.holder(), lease.Options{Log: a.config.log})
}
