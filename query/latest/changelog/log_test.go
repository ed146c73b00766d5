package changelog_test

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"lastseen/query/latest/changelog"
	"lastseen/schema"
)

// fleet is what a test logs: sessions that come, change and go.
type fleet struct {
	live  map[changelog.Ref]bool
	value map[changelog.Ref]int
	slots map[changelog.Ref]uint32
}

func newFleet() *fleet {
	return &fleet{live: map[changelog.Ref]bool{}, value: map[changelog.Ref]int{}, slots: map[changelog.Ref]uint32{}}
}

func (f *fleet) Live(r changelog.Ref) bool            { return f.live[r] }
func (f *fleet) Slot(r changelog.Ref) uint32          { return f.slots[r] }
func (f *fleet) SetSlot(r changelog.Ref, slot uint32) { f.slots[r] = slot }
func (f *fleet) ID(r changelog.Ref) schema.ID         { return idOf(r) }
func idOf(r changelog.Ref) (id schema.ID)             { binary.BigEndian.PutUint32(id[8:], uint32(r)); return id }
func refOf(id schema.ID) changelog.Ref                { return changelog.Ref(binary.BigEndian.Uint32(id[8:])) }

// reader is a client of a log, that applies what it reads.
type reader struct {
	place changelog.Place
	has   map[changelog.Ref]int
}

// read reads to the end in pages of random lengths.
func (r *reader) read(t *testing.T, log *changelog.Log, f *fleet, rng *rand.Rand, pages int) {
	t.Helper()
	if !log.Holds(r.place) {
		r.place, r.has = log.Begin(), map[changelog.Ref]int{}
	}
	for range pages {
		through := log.End()
		changes, place := log.Read(r.place, through, make([]changelog.Change, 1+rng.IntN(20)))
		r.place = place
		for _, c := range changes {
			if c.Ref == 0 {
				delete(r.has, refOf(c.Gone))
			} else {
				r.has[c.Ref] = f.value[c.Ref]
			}
		}
		if place.Read >= through {
			return
		}
	}
}

func TestEveryReaderEndsWithTheNewestStateOfWhatIsThere(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		f := newFleet()
		log := changelog.New(f)
		sessions := 1 + rng.IntN(600)
		readers := make([]*reader, 6)
		for i := range readers {
			readers[i] = &reader{place: log.Begin(), has: map[changelog.Ref]int{}}
		}
		change := func(hot int) {
			r := changelog.Ref(1 + rng.IntN(hot))
			switch rng.IntN(12) {
			case 0:
				f.live[r] = false
				log.Settle(r, false)
			case 1:
				log.Settle(r, false) // nothing has changed
			default:
				f.live[r] = true
				f.value[r]++
				log.Settle(r, true)
			}
		}
		for range 300 {
			hot := 1 + rng.IntN(sessions)
			for range rng.IntN(100) {
				change(hot)
			}
			r := readers[rng.IntN(len(readers))]
			if rng.IntN(20) == 0 {
				r.place, r.has = log.Begin(), map[changelog.Ref]int{} // a client that has forgotten all
			}
			r.read(t, log, f, rng, 1+rng.IntN(5))
		}
		there := 0
		for _, live := range f.live {
			if live {
				there++
			}
		}
		if log.Len() != there {
			t.Errorf("seed %d: %d sessions are logged, want %d", seed, log.Len(), there)
		}
		for i, r := range readers {
			r.read(t, log, f, rng, 1<<20)
			for ref, live := range f.live {
				if value, has := r.has[ref]; has != live || live && value != f.value[ref] {
					t.Fatalf("seed %d: reader %d has %v %d of session %d, which is there: %v %d", seed, i, has, value, ref, live, f.value[ref])
				}
			}
		}
	}
}

func TestAReaderGetsEachSessionThatChangedOnceInTheOrderOfTheLastChanges(t *testing.T) {
	t.Parallel()
	f := newFleet()
	log := changelog.New(f)
	for r := changelog.Ref(1); r <= 1000; r++ {
		f.live[r] = true
		log.Settle(r, true)
	}
	place := changelog.Place{Read: log.End()}
	for range 100 {
		for _, r := range []changelog.Ref{7, 900, 333} {
			log.Settle(r, true)
		}
	}
	f.live[12] = false
	log.Settle(12, true)
	changes, place := log.Read(place, log.End(), make([]changelog.Change, 100))
	var refs []changelog.Ref
	for _, c := range changes {
		if c.Ref == 0 {
			c.Ref = 10_000 + refOf(c.Gone)
		}
		refs = append(refs, c.Ref)
	}
	if want := []changelog.Ref{7, 900, 333, 10_012}; !slices.Equal(refs, want) {
		t.Errorf("%v have changed, want %v", refs, want)
	}
	if more, _ := log.Read(place, log.End(), make([]changelog.Change, 100)); len(more) > 0 {
		t.Errorf("they are given again: %v", more)
	}
}

func TestALogForgetsWhatLeftLongAgo(t *testing.T) {
	t.Parallel()
	f := newFleet()
	log := changelog.New(f)
	before := log.Begin()
	for r := changelog.Ref(1); r <= 10_000; r++ {
		f.live[r] = true
		log.Settle(r, true)
		f.live[r] = false
		log.Settle(r, true)
	}
	if log.Holds(before) {
		t.Error("it remembers ten thousand that are gone")
	}
	begin := log.Begin()
	if !log.Holds(begin) {
		t.Error("who begins must begin again")
	}
	if changes, _ := log.Read(begin, log.End(), make([]changelog.Change, 10)); len(changes) > 0 {
		t.Errorf("who begins hears of what was gone before: %v", changes)
	}
	if log.Holds(changelog.Place{Read: log.End() + 1}) {
		t.Error("it holds a place that is yet to come")
	}
}

func TestAWatcherIsWokenOnceForManyChanges(t *testing.T) {
	t.Parallel()
	f := newFleet()
	log := changelog.New(f)
	f.live[1] = true
	if log.Settle(1, true) {
		t.Error("somebody is to be woken and nobody watches")
	}
	w := changelog.NewWatch()
	log.Watch(w)
	if !log.Settle(1, true) || log.Settle(1, true) {
		t.Error("not exactly the first of two changes wakes")
	}
	log.Wake()
	<-w.Changed()
	if !log.Settle(1, true) {
		t.Error("the next change wakes nobody")
	}
	log.Unwatch(w)
	log.Wake()
	select {
	case <-w.Changed():
		t.Error("who has stopped is woken")
	default:
	}
}
