package ingest

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
	TerminationScheduledFor *string `json:"termination_scheduled_for_timestamp"` // optional, RFC 3339, in the future
}

// SessionUpdate is the body of a session's update: what is nil stays as it is, and what is set to
// none is cleared. Giving a field and clearing it at once is an *InvalidError; clearing what is not
// set changes nothing.
type SessionUpdate struct {
	NewSession // schema_version is optional here

	ClearComments                bool `json:"comments__set_to_None"`
	ClearOffChrtReferenceID      bool `json:"off_chrt_reference_id__set_to_None"`
	ClearOffChrtShipperOrgDataID bool `json:"off_chrt_shipper_org_data_id__set_to_None"`
	ClearPublic                  bool `json:"public__set_to_None"`
	ClearTerminationScheduledFor bool `json:"termination_scheduled_for_timestamp__set_to_None"`
}
