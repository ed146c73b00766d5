package ingest

import (
	"lastseen/schema"
)

// reference is what a point names.
type reference struct {
	session, device schema.ID
	mac             []byte // the address's identity
	hasSession      bool
	hasDevice       bool
	hasMAC          bool
}

// target returns the reference as a target, which keeps nothing of it.
func (r *reference) target() target {
	t := target{hasSession: r.hasSession, hasDevice: r.hasDevice, hasMAC: r.hasMAC}
	if r.hasSession {
		t.session = r.session
	}
	if r.hasDevice {
		t.device = r.device
	}
	if r.hasMAC {
		t.mac = string(r.mac)
	}
	return t
}

// target is a session, or a device whose active session is meant, as points name it.
type target struct {
	session, device schema.ID
	mac             string // the address's identity
	hasSession      bool
	hasDevice       bool
	hasMAC          bool

	owner owner // filled in by Registry.resolve
}

// owner is the session that a target denotes, or why it denotes none.
type owner struct {
	detail   string // a rejection's sentence; empty when the rest is filled in
	session  schema.ID
	deviceID schema.ID
	endedAt  int64 // Unix milliseconds; math.MaxInt64 while the session is active
}

// is reports whether a target is what ref names.
func (t *target) is(ref *reference) bool {
	return t.hasSession == ref.hasSession && t.hasDevice == ref.hasDevice && t.hasMAC == ref.hasMAC &&
		(!t.hasSession || t.session == ref.session) && (!t.hasDevice || t.device == ref.device) &&
		(!t.hasMAC || t.mac == string(ref.mac))
}

// appendKey appends what is equal for equal references only.
func (r *reference) appendKey(b []byte) []byte {
	if r.hasSession {
		b = append(append(b, 's'), r.session[:]...)
	}
	if r.hasDevice {
		b = append(append(b, 'd'), r.device[:]...)
	}
	if r.hasMAC {
		b = append(append(b, 'm'), r.mac...)
	}
	return b
}
