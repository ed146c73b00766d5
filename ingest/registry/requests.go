package registry

import (
	"strings"
	"time"
	"unicode/utf8"

	"lastseen/schema"
)

// NewDevice is the body of register_to_org. Nil means not given.
type NewDevice struct {
	DeviceMACAddress   *string `json:"device_mac_address"`    // 1 to 64 of A-Z a-z 0-9 . : _ -
	SchemaVersion      *int    `json:"schema_version"`        // 1
	Type               *string `json:"type"`                  // optional, 1 to 64 characters
	Comments           *string `json:"comments"`              // optional, at most 1,000 characters
	OffChrtReferenceID *string `json:"off_chrt_reference_id"` // optional, 1 to 64 of A-Z a-z 0-9 . _ ~ -
}

// NewSession is the body of create_session. Nil means not given.
type NewSession struct {
	SchemaVersion           *int    `json:"schema_version"`                      // 1
	Comments                *string `json:"comments"`                            // optional, at most 1,000 characters
	OffChrtReferenceID      *string `json:"off_chrt_reference_id"`               // optional, 1 to 64 of A-Z a-z 0-9 . _ ~ -
	OffChrtShipperOrgDataID *string `json:"off_chrt_shipper_org_data_id"`        // optional, 1 to 255 characters
	Public                  *bool   `json:"public"`                              // optional
	Outliers                *string `json:"outliers"`                            // optional, flag or off
	TerminationScheduledFor *string `json:"termination_scheduled_for_timestamp"` // optional, RFC 3339 with an offset, in the future
}

// SessionUpdate is the body of a session's update: what is nil stays as it is, and what is set to
// none is cleared. Giving a field and clearing it at once is a schema.Invalid; clearing what is not
// set changes nothing.
type SessionUpdate struct {
	NewSession // schema_version is optional here

	ClearComments                bool `json:"comments__set_to_None"`
	ClearOffChrtReferenceID      bool `json:"off_chrt_reference_id__set_to_None"`
	ClearOffChrtShipperOrgDataID bool `json:"off_chrt_shipper_org_data_id__set_to_None"`
	ClearPublic                  bool `json:"public__set_to_None"`
	ClearOutliers                bool `json:"outliers__set_to_None"`
	ClearTerminationScheduledFor bool `json:"termination_scheduled_for_timestamp__set_to_None"`
}

// The names of the fields in bodies and errors.
const (
	nameMAC       = "device_mac_address"
	nameVersion   = "schema_version"
	nameType      = "type"
	nameComments  = "comments"
	nameReference = "off_chrt_reference_id"
	nameShipper   = "off_chrt_shipper_org_data_id"
	namePublic    = "public"
	nameOutliers  = "outliers"
	nameScheduled = "termination_scheduled_for_timestamp"
)

const (
	maxComments  = 1000
	maxReference = 64
	maxType      = 64
	maxShipper   = 255
)

func (d *NewDevice) validate() error {
	switch {
	case d.DeviceMACAddress == nil:
		return schema.Invalid.About(nameMAC, "Give the device's address.")
	case !validMAC(*d.DeviceMACAddress):
		return schema.Invalid.About(nameMAC, "The address must have 1 to %d characters of A-Z a-z 0-9 . : _ -", maxMACAddress)
	}
	if err := validateVersion(d.SchemaVersion, true); err != nil {
		return err
	}
	if err := validateText(nameType, d.Type, 1, maxType); err != nil {
		return err
	}
	return validateSaid(d.Comments, d.OffChrtReferenceID)
}

func validMAC(address string) bool {
	_, ok := AppendMACIdentity(nil, address)
	return ok
}

// validate checks the fields of a session that is made or, with versionRequired false, changed.
func (s *NewSession) validate(now time.Time, versionRequired bool) error {
	if err := validateVersion(s.SchemaVersion, versionRequired); err != nil {
		return err
	}
	if err := validateSaid(s.Comments, s.OffChrtReferenceID); err != nil {
		return err
	}
	if err := validateText(nameShipper, s.OffChrtShipperOrgDataID, 1, maxShipper); err != nil {
		return err
	}
	if s.Outliers != nil && *s.Outliers != schema.WordFlagOutliers && *s.Outliers != schema.WordLeaveOutliers {
		return schema.Invalid.About(nameOutliers, "Say %s, so that points that cannot be true are marked, or %s.", schema.WordFlagOutliers, schema.WordLeaveOutliers)
	}
	_, err := s.scheduled(now)
	return err
}

// scheduled returns the time for which the termination is scheduled, or nil.
func (s *NewSession) scheduled(now time.Time) (*time.Time, error) {
	if s.TerminationScheduledFor == nil {
		return nil, nil
	}
	ms, ok := schema.ParseTimestamp(*s.TerminationScheduledFor)
	if !ok {
		return nil, schema.Invalid.About(nameScheduled, "The time %s.", schema.TimestampProblem(*s.TerminationScheduledFor))
	}
	at := time.UnixMilli(ms).UTC()
	// ClickHouse keeps these times up to the end of 2299.
	if !at.After(now) || at.Year() > 2299 {
		return nil, schema.Invalid.About(nameScheduled, "The time must lie in the future, and before the year 2300.")
	}
	return &at, nil
}

// validate checks the fields and that none of them is both given and cleared.
func (u *SessionUpdate) validate(now time.Time) error {
	for _, field := range []struct {
		name         string
		given, clear bool
	}{
		{nameComments, u.Comments != nil, u.ClearComments},
		{nameReference, u.OffChrtReferenceID != nil, u.ClearOffChrtReferenceID},
		{nameShipper, u.OffChrtShipperOrgDataID != nil, u.ClearOffChrtShipperOrgDataID},
		{namePublic, u.Public != nil, u.ClearPublic},
		{nameOutliers, u.Outliers != nil, u.ClearOutliers},
		{nameScheduled, u.TerminationScheduledFor != nil, u.ClearTerminationScheduledFor},
	} {
		if field.given && field.clear {
			return schema.Invalid.About(field.name, "Either give a value or set it to none, not both.")
		}
	}
	return u.NewSession.validate(now, false)
}

func validateVersion(version *int, required bool) error {
	if version == nil && !required || version != nil && *version == 1 {
		return nil
	}
	return schema.Invalid.About(nameVersion, "The schema_version must be 1.")
}

// validateSaid checks what people say of devices and sessions alike.
func validateSaid(comments, reference *string) error {
	if err := validateText(nameComments, comments, 0, maxComments); err != nil {
		return err
	}
	if reference == nil {
		return nil
	}
	good := len(*reference) >= 1 && len(*reference) <= maxReference
	for i := range len(*reference) {
		good = good && referenceCharacter[(*reference)[i]]
	}
	if !good {
		return schema.Invalid.About(nameReference, "The reference must have 1 to %d characters of A-Z a-z 0-9 . _ ~ -", maxReference)
	}
	return nil
}

// validateText checks the length of a text in characters. A NUL is no character that people type,
// and not everything that reads ClickHouse gets past one.
func validateText(name string, text *string, shortest, longest int) error {
	if text == nil {
		return nil
	}
	if !utf8.ValidString(*text) || strings.ContainsRune(*text, 0) {
		return schema.Invalid.About(name, "The text must be UTF-8 without NUL characters.")
	}
	if n := utf8.RuneCountInString(*text); n < shortest || n > longest {
		return schema.Invalid.About(name, "The text must have %d to %d characters.", shortest, longest)
	}
	return nil
}

// maxSharedOrgs is the number of organisations that a session may be shared with, and that one call
// may name.
const maxSharedOrgs = 1000

// validateOrgIDs checks the ids of organisations in a list of a body.
func validateOrgIDs(name string, ids []string) error {
	if len(ids) > maxSharedOrgs {
		return schema.Invalid.About(name, "Name at most %d organisations at a time.", maxSharedOrgs)
	}
	for _, id := range ids {
		good := len(id) > len("org_") && len(id) <= 128 && strings.HasPrefix(id, "org_")
		for i := range len(id) {
			good = good && referenceCharacter[id[i]]
		}
		if !good {
			return schema.Invalid.About(name, "Each must be an organisation's id, which begins with org_.")
		}
	}
	return nil
}

// change applies an update that is valid. It reports whether anything is new, and whether the
// termination's schedule is.
func (u *SessionUpdate) change(s *schema.Session, now time.Time) (changed, rescheduled bool, err error) {
	scheduled, err := u.scheduled(now)
	if err != nil {
		return false, false, err
	}
	rescheduled = set(&s.TerminationScheduledFor, scheduled, u.ClearTerminationScheduledFor, time.Time.Equal)
	for _, text := range []struct {
		field **string
		value *string
		clear bool
	}{
		{&s.Comments, u.Comments, u.ClearComments},
		{&s.OffChrtReferenceID, u.OffChrtReferenceID, u.ClearOffChrtReferenceID},
		{&s.OffChrtShipperOrgDataID, u.OffChrtShipperOrgDataID, u.ClearOffChrtShipperOrgDataID},
		{&s.Outliers, u.Outliers, u.ClearOutliers},
	} {
		changed = set(text.field, text.value, text.clear, equal) || changed
	}
	changed = set(&s.Public, u.Public, u.ClearPublic, equal) || changed
	return changed || rescheduled, rescheduled, nil
}

// set gives a field a value unless it is nil, or clears it, and reports whether that is a change.
func set[T any](field **T, value *T, clear bool, same func(x, y T) bool) bool {
	switch {
	case clear:
		changed := *field != nil
		*field = nil
		return changed
	case value == nil || *field != nil && same(**field, *value):
		return false
	}
	*field = value
	return true
}

func equal[T comparable](x, y T) bool { return x == y }
