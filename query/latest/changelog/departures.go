package changelog

import (
	"sort"

	"lastseen/schema"
)

// rememberedDepartures is how many sessions that are gone a log remembers.
const rememberedDepartures = 4096

// departure is a session that has left, and the number of that change.
type departure struct {
	change uint64
	id     schema.ID
}

// departures are the sessions that left lately, in the order in which they did. Those that have come back stand among
// them until their time is up, and count no more.
type departures struct {
	list      []departure
	latest    map[schema.ID]uint64 // the change of those that are gone
	forgotten uint64               // the last change that is no longer remembered
}

func (d *departures) add(change uint64, id schema.ID) {
	if d.latest == nil {
		d.latest = make(map[schema.ID]uint64)
	}
	if len(d.list) == rememberedDepartures {
		oldest := d.list[:rememberedDepartures/4]
		for _, old := range oldest {
			d.forgotten = old.change
			if d.counts(old) {
				delete(d.latest, old.id)
			}
		}
		d.list = append(d.list[:0], d.list[len(oldest):]...)
	}
	d.list = append(d.list, departure{change, id})
	d.latest[id] = change
}

// counts reports whether the session is gone, by this departure and no later one.
func (d *departures) counts(of departure) bool { return d.latest[of.id] == of.change }

// forget is told that a session has come, maybe back.
func (d *departures) forget(id schema.ID) { delete(d.latest, id) }

// after returns the departures after a change.
func (d *departures) after(change uint64) []departure {
	return d.list[sort.Search(len(d.list), func(i int) bool { return d.list[i].change > change }):]
}
