package schema_test

import (
	"fmt"
	"strings"
	"testing"

	"lastseen/schema"
	"lastseen/schema/schematest"
)

// TestTextsOfEveryLengthAreReadWhole has texts of none to 300,000 bytes end at all places of what is read at a time.
func TestTextsOfEveryLengthAreReadWhole(t *testing.T) {
	t.Parallel()
	const rows = 5000
	db := schematest.Open(t)
	const length = "multiIf(number % 2500 = 7, 300000, number % 3 = 0, 0, number % 200)"
	text := "substring(repeat(concat(toString(number), '-'), intDiv(" + length + ", 2) + 1), 1, " + length + ")"
	schematest.Exec(t, db, fmt.Sprintf(`INSERT INTO devices (device_id, org_id, device_mac_address, created_at, version)
SELECT lower(leftPad(hex(number), 24, '0')), concat('org_', toString(number %% 3)), %s, now64(3), 1 FROM numbers(%d)`, text, rows))
	schematest.Exec(t, db, fmt.Sprintf(`INSERT INTO sessions (session_id, org_id, device_id, device_mac_address, created_at, comments, version)
SELECT lower(leftPad(hex(number), 24, '0')), concat('org_', toString(number %% 3)), lower(leftPad(hex(number), 24, '0')), 'aa:bb', now64(3), if(number %% 5 = 0, NULL, %s), 1 FROM numbers(%d)`, text, rows))

	wantOf := func(id schema.ID) (number int, text string) {
		number = int(id[10])<<8 | int(id[11])
		length := number % 200
		switch {
		case number%2500 == 7:
			length = 300_000
		case number%3 == 0:
			length = 0
		}
		return number, strings.Repeat(fmt.Sprint(number)+"-", length)[:length]
	}
	devices, sessions := 0, 0
	err := db.EachDeviceOwner(t.Context(), func(d schema.DeviceOwner) {
		devices++
		if number, want := wantOf(d.ID); d.MACAddress != want || d.OrgID != fmt.Sprintf("org_%d", number%3) {
			t.Errorf("device %d of %s has the address %.80q of %d bytes, want %d", number, d.OrgID, d.MACAddress, len(d.MACAddress), len(want))
		}
	})
	if err != nil || devices != rows {
		t.Fatalf("read %d devices, want %d: %v", devices, rows, err)
	}
	err = db.EachSession(t.Context(), func(s schema.Session) {
		sessions++
		number, want := wantOf(s.ID)
		switch {
		case number%5 == 0:
			if s.Comments != nil {
				t.Errorf("session %d has comments, want none", number)
			}
		case s.Comments == nil || *s.Comments != want:
			t.Errorf("session %d has other comments than %.80q of %d bytes", number, want, len(want))
		}
	})
	if err != nil || sessions != rows {
		t.Fatalf("read %d sessions, want %d: %v", sessions, rows, err)
	}
}
