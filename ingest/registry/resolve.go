package registry

import (
	"math"
	"slices"

	"lastseen/schema"
)

// The sentences of rejections. A session or device of another organisation gets the same words as
// one that does not exist.
const (
	DetailNoSession = "Your organisation has no session with this session_id: create it first, or correct the id."
	DetailNoDevice  = "Your organisation has no device with this device_id: register it first, or correct the id."
	DetailNoMAC     = "Your organisation has no device with this device_mac_address: register it first, or correct the address."
	DetailBound     = "This credential is good only for the device that it was made for, and the point names something else: name that device or one of its sessions, or use another credential."
	DetailNoActive  = "The device has no active session: create one first, or name an ended one by session_id."
	DetailDisagree  = "session_id, device_id and device_mac_address do not denote the same session: give only one of them."
)

// Caller is who writes points.
type Caller struct {
	OrgID    string
	DeviceID schema.ID // the one device that the caller may write for; zero for any of the organisation
}

// Resolve finds the sessions that points name, for a caller at a time (Unix milliseconds).
func (r *Registry) Resolve(caller Caller, targets []Target, now int64) {
	for some := range slices.Chunk(targets, 1024) { // so that nobody waits long for mu
		r.mu.RLock()
		for few := range slices.Chunk(some, resolvedAtOnce) {
			r.resolveFew(caller, few, now)
		}
		r.mu.RUnlock()
	}
}

// resolvedAtOnce is how many targets' sessions are looked up before the first is looked at: in a large
// registry each look-up waits for memory several times, and so many waits run side by side.
const resolvedAtOnce = 16

// resolveFew resolves up to resolvedAtOnce targets. The caller holds mu.
func (r *Registry) resolveFew(caller Caller, targets []Target, now int64) {
	var sessions [resolvedAtOnce]*session
	var devices [resolvedAtOnce]*device
	for i := range targets {
		if targets[i].HasSession {
			sessions[i] = r.known.session(targets[i].Session)
		}
	}
	for i, s := range sessions[:len(targets)] {
		if s != nil {
			devices[i] = s.device
		}
	}
	for i := range targets {
		targets[i].Owner = r.ownerOf(caller, &targets[i], sessions[i], devices[i], now)
	}
}

// ownerOf finds the session that a target denotes. s is the session that it names and d that one's device,
// nil where it names none that there is. The caller holds mu.
func (r *Registry) ownerOf(caller Caller, t *Target, s *session, d *device, now int64) Owner {
	if t.HasSession {
		if s == nil || !caller.mayWrite(d) {
			return Owner{Detail: caller.refusal(DetailNoSession)}
		}
	}
	if t.HasDevice {
		named := r.known.device(t.Device)
		if named == nil || !caller.mayWrite(named) {
			return Owner{Detail: caller.refusal(DetailNoDevice)}
		}
		if d != nil && d != named {
			return Owner{Detail: DetailDisagree}
		}
		d = named
	}
	var named *device
	if t.HasMAC {
		named = r.known.deviceByMAC(t.MAC)
	}
	if named != nil && named.org.id != caller.OrgID {
		if own := r.known.deviceByMAC(OwnAddress(caller.OrgID, t.MAC)); own != nil {
			named = own
		}
	}
	if t.HasMAC && !(t.Loose && (named == nil || named.org.id != caller.OrgID)) {
		if named == nil || !caller.mayWrite(named) {
			return Owner{Detail: caller.refusal(DetailNoMAC)}
		}
		if d != nil && d != named {
			return Owner{Detail: DetailDisagree}
		}
		d = named
	}
	if s == nil {
		if s = d.current; s == nil || s.end(now) != math.MaxInt64 {
			return Owner{Detail: DetailNoActive}
		}
	}
	return Owner{Session: s.id, DeviceID: d.id, EndedAt: s.end(now), Outliers: s.outliers}
}

// mayWrite reports whether the caller may write points of a device.
func (c *Caller) mayWrite(d *device) bool {
	return d.org.id == c.OrgID && (c.DeviceID == schema.ID{} || c.DeviceID == d.id)
}

// refusal is what a caller is told who may not write for what a point names, or named what is not
// there. A credential of one device hears the same for everything but its device, so that it cannot
// be used to find out what other devices there are.
func (c *Caller) refusal(absent string) string {
	if (c.DeviceID != schema.ID{}) {
		return DetailBound
	}
	return absent
}
