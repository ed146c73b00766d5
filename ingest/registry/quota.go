package registry

import (
	"errors"
	"math"
	"sync"
	"time"

	"lastseen/schema"
)

// Quotas bound what one organisation has at a time; 0 is no bound.
type Quotas struct {
	Devices  int // registered ones
	Sessions int // active ones
	// AllSessions are those that have ended too: each takes memory and is in lists for good.
	AllSessions int
}

// errQuota is the cause of the conflicts that come of quotas.
var errQuota = errors.New("the organisation has reached its quota")

// organisations are all of them; guarded by the Registry's mu, which only the reservations take by themselves.
type organisations struct {
	mu     *sync.RWMutex
	quotas Quotas
	byID   map[string]*organisation
}

// organisation is what is known of one; guarded by Registry.mu.
type organisation struct {
	id      string  // the one copy of it
	first   *device // of those that it has, which are a list
	devices int     // how many these are
	// sessions is how many it has, with those that have ended.
	sessions int
	// registering and beginning are the devices and sessions that are being written.
	registering, beginning int
	// active is how many of its devices have active set: at least as many as have an active session, and more by those
	// whose termination was scheduled and has come, until the next recount.
	active    int
	recounted time.Time
}

// of returns what is known of an organisation. The caller holds mu.
func (all *organisations) of(id string) *organisation {
	o := all.byID[id]
	if o == nil {
		o = &organisation{id: id}
		all.byID[id] = o
	}
	return o
}

// reserveDevice makes room for a device of an organisation, which release gives back when it has been written, or could
// not be.
func (all *organisations) reserveDevice(orgID string) (release func(), err error) {
	all.mu.Lock()
	defer all.mu.Unlock()
	o := all.of(orgID)
	if most := all.quotas.Devices; most > 0 && o.devices+o.registering >= most {
		return nil, &schema.Error{Code: schema.Conflict, Cause: errQuota,
			Sentence: "Your organisation has as many devices as it may: ask the operator of the service to raise --devices-per-organisation."}
	}
	return all.reserve(&o.registering), nil
}

// reserveSession is reserveDevice for an active session.
func (all *organisations) reserveSession(orgID string, now int64) (release func(), err error) {
	all.mu.Lock()
	defer all.mu.Unlock()
	o := all.of(orgID)
	if most := all.quotas.Sessions; most > 0 {
		if o.active+o.beginning >= most {
			o.recount(now)
		}
		if o.active+o.beginning >= most {
			return nil, &schema.Error{Code: schema.Conflict, Cause: errQuota,
				Sentence: "Your organisation has as many active sessions as it may: terminate one first, or ask the operator of the service to raise --sessions-per-organisation."}
		}
	}
	if most := all.quotas.AllSessions; most > 0 && o.sessions+o.beginning >= most {
		return nil, &schema.Error{Code: schema.Conflict, Cause: errQuota,
			Sentence: "Your organisation has as many sessions as it may, those that have ended included: ask the operator of the service to raise --all-sessions-per-organisation."}
	}
	return all.reserve(&o.beginning), nil
}

// reserve counts what is being written. The caller holds mu.
func (all *organisations) reserve(count *int) (release func()) {
	*count++
	return func() {
		all.mu.Lock()
		defer all.mu.Unlock()
		*count--
	}
}

const (
	// recountCost bounds how much of the time goes into recounts: a device takes some 10 ns.
	recountCost = time.Microsecond
	// fewDevices are so quickly counted that it may be done at any time.
	fewDevices = 1000
)

// add makes a device one of the organisation's.
func (o *organisation) add(d *device) {
	d.org, d.next = o, o.first
	o.first = d
	o.devices++
}

// recount leaves out the sessions whose termination was scheduled for a time that has come (Unix milliseconds). It does
// nothing where there are many devices and it was done a moment ago. The caller holds mu.
func (o *organisation) recount(now int64) {
	if o.devices > fewDevices && time.Since(o.recounted) < time.Duration(o.devices)*recountCost {
		return
	}
	for d := o.first; d != nil; d = d.next {
		o.note(d, now)
	}
	o.recounted = time.Now()
}

// note counts a device by whether it has an active session. The caller holds mu.
func (o *organisation) note(d *device, now int64) {
	active := d.current != nil && d.current.end(now) == math.MaxInt64
	switch {
	case active && !d.active:
		o.active++
	case !active && d.active:
		o.active--
	}
	d.active = active
}
