package schema

// Viewer is who wants to see a session: somebody of an organisation, or anybody.
type Viewer struct {
	OrgID  string
	Public bool // without a credential, to whom public sessions are shown; OrgID is ignored
}

// OrgScope says which of the sessions that an organisation may see are meant.
type OrgScope uint8

const (
	// OwnedAndShared are those of the organisation and those that others share with it.
	OwnedAndShared OrgScope = iota
	// Owned are those of the organisation.
	Owned
	// Shared are those of others that are shared with it.
	Shared
)
