package registry

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"lastseen/schema"
	"lastseen/schema/schematest"
)

// stored is a device of TestALoadKnowsWhatIsStored, with what its rows mean.
type stored struct {
	id       schema.ID
	mac      string
	made     int
	session  schema.ID // the one that counts, if there is any
	active   bool
	began    int
	sessions []schema.ID
}

// TestALoadKnowsWhatIsStored loads many more rows than are taken over together: devices of two organisations, some of which
// have an address that an older or a younger one has too, with up to four sessions made in any order; and sessions of
// devices that have no row.
func TestALoadKnowsWhatIsStored(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	random := rand.New(rand.NewPCG(16, 1))
	all := storeRegistered(t, d, random)
	d.restart()

	byMAC := map[string]*stored{}
	for i := range all {
		if s := &all[i]; s.made >= 0 && (byMAC[s.mac] == nil || s.made < byMAC[s.mac].made) {
			byMAC[s.mac] = s
		}
	}
	for i := range all {
		s := &all[i]
		orgID := orgOf(i)
		for _, id := range s.sessions {
			if device, ok := d.registry.DeviceOf(orgID, id); !ok || device != s.id {
				t.Errorf("the session %v is of the device %v (%t), want %v", id, device, ok, s.id)
			}
			if told, ok := d.watcher.sessions[id]; !ok || told.DeviceID != s.id || told.OrgID != orgID {
				t.Errorf("the watcher was told of %+v (%t), want a session of %v", told, ok, s.id)
			}
		}
		if got := d.owner(orgID, Target{HasDevice: true, Device: s.id}); got.Session != s.session || got.DeviceID != s.id && s.active {
			t.Errorf("device %d has the session %v (%q), want %v", i, got.Session, got.Detail, s.session)
		}
		if s.made < 0 {
			continue
		}
		found := byMAC[s.mac]
		if got := d.owner(orgID, Target{HasMAC: true, MAC: strings.ToLower(strings.ReplaceAll(s.mac, ":", ""))}); got.Session != found.session {
			t.Errorf("the address %s of device %d has the session %v (%q), want %v", s.mac, i, got.Session, got.Detail, found.session)
		}
	}
}

// owner resolves one target at the clock's time.
func (d *directory) owner(orgID string, target Target) Owner {
	targets := []Target{target}
	d.registry.Resolve(Caller{OrgID: orgID}, targets, d.clock.Now().UnixMilli())
	return targets[0].Owner
}

func orgOf(i int) string { return []string{us, them}[i%2] }

// storeRegistered writes 900 devices, of which 100 have addresses of others, and 40 that have sessions and no row.
func storeRegistered(t *testing.T, d *directory, random *rand.Rand) []stored {
	const registered, doubled, absent = 900, 100, 40
	at := func(second int) string {
		return fmt.Sprint(noon.Add(time.Duration(second-1_000_000) * time.Second).Unix())
	}
	all := make([]stored, registered+absent)
	order := random.Perm(4 * len(all))
	var devices, sessions []string
	for i := range all {
		s := &all[i]
		s.id, s.made, s.mac = schema.NewID(), order[i], fmt.Sprintf("AA:BB:CC:00:%02X:%02X", i>>8, i&0xff)
		if i >= registered-doubled && i < registered {
			s.mac = all[i-registered+doubled].mac
		}
		if i < registered {
			devices = append(devices, fmt.Sprintf("('%v','%s','%s',fromUnixTimestamp(%s),1)", s.id, orgOf(i), s.mac, at(s.made)))
		} else {
			s.made = -1
		}
		for n := range random.IntN(4) + i/registered {
			id, made, ended, end := schema.NewID(), order[len(all)+3*i/2+n], random.IntN(2) == 0, "NULL"
			if ended {
				end = "fromUnixTimestamp(" + at(made+1) + ")"
			}
			sessions = append(sessions, fmt.Sprintf("('%v','%s','%v','%s',fromUnixTimestamp(%s),%s,1)", id, orgOf(i), s.id, s.mac, at(made), end))
			s.sessions = append(s.sessions, id)
			if !ended && (!s.active || made > s.began) {
				s.session, s.active, s.began = id, true, made
			}
		}
	}
	random.Shuffle(len(sessions), func(i, j int) { sessions[i], sessions[j] = sessions[j], sessions[i] })
	schematest.Exec(t, d.db, "INSERT INTO devices (device_id, org_id, device_mac_address, created_at, version) VALUES "+strings.Join(devices, ","))
	schematest.Exec(t, d.db, "INSERT INTO sessions (session_id, org_id, device_id, device_mac_address, created_at, terminated_at, version) VALUES "+strings.Join(sessions, ","))
	return all
}

// TestADevicesAddressIsThatOfItsOwnRow loads a session that spells it in another way.
func TestADevicesAddressIsThatOfItsOwnRow(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	device, session := schema.NewID(), schema.NewID()
	at := fmt.Sprint(noon.Unix())
	schematest.Exec(t, d.db, fmt.Sprintf("INSERT INTO devices (device_id, org_id, device_mac_address, created_at, version) VALUES ('%v','%s','AA:BB:CC:00:00:01',fromUnixTimestamp(%s),1)", device, us, at))
	schematest.Exec(t, d.db, fmt.Sprintf("INSERT INTO sessions (session_id, org_id, device_id, device_mac_address, created_at, version) VALUES ('%v','%s','%v','aabbcc000001',fromUnixTimestamp(%s),1)", session, us, device, at))
	d.restart()
	r := d.registry
	if known := r.known.device(device); known == nil || known.mac != "AA:BB:CC:00:00:01" || known.current == nil || known.current.id != session || r.known.deviceByMAC(known.identity()) != known {
		t.Errorf("the device is %+v", known)
	}
	if o := r.orgs.of(us); o.devices != 1 || o.sessions != 1 || o.active != 1 {
		t.Errorf("the organisation has %d devices, %d sessions, %d active, want one of each", o.devices, o.sessions, o.active)
	}
}

// TestItDoesNotMatterWhetherADeviceOrItsSessionIsReadFirst takes two devices with a session over in both orders. Of the second one the address
// is the first one's too, and it is older.
func TestItDoesNotMatterWhetherADeviceOrItsSessionIsReadFirst(t *testing.T) {
	t.Parallel()
	made := noon.UnixMilli()
	devices := []schema.DeviceOwner{
		{ID: schema.NewID(), OrgID: us, MACAddress: "AA:BB:CC:00:00:01", CreatedAt: made},
		{ID: schema.NewID(), OrgID: us, MACAddress: "aabb.cc00.0001", CreatedAt: made - 1},
	}
	var sessions []schema.Session
	for _, d := range devices {
		sessions = append(sessions, schema.Session{ID: schema.NewID(), OrgID: us, DeviceID: d.ID, DeviceMACAddress: "aabbcc000001", CreatedAt: noon})
	}
	for _, sessionsFirst := range []bool{false, true} {
		r := New(nil, Watchers{}, Quotas{}, time.Now)
		r.known.reserve(len(devices), len(sessions))
		r.known.byMAC.numbers, r.known.devices.numbers = make([]int64, leastSlots), make([]int64, leastSlots)
		l := &loader{Registry: r, began: made}
		if sessionsFirst {
			l.takeSessions(sessions)
		}
		l.takeDevices(devices)
		if !sessionsFirst {
			l.takeSessions(sessions)
		}
		for i, row := range devices {
			if d := r.known.device(row.ID); d == nil || d.mac != row.MACAddress || d.current == nil || d.current.id != sessions[i].ID {
				t.Errorf("sessions first %t: device %d is %+v", sessionsFirst, i, d)
			}
		}
		if found := r.known.deviceByMAC("aabbcc000001"); found == nil || found.id != devices[1].ID {
			t.Errorf("sessions first %t: the address is that of %+v, want the older device", sessionsFirst, found)
		}
		if o := r.orgs.of(us); o.devices != 2 || o.sessions != 2 || o.active != 2 {
			t.Errorf("sessions first %t: the organisation has %d devices, %d sessions, %d active, want two of each", sessionsFirst, o.devices, o.sessions, o.active)
		}
	}
}

// TestALoadThatFailedIsDoneAgainFromTheBeginning has the sessions be away for the first one, and then the devices.
func TestALoadThatFailedIsDoneAgainFromTheBeginning(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	all := storeRegistered(t, d, rand.New(rand.NewPCG(16, 2)))
	r := New(d.db, d.watcher, Quotas{}, d.clock.Now)
	for _, table := range []string{"sessions", "devices"} {
		mend := schematest.BreakTable(t, d.db, table)
		r.Expect(1, 1) // less than there is, and of no meaning for the load after this one
		if err := r.Load(t.Context()); err == nil {
			t.Errorf("a load without the table %s succeeds", table)
		}
		clear(d.watcher.sessions) // which the next load tells of again
		mend()
		if r.known.devices.used+len(r.orgs.byID) > 0 {
			t.Errorf("without %s, %d devices of %d organisations are left of a load that failed", table, r.known.devices.used, len(r.orgs.byID))
		}
	}
	if err := r.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := r.known.devices.used; got != len(all) {
		t.Errorf("%d devices are known, want %d", got, len(all))
	}
}

// second is a watcher that must be told after another one.
type second struct {
	t     *testing.T
	first *watcher
	told  int
}

func (s *second) PutSession(schema.Session) {}

func (s *second) PutSessions(sessions []schema.Session) {
	s.first.mu.Lock()
	defer s.first.mu.Unlock()
	for i := range sessions {
		if _, told := s.first.sessions[sessions[i].ID]; !told {
			s.t.Errorf("the second watcher is told of %v before the first", sessions[i].ID)
		}
	}
	s.told += len(sessions)
}

func TestWatchersAreToldOneAfterTheOther(t *testing.T) {
	t.Parallel()
	first := &watcher{sessions: map[schema.ID]schema.Session{}}
	after := &second{t: t, first: first}
	told := startTeller(Watchers{first, after})
	const batches = 200
	for range batches {
		batch := told.batch()
		for range loadedAtOnce {
			batch = append(batch, schema.Session{ID: schema.NewID()})
		}
		told.tell(batch)
	}
	told.finish()
	if len(first.sessions) != batches*loadedAtOnce || after.told != batches*loadedAtOnce {
		t.Errorf("the watchers were told of %d and %d sessions, want %d each", len(first.sessions), after.told, batches*loadedAtOnce)
	}
}
