package latest

import (
	"sync"

	"lastseen/query/latest/changelog"
	"lastseen/schema"
)

// Place is how far somebody has followed the changes of what an organisation sees. It means something to the Table that
// it is of alone.
type Place struct {
	Run           uint64 // the table's
	Owned, Shared changelog.Place
}

// Follower follows the changes of the sessions that an organisation sees: it gets each session that has changed once,
// as it is then, however often it has, and each that is gone. It belongs to one goroutine. One that waits costs nothing
// but its own memory, about 200 bytes.
type Follower struct {
	table *Table
	orgID string
	place Place
	parts []followed
	watch *changelog.Watch
}

// followed is one of the logs that a Follower reads.
type followed struct {
	log   *changelog.Log
	place *changelog.Place
}

// Place returns how far it has come.
func (f *Follower) Place() Place { return f.place }

// Watch begins to watch for changes, and returns what receives when there may be some that came since the last receive.
// Its owner calls Stop.
func (f *Follower) Watch() <-chan struct{} {
	f.watch = changelog.NewWatch()
	for _, part := range f.parts {
		part.log.Watch(f.watch)
	}
	return f.watch.Changed()
}

// Stop ends what Watch began, if it did.
func (f *Follower) Stop() {
	if f.watch == nil {
		return
	}
	for _, part := range f.parts {
		part.log.Unwatch(f.watch)
	}
	f.watch = nil
}

// changesAtOnce is how many changes are read under a log's lock.
const changesAtOnce = 128

var changesRead = sync.Pool{New: func() any { return new([changesAtOnce]changelog.Change) }}

// Read calls changed with the newest point of up to limit sessions that have changed, and gone with those that the
// organisation may no longer see, that have ended or of which there is no longer a point to show; no session comes twice.
// It returns how many it has given, and whether there are more. A point belongs to the caller for the call alone.
func (f *Follower) Read(limit int, changed func(*schema.DataPoint), gone func(schema.ID)) (given int, more bool) {
	f.table.endDue()
	buffer := changesRead.Get().(*[changesAtOnce]changelog.Change)
	defer changesRead.Put(buffer)
	var point schema.DataPoint
	for _, part := range f.parts {
		// What happens meanwhile is for the next time, so that no session comes twice.
		for through := part.log.End(); given < limit; {
			var some []changelog.Change
			some, *part.place = part.log.Read(*part.place, through, buffer[:min(limit-given, changesAtOnce)])
			for i := range some {
				switch {
				case some[i].Ref == 0:
					gone(some[i].Gone)
				case f.see(some[i].Ref, &point):
					changed(&point)
				default:
					continue // it has left since; that comes as a change of its own
				}
				given++
			}
			if part.place.Read >= through {
				break
			}
		}
	}
	if given < limit {
		return given, false
	}
	for _, part := range f.parts {
		if rest, _ := part.log.Read(*part.place, part.log.End(), buffer[:1]); len(rest) > 0 {
			return given, true
		}
	}
	return given, false
}

// see fills in the newest point of a session, unless there is none for the organisation any more.
func (f *Follower) see(ref changelog.Ref, p *schema.DataPoint) bool {
	e := f.table.records.at(ref)
	var words [recordWords]uint64
	e.load(&words)
	var r record
	r.unpackAccess(&words)
	unpackPoint(&words, p)
	return !r.has(hasEnded) && r.has(hasPoint) && p.Outlier == schema.NotOutlier && f.table.maySee(p.SessionID, schema.Viewer{OrgID: f.orgID}, &r)
}
