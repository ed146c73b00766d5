package doctor

import (
	"context"
	"time"

	"lastseen/schema"
	"lastseen/schema/lease"
)

// renewal is how long a holder that lives takes to renew its lease at most, and a little more.
const renewal = lease.Length / 3

// examineWriter watches who has the right to write to a ClickHouse server's database.
func (e *examination) examineWriter(ctx context.Context, db *schema.DB) {
	register, err := db.FindWriterRegister(ctx)
	var seen lease.View
	if err == nil {
		defer register.Close()
		seen, err = register.Look(ctx)
	}
	switch holder := seen.Holder; {
	case err != nil:
		e.add(Warn, "writer", "Mend what it says.", "who writes could not be found out: %v", err)
	case holder.Node == "" || holder.Left:
		if place, err := register.Place(ctx); err == nil && place != "" {
			e.ok("writer", "no single node writes to the database, which is, or was, that of several: `lastseen nodes` says who leads")
			return
		}
		if e.serves {
			e.add(Warn, "writer", "Look whether --clickhouse and --database are those of the service.", "nobody writes to this database, though the service runs")
			return
		}
		e.ok("writer", "nobody writes to the database at present")
	default:
		e.judgeHolder(ctx, register, seen)
	}
}

// judgeHolder waits until a holder renews its lease.
func (e *examination) judgeHolder(ctx context.Context, register lease.Register, seen lease.View) {
	holder := seen.Holder
	args := []any{holder.PID, holder.Host, time.UnixMilli(holder.Since).UTC().Format(time.RFC3339)}
	ctx, cancel := context.WithTimeout(ctx, renewal)
	defer cancel()
	again := time.NewTicker(renewal / 20)
	defer again.Stop()
	for {
		select {
		case <-again.C:
		case <-ctx.Done():
			e.add(Fail, "writer", "Look whether it runs and reaches ClickHouse. Another lastseen may take over when the lease has ended.",
				"process %d on %s has the lease since %s and does not renew it", args...)
			return
		}
		if now, err := register.Look(ctx); err == nil && now != seen {
			e.ok("writer", "process %d on %s writes to the database, since %s", args...)
			return
		}
	}
}
