package registry

import (
	"lastseen/schema"
)

// Reference is what a point names.
type Reference struct {
	Session, Device schema.ID
	MAC             []byte // the address's identity
	HasSession      bool
	HasDevice       bool
	HasMAC          bool
	// Loose says that the address is what an app calls its device, and counts beside a device only where
	// the organisation has one of that name.
	Loose bool
}

// Target returns the reference as a target, which keeps nothing of it.
func (r *Reference) Target() Target {
	t := Target{HasSession: r.HasSession, HasDevice: r.HasDevice, HasMAC: r.HasMAC, Loose: r.Loose}
	if r.HasSession {
		t.Session = r.Session
	}
	if r.HasDevice {
		t.Device = r.Device
	}
	if r.HasMAC {
		t.MAC = string(r.MAC)
	}
	return t
}

// Target is a session, or a device whose active session is meant, as points name it.
type Target struct {
	Session, Device schema.ID
	MAC             string // the address's identity
	HasSession      bool
	HasDevice       bool
	HasMAC          bool
	Loose           bool // see Reference

	Owner Owner // filled in by Registry.Resolve
}

// Owner is the session that a target denotes, or why it denotes none.
type Owner struct {
	Detail   string // a rejection's sentence; empty when the rest is filled in
	Session  schema.ID
	DeviceID schema.ID
	EndedAt  int64 // Unix milliseconds; math.MaxInt64 while the session is active
	Outliers schema.OutlierSetting
}

// Is reports whether a target is what ref names.
func (t *Target) Is(ref *Reference) bool {
	return t.HasSession == ref.HasSession && t.HasDevice == ref.HasDevice && t.HasMAC == ref.HasMAC &&
		(!t.HasSession || t.Session == ref.Session) && (!t.HasDevice || t.Device == ref.Device) &&
		(!t.HasMAC || t.MAC == string(ref.MAC))
}

// AppendKey appends what is equal for equal references only.
func (r *Reference) AppendKey(b []byte) []byte {
	if r.HasSession {
		b = append(append(b, 's'), r.Session[:]...)
	}
	if r.HasDevice {
		b = append(append(b, 'd'), r.Device[:]...)
	}
	if r.HasMAC {
		b = append(append(b, 'm'), r.MAC...)
	}
	return b
}
